package warehouse_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/warehouse"
)

// shownMembers are members of every kind: with a column and without, texts, numbers, times, lists, and of the seller.
var shownMembers = []string{
	"title", "condition", "profit_cents", "sale_price_cents", "last_sales", "roi_percent", "shipping_known", "decided_at",
	"response_ids", "categories", "seller_id", "seller_name", "seller_quality", "rule_set", "tokens", "source", "next_best_cents", "used_buy_box_cents",
}

// TestTheStreamsAndTheViewAgreeOnEveryDeal draws versions and verdicts of a few deals,
// partial ones, repeated ones, of replays and of other price types, inserts them into
// ClickHouse in any order and batch, passes them to the definition in Go, and compares
// the state of every deal, the list and the counts. Every round has a domain of its own.
func TestTheStreamsAndTheViewAgreeOnEveryDeal(t *testing.T) {
	t.Parallel()
	w := open(t)
	left := rounds(4, 40)
	domain, hidden := 0, map[string]bool{}
	all := append(action.Reasons(), "", visibility.NoProfit, visibility.OldEstimate, "low_roi", "!", "stale_waiting!")
	rapid.Check(t, func(r *rapid.T) {
		if left--; left < 0 {
			return // a round is many statements: run only as many of rapid's hundred as take seconds
		}
		domain++
		var book visibility.Fold
		n := rapid.IntRange(1, 60).Draw(r, "messages")
		deals, verdicts := drawHistory(t, r, domain, n)
		sureDeals, sureVerdicts := oneOfEach(t, domain, n)
		deals, verdicts = append(deals, sureDeals...), append(verdicts, sureVerdicts...)
		actions := append(drawActions(r, domain), sureActions(domain)...)
		addAll(r, &book, deals, verdicts, actions)
		redeliver(t, r, fmt.Sprint("standing actions ", domain), once(t, w, pipeline.StreamActions, actions), w.InsertActions)
		redeliver(t, r, fmt.Sprint("standing deals ", domain), once(t, w, pipeline.StreamDeals, deals), w.InsertDeals)
		redeliver(t, r, fmt.Sprint("standing verdicts ", domain), once(t, w, pipeline.StreamVerdicts, verdicts), w.InsertVerdicts)

		states, err := w.States(t.Context())
		must(t, err)
		states = slices.DeleteFunc(states, func(s visibility.State) bool { return s.Domain != domain })
		if want := book.States(); !reflect.DeepEqual(states, want) && len(states)+len(want) > 0 {
			r.Errorf("the view says\n%+v\nthe streams say\n%+v", states, want)
		}
		since := noon.Add(time.Duration(rapid.IntRange(0, 40).Draw(r, "since")) * time.Minute)
		if got, want := listed(t, w, domain, since), shownOf(book.Visible(since)); got != want {
			r.Errorf("the view lists\n%s\nthe streams list\n%s", got, want)
		}
		counts := visibility.Count(book.States())
		if all := book.Visible(time.Time{}); len(all) != counts.Visible || counts.Visible+counts.Expired+counts.Invalid+counts.SetAside != counts.Stored {
			r.Errorf("%d are listed and counted are %+v", len(all), counts)
		}
		for _, s := range states {
			hidden[s.HiddenBecause], hidden[s.StaleBecause+"!"] = true, true
		}
	})
	for _, want := range all {
		if !hidden[want] {
			t.Errorf("no deal was ever %q", want)
		}
	}
	counts, err := w.Counts(t.Context())
	must(t, err)
	states, err := w.States(t.Context())
	must(t, err)
	if want := visibility.Count(states); counts != want || counts.Stored == 0 {
		t.Errorf("the view counts %+v, its states are %+v", counts, want)
	}
	if counts.Found == 0 || counts.Found == counts.Stored {
		t.Errorf("of %d stored deals %d were found: this proves nothing", counts.Stored, counts.Found)
	}
	want(t, w, "SELECT count() FROM visible_deals", fmt.Sprint(counts.Visible))
	a, err := w.Ask(t.Context(), "deal-counts", map[string]string{"since": "2026-01-01 00:00:00"})
	must(t, err)
	sums := make([]int, len(a.Columns)) // of all marketplaces
	for _, row := range a.Rows {
		for i := range sums {
			n, _ := strconv.Atoi(fmt.Sprint(row[i])) // whole numbers, but for the profit
			sums[i] += n
		}
	}
	if got, want := fmt.Sprint(sums[1:4], sums[5:8]), fmt.Sprint([]any{counts.Found, counts.Stored, counts.Visible}, []any{counts.Stale, counts.Expired, counts.Invalid}); got != want {
		t.Errorf("deal-counts says %s, want %s", got, want)
	}
}

// TestTheNewestRowsAreThoseOfWhateverChangesADeal: an answer about deals counts only if none of these came meanwhile.
func TestTheNewestRowsAreThoseOfWhateverChangesADeal(t *testing.T) {
	t.Parallel()
	w := open(t)
	row := func(seq uint64) uint64 { return origin("", seq, noon).RowID() }
	verdict := func(seq uint64, look pipeline.Look, o pipeline.Outcome) {
		t.Helper()
		v := warehouse.VerdictRow{Origin: origin(pipeline.StreamVerdicts, seq, noon), InputsJSON: `{}`}
		v.Identity = pipeline.Identity{Domain: 1, ASIN: asinOf(1), PriceType: 2}
		v.Look, v.Outcome, v.Reason, v.DecidedAt = look, o, "stale_waiting", noon
		must(t, w.InsertVerdicts(t.Context(), []warehouse.VerdictRow{v}, fmt.Sprint("verdict ", seq)))
	}
	newest := func(after string, version, verdict, act uint64) {
		t.Helper()
		is := [3]uint64{}
		var err error
		is[0], is[1], is[2], err = w.Newest(t.Context())
		if want := [3]uint64{version, verdict, act}; err != nil || is != want {
			t.Errorf("after %s: %v (%v), want %v", after, is, err, want)
		}
	}
	newest("nothing", 0, 0, 0)
	must(t, w.InsertDeals(t.Context(), []warehouse.DealRow{dealRow(t, 1, noon, `{"domain":1,"asin":"B000000001","price_type":2,"profit_cents":5,"sale_price_cents":9}`)}, "d"))
	newest("a deal", row(1), 0, 0)
	must(t, w.InsertDeals(t.Context(), []warehouse.DealRow{dealRow(t, 7, noon, `{"domain":1,"asin":"B000000001","price_type":2,"title":"T"}`)}, "part"))
	newest("a version without an amount", row(7), 0, 0)
	verdict(2, pipeline.LookCommit, pipeline.Accept)
	newest("an accept", row(7), row(2), 0)
	verdict(3, pipeline.LookPeek, pipeline.Reject)
	newest("a reject", row(7), row(3), 0)
	verdict(4, pipeline.LookList, pipeline.Fail)
	newest("a mark", row(7), row(4), 0)
	must(t, w.InsertActions(t.Context(), []warehouse.ActionRow{traded(5, noon, action.Buy, "", asinOf(1), 999)}, "a"))
	newest("a purchase", row(7), row(4), row(5))
}

// once returns the rows without repeats, as the recorder stores them.
func once[R warehouse.Row](t *testing.T, w *warehouse.Warehouse, stream string, rows []R) []R {
	t.Helper()
	events := warehouse.Events(rows)
	stored, err := w.Stored(t.Context(), stream, events)
	must(t, err)
	fresh, _ := warehouse.WithoutRepeats(rows, events, stored)
	return fresh
}

// drawHistory draws the messages of a few deals.
func drawHistory(t *testing.T, r *rapid.T, domain, n int) (deals []warehouse.DealRow, verdicts []warehouse.VerdictRow) {
	t.Helper()
	works := map[string]int{}
	for i := range n {
		// Sequences continue over rounds, since the origin of a row is its key.
		seq, at := uint64(domain*1000+i), noon.Add(time.Duration(i)*time.Minute)
		if rapid.IntRange(0, 4).Draw(r, "late") == 0 {
			at = at.Add(-time.Duration(rapid.IntRange(1, 30).Draw(r, "by")) * time.Minute)
		}
		asin, priceType := asinOf(rapid.IntRange(0, 3).Draw(r, "asin")), rapid.SampledFrom([]int{2, 2, 2, 0}).Draw(r, "price type")
		run := rapid.SampledFrom([]string{pipeline.RunLive, pipeline.RunLive, pipeline.RunLive, pipeline.RunLive, "lax"}).Draw(r, "run")
		if rapid.IntRange(0, 2).Draw(r, "kind") == 0 {
			d := dealRow(t, seq, at, drawDeal(r, domain, asin, priceType, at))
			d.Run, d.WorkID = run, messageOf(run, asin, priceType, rapid.IntRange(0, 20).Draw(r, "version"))
			d.MsgID = fmt.Sprintf("%d/%s", domain, d.WorkID) // the rounds share a database
			if rapid.IntRange(0, 9).Draw(r, "without id") == 0 {
				d.WorkID, d.MsgID = "", ""
			}
			deals = append(deals, d)
			continue
		}
		v := warehouse.VerdictRow{Origin: origin(pipeline.StreamVerdicts, seq, at), InputsJSON: `{}`}
		v.Run, v.Origin.WorkID = run, fmt.Sprintf("%d/%s/%d/%d", domain, asin, priceType, i)
		if again := fmt.Sprint(asin, priceType); rapid.IntRange(0, 5).Draw(r, "published again") == 0 && works[again] > 0 {
			v.Origin.WorkID = fmt.Sprintf("%d/%s/%d/%d", domain, asin, priceType, works[again])
		} else {
			works[again] = i
		}
		if rapid.IntRange(0, 9).Draw(r, "without work") == 0 {
			v.Origin.WorkID = ""
		}
		v.Identity = pipeline.Identity{Domain: domain, ASIN: asin, PriceType: priceType, CreationDate: int64(i)}
		said := rapid.SampledFrom([]struct {
			look    pipeline.Look
			outcome pipeline.Outcome
			reason  string
		}{
			{pipeline.LookCommit, pipeline.Accept, "ok"},
			{pipeline.LookCommit, pipeline.Accept, "ok"},
			{pipeline.LookPeek, pipeline.Confirm, "unchanged"},
			{pipeline.LookGlance, pipeline.Reject, "no_rank"},
			{pipeline.LookPeek, pipeline.Reject, "low_roi"},
			{pipeline.LookCommit, pipeline.Reject, "low_roi"},
			{pipeline.LookList, pipeline.Reject, "expired_over_capacity"},
			{pipeline.LookList, pipeline.Fail, "stale_waiting"},
			{pipeline.LookList, pipeline.Fail, "stale_waiting"},
			{pipeline.LookList, pipeline.Fail, "repair_gave_up"},
			{pipeline.LookPeek, pipeline.Fail, "stale_not_a_mark"},
			{pipeline.LookPeek, pipeline.Survive, "ok"},
			{pipeline.LookGlance, pipeline.Shed, "shed_below_line"},
		}).Draw(r, "said")
		v.Look, v.Outcome, v.Reason, v.DecidedAt = said.look, said.outcome, said.reason, at
		verdicts = append(verdicts, v)
	}
	return deals, verdicts
}

// oneOfEach returns a deal in each state, in addition to the drawn ones, after n messages of the round.
func oneOfEach(t *testing.T, domain, n int) (deals []warehouse.DealRow, verdicts []warehouse.VerdictRow) {
	t.Helper()
	for i, c := range []struct {
		profit, sale int
		look         pipeline.Look // of the verdict after the accept, if there is one
		outcome      pipeline.Outcome
		reason       string
	}{
		{profit: 5, sale: 7},
		{sale: 7},
		{profit: 5},
		{5, 7, pipeline.LookPeek, pipeline.Reject, "low_roi"},
		{5, 7, pipeline.LookList, pipeline.Fail, "stale_waiting"},
		{profit: 5, sale: 7}, // bought, and then ignored in every way
		{profit: 5, sale: 7},
		{profit: 5, sale: 7},
		{profit: 5, sale: 7},
		{profit: 5, sale: 7},
	} {
		asin, seq, at := asinOf(4+i), uint64(domain*1000+n+3*i), noon.Add(time.Duration(100+i)*time.Minute)
		more := map[int]string{
			7: fmt.Sprintf(`,"seller_id":%q`, sellerOf(domain, 11)), 8: fmt.Sprintf(`,"brand":"BRAND %d"`, domain), 9: fmt.Sprintf(`,"title":"For Sure: %d"`, domain),
		}[i]
		d := dealRow(t, seq, at, fmt.Sprintf(`{"domain":%d,"asin":%q,"price_type":2,"profit_cents":%d,"sale_price_cents":%d%s}`,
			domain, asin, c.profit, c.sale, more))
		d.WorkID = fmt.Sprintf("%d/%s", domain, asin)
		d.MsgID = d.WorkID
		deals = append(deals, d)
		say := func(seq uint64, look pipeline.Look, outcome pipeline.Outcome, reason string) {
			v := warehouse.VerdictRow{Origin: origin(pipeline.StreamVerdicts, seq, at), InputsJSON: `{}`}
			v.Origin.WorkID = fmt.Sprintf("%d/%s/%s", domain, asin, look)
			v.Identity = pipeline.Identity{Domain: domain, ASIN: asin, PriceType: 2, CreationDate: int64(seq)}
			v.Look, v.Outcome, v.Reason, v.DecidedAt = look, outcome, reason, at.Add(time.Duration(seq)*time.Millisecond)
			v.At = v.DecidedAt
			verdicts = append(verdicts, v)
		}
		say(seq+1, pipeline.LookCommit, pipeline.Accept, "ok")
		if c.look != "" {
			say(seq+2, c.look, c.outcome, c.reason)
		}
	}
	return deals, verdicts
}

// sellerOf returns a seller of a round, because ignored sellers, brands and titles apply to every domain.
func sellerOf(domain, n int) string { return fmt.Sprintf("SELLER%dX%d", domain, n) }

// drawActions draws purchases and ignores of the deals of a round, some undone, lapsed or published again.
func drawActions(r *rapid.T, domain int) []warehouse.ActionRow {
	var out []warehouse.ActionRow
	for i := range rapid.IntRange(0, 8).Draw(r, "actions") {
		asin := action.Target{By: action.ByASIN, Domain: domain, Value: asinOf(rapid.IntRange(0, 3).Draw(r, "of"))}
		target := rapid.SampledFrom([]action.Target{
			asin, asin, asin,
			{By: action.BySeller, Value: sellerOf(domain, 1)},
			{By: action.ByBrand, Value: fmt.Sprintf("Ünder %d", domain)},
			{By: action.ByWords, Value: fmt.Sprintf("a book %d", domain)},
			{By: action.ByWords, Value: fmt.Sprintf("É book %d", domain)},
			{By: action.ByWords, Value: fmt.Sprintf("ook %d", domain)},
		}).Draw(r, "target")
		kinds := []action.Kind{action.Ignore, action.Ignore, action.Undo, action.Lapse}
		if target.By == action.ByASIN {
			kinds = append(kinds, action.Buy, action.Sold, action.Buy)
		}
		a := warehouse.ActionRow{Origin: origin(pipeline.StreamActions, uint64(domain*1000+i), noon.Add(time.Duration(i)*time.Minute))}
		a.Target, a.Kind = target, rapid.SampledFrom(kinds).Draw(r, "kind")
		if a.Kind == action.Undo || a.Kind == action.Lapse {
			a.Of = rapid.SampledFrom([]action.Kind{action.Ignore, action.Ignore, action.Buy}).Draw(r, "undone")
		}
		a.Run = rapid.SampledFrom([]string{pipeline.RunLive, pipeline.RunLive, pipeline.RunLive, "lax"}).Draw(r, "said in")
		a.MsgID = fmt.Sprintf("%d/%s/%d", domain, a.Run, rapid.IntRange(0, 12).Draw(r, "message"))
		out = append(out, a)
	}
	return out
}

// sureActions hides a deal of oneOfEach in each way.
func sureActions(domain int) []warehouse.ActionRow {
	var out []warehouse.ActionRow
	for i, c := range []struct {
		kind   action.Kind
		target action.Target
	}{
		{action.Buy, action.Target{By: action.ByASIN, Domain: domain, Value: asinOf(9)}},
		{action.Ignore, action.Target{By: action.ByASIN, Domain: domain, Value: asinOf(10)}},
		{action.Ignore, action.Target{By: action.BySeller, Value: sellerOf(domain, 11)}},
		{action.Ignore, action.Target{By: action.ByBrand, Value: fmt.Sprintf("brand %d", domain)}},
		{action.Ignore, action.Target{By: action.ByWords, Value: fmt.Sprintf("sure %d", domain)}},
	} {
		a := warehouse.ActionRow{Origin: origin(pipeline.StreamActions, uint64(domain*1000+500+i), noon)}
		a.MsgID = fmt.Sprintf("%d/sure/%d", domain, i)
		a.Kind, a.Target = c.kind, c.target
		out = append(out, a)
	}
	return out
}

// messageOf returns a version's message ID, which is its work's as well.
func messageOf(run, asin string, priceType, n int) string { return fmt.Sprint(run, asin, priceType, n) }

// drawDeal draws a version of a deal with some of its members.
func drawDeal(r *rapid.T, domain int, asin string, priceType int, at time.Time) string {
	m := map[string]any{"domain": domain, "asin": asin, "price_type": priceType, "decided_at": at}
	say := func(name string, values ...any) {
		if n := rapid.IntRange(-1, len(values)-1).Draw(r, name); n >= 0 {
			m[name] = values[n]
		}
	}
	for _, name := range []string{"profit_cents", "sale_price_cents"} {
		say(name, 5, 7, 9, 0, nil, 5, 5, 7, 9)
	}
	say("title", fmt.Sprintf("A  book-%d", domain), fmt.Sprintf("É: BOOK %d", domain), "", nil)
	say("brand", fmt.Sprintf("Ünder %d", domain), "", nil)
	say("condition", "good", "")
	say("next_best_cents", 3890, 0, nil)
	say("used_buy_box_cents", 4000, nil)
	say("roi_percent", 42.5, 0.1, nil)
	say("shipping_known", true, false)
	say("response_ids", []string{"1"}, []string{"2", "3"}, []string{})
	say("categories", []string{"Books"}, []string{})
	say("seller_id", sellerOf(domain, 1), sellerOf(domain, 2), nil)
	say("seller_name", "One", "Two", "")
	say("seller_quality", 0.5, 1.0)
	say("rule_set", "r1", "r2")
	say("tokens", 0, 8)
	say("source", "live", "refresh")
	raw, err := json.Marshal(m)
	if err != nil {
		r.Fatal(err)
	}
	return string(raw)
}

// addAll gives the book every message at least once, in any order.
func addAll(r *rapid.T, book *visibility.Fold, deals []warehouse.DealRow, verdicts []warehouse.VerdictRow, actions []warehouse.ActionRow) {
	var tell []func()
	for _, a := range actions {
		tell = append(tell, func() { book.Action(action.Recorded{Origin: a.Origin.Origin, Action: a.Action}) })
	}
	for _, d := range deals {
		tell = append(tell, func() {
			v, err := visibility.ReadVersion(pipeline.Stored{
				Sequence: d.Sequence, StoredAt: d.StoredAt, Body: []byte(d.Message), Header: map[string][]string{pipeline.HeaderSchema: {pipeline.SchemaDeal}},
			})
			if err != nil {
				r.Fatal(err)
			}
			v.Origin = d.Origin.Origin
			v.MsgID = d.WorkID
			book.Version(v)
		})
	}
	for _, v := range verdicts {
		tell = append(tell, func() {
			book.Verdict(visibility.Verdict{Origin: v.Origin.Origin, Verdict: v.Verdict})
		})
	}
	order := rapid.Permutation(tell).Draw(r, "received")
	order = append(order, order[:rapid.IntRange(0, len(order)).Draw(r, "received twice")]...)
	for _, say := range order {
		say()
	}
}

// listed returns the view's list of a domain, as text.
func listed(t *testing.T, w *warehouse.Warehouse, domain int, since time.Time) string {
	t.Helper()
	all, err := w.Visible(t.Context(), since, shownMembers)
	must(t, err)
	return shownOf(slices.DeleteFunc(all, func(s visibility.Shown) bool { return s.Domain != domain }))
}

// shownOf returns a list as text, independently of its order.
func shownOf(all []visibility.Shown) string {
	slices.SortFunc(all, func(a, b visibility.Shown) int { return a.Compare(b.DealKey) })
	text := ""
	for _, s := range all {
		text += fmt.Sprint(s.DealKey, " ", s.LastSeen, s.LastConfirmed, s.StaleBecause, " ", s.WorkID)
		for _, name := range shownMembers {
			if raw := s.Members[name]; raw != nil {
				var v any
				_ = json.Unmarshal(raw, &v) // equal numbers may be written differently
				text += fmt.Sprint(" ", name, "=", v)
			}
		}
		text += "\n"
	}
	return text
}
