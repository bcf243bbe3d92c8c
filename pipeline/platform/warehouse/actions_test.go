package warehouse_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/platform/warehouse"
)

// traded is a purchase or a sale, or the undo of one.
func traded(seq uint64, at time.Time, kind, of action.Kind, asin string, cents int64) warehouse.ActionRow {
	r := warehouse.ActionRow{Origin: origin(pipeline.StreamActions, seq, at)}
	r.MsgID = fmt.Sprint("action ", seq)
	r.Action = action.Action{Kind: kind, Of: of, Target: action.Target{By: action.ByASIN, Domain: 1, Value: asin}, At: at}
	if of == "" {
		r.PriceCents, r.On = &cents, at.Format(time.DateOnly)
	}
	return r
}

func TestWhatWasSoldIsComparedWithWhatWasPredictedWhenItWasBought(t *testing.T) {
	t.Parallel()
	w := open(t)
	version := func(seq uint64, at time.Time, asin string, price, low, high, value int) warehouse.DealRow {
		d := dealRow(t, seq, at, fmt.Sprintf(`{"domain":1,"asin":%q,"price_type":2,"profit_cents":900,"sale_price_cents":%d,"sale_price_low_cents":%d,
			"sale_price_high_cents":%d,"expected_value_cents":%d}`, asin, price, low, high, value))
		d.MsgID = fmt.Sprint("deal ", seq)
		return d
	}
	must(t, w.InsertDeals(t.Context(), []warehouse.DealRow{
		version(1, noon, asinOf(1), 4000, 3000, 5000, 600),
		version(2, noon.Add(48*time.Hour), asinOf(1), 9000, 8000, 9900, 2600), // after it was bought
		version(3, noon, asinOf(2), 2000, 1500, 2500, 700),
		version(4, noon, asinOf(3), 1000, 900, 1100, 1200),
	}, "deals"))
	must(t, w.InsertActions(t.Context(), []warehouse.ActionRow{
		traded(1, noon.Add(time.Hour), action.Buy, "", asinOf(1), 999),
		traded(2, noon.Add(72*time.Hour), action.Sold, "", asinOf(1), 4400), // within the span
		traded(3, noon.Add(72*time.Hour), action.Sold, "", asinOf(2), 1400), // before it; no purchase is known
		traded(4, noon.Add(72*time.Hour), action.Sold, "", asinOf(3), 1000),
		traded(5, noon.Add(73*time.Hour), action.Undo, action.Sold, asinOf(3), 0),
		traded(6, noon.Add(74*time.Hour), action.Sold, "", asinOf(4), 1000), // never a deal
	}, "actions"))
	a, err := w.Ask(t.Context(), "calibration", map[string]string{"since": "2026-01-01 00:00:00"})
	must(t, err)
	row := map[string]any{}
	for i, name := range a.Columns {
		row[name] = a.Rows[0][i]
	}
	if len(a.Rows) != 1 || fmt.Sprint(row["band"], row["sold"], row["predicted_each"], row["sold_each"], row["within_percent"]) != "5 2 30 29 50" {
		t.Errorf("calibration says %v of %v", a.Rows, a.Columns)
	}
	want(t, w, "SELECT count() FROM actions_standing", "4")
	want(t, w, "SELECT arrayStringConcat(groupArray(hidden_because), '/') FROM (SELECT hidden_because FROM deal_states ORDER BY asin)", "bought//")
}

func TestAmountsAreSummedInTheCurrencyOfEachMarketplace(t *testing.T) {
	t.Parallel()
	w := open(t)
	if none, err := w.Ask(t.Context(), "deal-counts", nil); err != nil || len(none.Rows) != 1 || none.Rows[0][2] != uint64(0) {
		t.Errorf("before the first deal: %+v, %v; want one row of zeros", none, err)
	}
	var deals []warehouse.DealRow
	var looks []warehouse.VerdictRow
	for i, domain := range []int{1, 5} {
		seq := uint64(i + 1)
		for n := range 2 {
			d := dealRow(t, 2*seq+uint64(n), noon, fmt.Sprintf(`{"domain":%d,"asin":%q,"price_type":2,"profit_cents":1250,"sale_price_cents":4000,"sale_price_low_cents":3000,
				"sale_price_high_cents":5000,"expected_value_cents":1100}`, domain, asinOf(n)))
			d.MsgID = fmt.Sprint("deal ", d.Sequence)
			deals = append(deals, d)
		}
		v, value, profit := warehouse.VerdictRow{Origin: origin(pipeline.StreamVerdicts, seq, noon)}, int64(1100), int64(1250)
		v.Identity = pipeline.Identity{Domain: domain, ASIN: asinOf(1), PriceType: 2}
		v.Look, v.Outcome, v.ExpectedValueCents, v.ProfitCents, v.DecidedAt = pipeline.LookCommit, pipeline.Accept, &value, &profit, noon
		looks = append(looks, v)
	}
	must(t, w.InsertDeals(t.Context(), deals, "deals"))
	must(t, w.InsertVerdicts(t.Context(), looks, "looks"))
	sales := []warehouse.ActionRow{
		traded(1, noon.Add(72*time.Hour), action.Sold, "", asinOf(1), 4500), traded(2, noon.Add(72*time.Hour), action.Sold, "", asinOf(1), 4500),
	}
	sales[1].Domain = 5
	must(t, w.InsertActions(t.Context(), sales, "actions"))
	for _, c := range []struct {
		question string
		columns  []string
		want     string
	}{
		{"deal-counts", []string{"domain", "visible", "profit"}, "[[1 2 25] [5 2 2500]]"},
		{"deal-states", []string{"domain", "state", "deals", "profit"}, "[[1 visible 2 25] [5 visible 2 2500]]"},
		{
			"calibration",
			[]string{"domain", "band", "verdicts", "expected_each", "earned_each", "sold", "predicted_each", "sold_each"},
			"[[1 10 1 11 12.5 1 40 45] [5 1000 1 1100 1250 1 4000 4500]]",
		},
	} {
		params := map[string]string{"since": "2026-01-01 00:00:00"}
		if c.question == "deal-states" {
			params = nil
		}
		a, err := w.Ask(t.Context(), c.question, params)
		must(t, err)
		var got [][]any
		for _, row := range a.Rows {
			var of []any
			for _, name := range c.columns {
				if i := slices.Index(a.Columns, name); i >= 0 {
					of = append(of, row[i])
				}
			}
			got = append(got, of)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %v, want %s", c.question, got, c.want)
		}
	}
}
