package visibility_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/visibility"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// bookOf returns the book of one deal's messages, in order: "deal JSON", or "LOOK OUTCOME REASON".
func bookOf(t *testing.T, lines ...string) visibility.Fold {
	t.Helper()
	var b visibility.Fold
	for i, line := range lines {
		at := t0.Add(time.Duration(i) * time.Minute)
		o := pipeline.Origin{Sequence: uint64(i + 1), At: at, Run: pipeline.RunLive, WorkID: fmt.Sprint("w", i)} //nolint:gosec // small
		var look, outcome, reason, work string
		if n, _ := fmt.Sscanf(line, "deal %s", &reason); n == 1 {
			v, err := visibility.ReadVersion(stored(pipeline.SchemaDeal, `{"domain":1,"asin":"A","price_type":2,`+reason+`}`))
			if err != nil {
				t.Fatal(err)
			}
			v.Origin = o
			b.Version(v)
			continue
		}
		if _, err := fmt.Sscanf(line, "%s %s %s", &look, &outcome, &reason); err != nil {
			t.Fatal(err)
		}
		if n, _ := fmt.Sscanf(line, "%s %s %s of %s", &look, &outcome, &reason, &work); n == 4 {
			o.WorkID = work
		}
		b.Verdict(visibility.Verdict{Origin: o, Verdict: pipeline.Verdict{
			Identity: pipeline.Identity{Domain: 1, ASIN: "A", PriceType: 2}, Look: pipeline.Look(look),
			Outcome: pipeline.Outcome(outcome), Reason: reason, DecidedAt: at,
		}})
	}
	return b
}

const good = `deal "profit_cents":5,"sale_price_cents":50`

func TestTheStateOfADeal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		lines         []string
		hidden, stale string
	}{
		{"a deal alone is visible", []string{good}, "", ""},
		{"accepted", []string{good, "commit accept ok"}, "", ""},
		{"a later look hides it", []string{good, "commit accept ok", "peek reject low_roi"}, "low_roi", ""},
		{"the last reject gives the reason", []string{good, "commit accept ok", "peek reject low_roi", "glance reject no_rank"}, "no_rank", ""},
		{"a confirmation shows it again", []string{good, "peek reject low_roi", "peek confirm unchanged"}, "", ""},
		{"shed and fail have no effect", []string{good, "commit accept ok", "glance shed line", "peek fail no_deal", "list fail repair_gave_up"}, "", ""},
		{"stale is visible", []string{good, "commit accept ok", "list fail stale_waiting"}, "", "stale_waiting"},
		{"a confirmation ends that", []string{good, "commit accept ok", "list fail stale_waiting", "peek confirm unchanged"}, "", ""},
		{"expired", []string{good, "commit accept ok", "list fail stale_waiting", "list reject expired"}, "expired", "stale_waiting"},
		{"published again it is what it was at first", []string{good, "commit accept ok of w", "peek reject low_roi", "commit accept ok of w"}, "low_roi", ""},
		{"without a profit it is invalid, whatever was decided", []string{`deal "sale_price_cents":50`, "commit accept ok"}, visibility.NoProfit, ""},
		{"a partial version keeps the other values", []string{good, `deal "title":"T","profit_cents":null`}, "", ""},
		{"its own values count", []string{good, `deal "profit_cents":0`}, visibility.NoProfit, ""},
		{"it was decided before sale prices were estimated", []string{`deal "profit_cents":5,"list_price_cents":50`, "commit accept ok"}, visibility.OldEstimate, ""},
	} {
		b := bookOf(t, c.lines...)
		all := b.States()
		if len(all) != 1 || all[0].HiddenBecause != c.hidden || all[0].StaleBecause != c.stale {
			t.Errorf("%s: %+v, want hidden %q, stale %q", c.name, all, c.hidden, c.stale)
		}
		if counts := visibility.Count(all); counts.Visible != len(b.Visible(time.Time{})) {
			t.Errorf("%s: counted %+v, listed %d", c.name, counts, len(b.Visible(time.Time{})))
		}
	}
}

func TestADealAwaitsItsVerdictUntilItArrives(t *testing.T) {
	t.Parallel()
	place, decided := visibility.DealKey{Domain: 1, ASIN: "A", PriceType: 2}, t0.Add(3*time.Minute)
	for _, c := range []struct {
		name  string
		lines []string
		want  bool
	}{
		{"nothing hides it", []string{good, "commit accept ok", "glance survive ok", good}, false},
		{"an earlier reject does", []string{good, "commit accept ok", "peek reject low_roi", good}, true},
		{"its verdict is there", []string{good, "commit accept ok", "peek reject low_roi", good, "commit accept ok"}, false},
		{"and was rejected since", []string{good, "commit accept ok", "peek reject low_roi", good, "commit accept ok", "peek reject low_roi"}, false},
		{"its verdict comes after a reject of other work", []string{good, "commit accept ok", "glance survive ok", good, "peek reject low_roi"}, true},
	} {
		b := bookOf(t, c.lines...)
		if got := b.Awaits(place, decided); got != c.want {
			t.Errorf("%s: awaits %t, want %t", c.name, got, c.want)
		}
	}
}

func TestVersionsAreMerged(t *testing.T) {
	t.Parallel()
	b := bookOf(t, good, `deal "seller_id":"S1","seller_name":"One","title":"T","source":"live","categories":["C"]`,
		`deal "seller_id":"S2","title":null,"source":"refresh","categories":[]`)
	m := b.Visible(time.Time{})[0].Members
	for name, want := range map[string]string{"title": `"T"`, "seller_id": `"S2"`, "seller_name": "", "source": `"refresh"`, "categories": `["C"]`, "profit_cents": "5"} {
		if got := string(m[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// A book whose next-best copy was sold has none, whatever an older estimate found.
func TestWhatCompetesIsOfTheNewestEstimate(t *testing.T) {
	t.Parallel()
	const at = `"decided_at":"2026-03-02T10:00:00Z",`
	b := bookOf(t, good, `deal `+at+`"next_best_cents":3890,"lowest_new_cents":5499,"cap_cents":3890,"cap_by":"next_best"`,
		`deal `+at+`"lowest_new_cents":5999,"cap_cents":5999,"cap_by":"new","rank":5`, `deal "next_best_cents":1,"rank":7`)
	m := b.Visible(time.Time{})[0].Members
	for name, want := range map[string]string{"next_best_cents": "", "lowest_new_cents": "5999", "cap_cents": "5999", "cap_by": `"new"`, "rank": "7"} {
		if got := string(m[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

// A deal of no known offer says so: the seller of an older version is not its own, and ignoring that one does not
// hide it.
func TestADealOfAnUnknownCopyIsNotCompletedFromAnOlderOne(t *testing.T) {
	t.Parallel()
	unknown, err := json.Marshal(deal.Deal{SellerUnknown: true})
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(unknown, &members); err != nil {
		t.Fatal(err)
	}
	says := fmt.Sprintf(`deal "seller_id":%s,"condition":%s,"cap_by":%s`, members["seller_id"], members["condition"], members["cap_by"])
	b := bookOf(t, good, `deal "seller_id":"S1","seller_name":"One","seller_rating":98,"condition":"good","cap_by":"new"`, says)
	m := b.Visible(time.Time{})[0].Members
	for name, want := range map[string]string{"seller_id": `""`, "condition": `""`, "cap_by": `""`, "seller_name": "", "seller_rating": ""} {
		if got := string(m[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestAReplayDoesNotChangeALiveDeal(t *testing.T) {
	t.Parallel()
	b := bookOf(t, good, "commit accept ok")
	b.Verdict(visibility.Verdict{Origin: pipeline.Origin{Sequence: 9, At: t0, Run: "r1", WorkID: "w"}, Verdict: pipeline.Verdict{
		Identity: pipeline.Identity{Domain: 1, ASIN: "A", PriceType: 2}, Look: pipeline.LookCommit, Outcome: pipeline.Reject, Reason: "low_roi",
	}})
	if all := b.States(); len(all) != 1 || all[0].HiddenBecause != "" {
		t.Errorf("a replay hides it: %+v", all)
	}
}

func TestAFoldForgetsWhatItsStreamsHoldNoMore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name               string
		lines              []string
		versions, verdicts uint64 // the first that the streams hold
		unsure             bool
		states             []string // why each deal is hidden
	}{
		{"everything is held", []string{good, "commit accept ok", "peek reject low_roi"}, 1, 2, false, []string{"low_roi"}},
		{"the reject has aged", []string{good, "commit accept ok", "peek reject low_roi"}, 1, 4, false, []string{""}},
		{"the version has aged", []string{good, "commit accept ok", "peek reject low_roi"}, 2, 2, false, nil},
		{"a later version is held", []string{good, good, "peek reject low_roi"}, 2, 3, false, []string{"low_roi"}},
		{"a copy of the reject is held", []string{good, "peek reject low_roi of w9", "peek reject low_roi of w9"}, 1, 3, true, []string{""}},
	} {
		b := bookOf(t, c.lines...)
		unsure := b.Forget(c.versions, c.verdicts)
		var states []string
		for _, s := range b.States() {
			states = append(states, s.HiddenBecause)
		}
		if unsure != c.unsure || !slices.Equal(states, c.states) {
			t.Errorf("%s: unsure %v, states %q; want %v and %q", c.name, unsure, states, c.unsure, c.states)
		}
	}
}
