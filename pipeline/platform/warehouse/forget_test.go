package warehouse_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/warehouse"
)

// TestForgettingRejectsChangesNoStateOfAnyDeal inserts a month of verdicts and versions with a day's disorder, as
// the recorder does, and forgets rejects between batches: the state of every deal is the same as if all were kept.
func TestForgettingRejectsChangesNoStateOfAnyDeal(t *testing.T) {
	t.Parallel()
	w := open(t)
	left, forgotten := rounds(2, 8), 0
	var seq uint64
	began := time.Now().UTC().Truncate(time.Second)
	rapid.Check(t, func(r *rapid.T) {
		if left--; left < 0 {
			return
		}
		rows := slices.Clone(drawVerdicts(r, seq, 60))
		for i := range rows {
			seq++
			rows[i].StoredAt = began.Add(time.Duration(seq) * 12 * time.Hour)
			rows[i].ASIN = asinOf(rapid.IntRange(0, 25).Draw(r, "asin of more"))
		}
		var deals []warehouse.DealRow // an accept has its version of the deal
		for _, v := range rows {
			if v.Outcome == pipeline.Accept && v.Run == pipeline.RunLive {
				deals = append(deals, dealRow(t, v.Sequence, v.DecidedAt, fmt.Sprintf(`{"domain":1,"asin":%q,"price_type":2,"profit_cents":5,"sale_price_cents":9}`, v.ASIN)))
			}
		}
		early := rapid.Bool().Draw(r, "deals before verdicts")
		if early {
			must(t, w.InsertDeals(t.Context(), deals, fmt.Sprint("deals", seq)))
		}
		// Of two that lie more than a day apart in the stream the earlier one comes first.
		for i := 0; i+1 < len(rows); i++ {
			if rapid.Bool().Draw(r, "swapped") {
				rows[i], rows[i+1] = rows[i+1], rows[i]
			}
		}
		for from := 0; from < len(rows); from += 20 {
			must(t, w.InsertVerdicts(t.Context(), rows[from:from+20], fmt.Sprint("verdicts", seq, from)))
			n, err := w.ForgetRejects(t.Context(), 1)
			must(t, err)
			forgotten += n
		}
		if !early {
			must(t, w.InsertDeals(t.Context(), deals, fmt.Sprint("deals", seq)))
		}
		for _, name := range []string{"deal_states", "confirmed", "checked"} {
			if rows, sum := ask(t, w, sums[name][0]), ask(t, w, sums[name][1]); rows != sum {
				r.Errorf("%s: the rows say\n%s\nthe sum says\n%s", name, rows, sum)
			}
		}
	})
	if forgotten == 0 {
		t.Error("nothing was forgotten")
	}
}

func TestARejectOfADealOrOfTheLastTwoDaysIsNotForgotten(t *testing.T) {
	t.Parallel()
	w := open(t)
	rows := make([]warehouse.VerdictRow, 4)
	now := time.Now().UTC()
	for i := range rows {
		rows[i] = warehouse.VerdictRow{Origin: origin(pipeline.StreamVerdicts, uint64(i)+1, noon), InputsJSON: `{}`}
		rows[i].Identity = pipeline.Identity{Domain: 1, ASIN: asinOf(i), PriceType: 2}
		rows[i].Look, rows[i].Outcome, rows[i].Reason = pipeline.LookGlance, pipeline.Reject, "no_sale"
		rows[i].StoredAt = now.Add(-3 * 24 * time.Hour)
	}
	rows[2].StoredAt = now.Add(-47 * time.Hour)
	rows[3].StoredAt = now
	must(t, w.InsertDeals(t.Context(), []warehouse.DealRow{dealRow(t, 1, noon, `{"domain":1,"asin":"`+asinOf(1)+`","price_type":2,"profit_cents":5}`)}, "d"))
	must(t, w.InsertVerdicts(t.Context(), rows, "v"))
	n, err := w.ForgetRejects(t.Context(), 2)
	must(t, err)
	if n != 0 {
		t.Errorf("forgot %d, although fewer than 2 were useless", n)
	}
	n, err = w.ForgetRejects(t.Context(), 1)
	must(t, err)
	if n != 1 {
		t.Errorf("forgot %d, want 1", n)
	}
	want(t, w, "SELECT count() FROM deal_facts WHERE rejected_id > 0 AND deal = cityHash64(toUInt16(1), '"+asinOf(0)+"', toUInt16(2))", "0")
	want(t, w, "SELECT count() FROM deal_facts FINAL WHERE rejected_id > 0", "3")
	want(t, w, "SELECT hidden_because FROM deal_states", "old_estimate")

	// A version and its accept come from two streams; after tidying they are one row.
	accept := rows[1]
	accept.Sequence, accept.Outcome, accept.Look, accept.Origin.WorkID = 9, pipeline.Accept, pipeline.LookCommit, "w9"
	must(t, w.InsertVerdicts(t.Context(), []warehouse.VerdictRow{accept}, "a"))
	before := ask(t, w, "SELECT * FROM deal_states")
	_, err = w.Tidy(t.Context())
	must(t, err)
	want(t, w, "SELECT count(), countIf(rejected_id > 0), countIf(confirmed_id > 0) FROM deal_facts", "3,3,1")
	want(t, w, "SELECT * FROM deal_states", before)
}

// TestAClockThatWasAheadForgetsNoReject: for an hour the machine's
// clock was years ahead. Later rows do not become older by it.
func TestAClockThatWasAheadForgetsNoReject(t *testing.T) {
	t.Parallel()
	w := open(t)
	rows := verdicts(30)
	at := time.Now().UTC()
	for i := range rows {
		rows[i].ASIN, rows[i].Outcome, rows[i].Reason, rows[i].Run = asinOf(i), pipeline.Reject, "no_sale", pipeline.RunLive
		rows[i].StoredAt = at.Add(time.Duration(i) * time.Minute)
		if i >= 10 && i < 15 {
			rows[i].StoredAt = rows[i].StoredAt.AddDate(4, 0, 0)
		}
	}
	must(t, w.InsertVerdicts(t.Context(), rows, "a"))
	_, err := w.ForgetRejects(t.Context(), 1)
	must(t, err)
	want(t, w, "SELECT count(), min(rejected_id) = (SELECT row_id FROM verdicts ORDER BY row_id LIMIT 1 OFFSET 10) FROM deal_facts FINAL", "20,1")
}
