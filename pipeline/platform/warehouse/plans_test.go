package warehouse_test

import (
	"fmt"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/warehouse"
)

func TestSpendingIsReportedByKeyAndAddsUp(t *testing.T) {
	t.Parallel()
	w := open(t)
	var rows []warehouse.LedgerRow
	for i, p := range []pipeline.Plan{"", "de", "de", ""} {
		claim := fmt.Sprintf("peeker-%d", i)
		e := pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Plan: p, Tokens: i + 1, PriceKind: pipeline.KindPeek, Items: 1, Claim: claim}
		rows = append(rows, published(claim, entry(uint64(i+1), noon.Add(time.Duration(i)*time.Minute), e))) //nolint:gosec // small
	}
	must(t, w.InsertLedger(t.Context(), rows, "plans"))
	must(t, w.InsertLedger(t.Context(), rows, "plans again")) // a repeat is the same row
	for question, want := range map[string]string{
		"SELECT plan, sum(calls), sum(tokens) FROM plan_spending GROUP BY plan ORDER BY plan":          "[[de 2 5] [main 2 5]]",
		"SELECT (SELECT sum(tokens) FROM plan_spending) = (SELECT sum(tokens) FROM spending) AS agree": "[[1]]",
	} {
		a, err := w.SQL(t.Context(), question, true)
		must(t, err)
		if got := fmt.Sprint(a.Rows); got != want {
			t.Errorf("%s: %s, want %s", question, got, want)
		}
	}
}
