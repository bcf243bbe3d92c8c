package newcomer_test

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/test/desk"
)

// spent holds what `ratchet spend` says of the streams against the view spending. Nobody spends any more; the run has
// calls of every kind, and what a run seldom has is published: a caller that died, and tokens that went elsewhere.
func (w *world) spent(t *testing.T) {
	at := w.box.Env.Now()
	for id, e := range map[string]pipeline.Entry{
		"by hand 1": {Event: pipeline.EventLost, Stage: pipeline.StageCommitter, PriceKind: pipeline.KindCommit, Tokens: 9, Items: 1, Claim: "dead"},
		"by hand 2": {Event: pipeline.EventDrift, Stage: "tokend", Tokens: 31},
		"by hand 3": {Event: pipeline.EventDrift, Stage: "tokend", Tokens: -4},
		"by hand 4": {Event: pipeline.EventExpired, Stage: "tokend", Tokens: 70}, // not spent
	} {
		e.At = at
		m, err := bus.Encode(pipeline.SubjectLedger(e.Stage, e.Event), pipeline.SchemaLedger, id, "", e)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // a repeat is dropped
			if _, err := w.box.Bus.Publish(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	sum, err := cli.Tally(t.Context(), w.box.Bus)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"lost": sum.Lost(), "drift": sum.Drift()}
	for _, s := range sum.Spent() {
		if s.Tokens != 0 {
			want[fmt.Sprint("close ", s.Stage, " ", s.Kind)] = s.Tokens
		}
	}
	var got map[string]int
	desk.Await(t, "the ledger in ClickHouse", func() bool {
		got = w.sums(t)
		return maps.Equal(got, want)
	})
	total := 0
	for _, n := range want {
		total += n
	}
	if len(want) < 5 || sum.Lost() < 9 || sum.Drift() == 0 {
		t.Errorf("of %v: this proves nothing", want)
	}
	h, err := cli.Past(t.Context(), w.box.Bus, func(now time.Time) time.Time { return now.Add(-1000 * time.Hour) })
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := h.WriteSpent(&out, "ever"); err != nil || !regexp.MustCompile(fmt.Sprintf(`^%d tokens were spent ever`, total)).MatchString(out.String()) {
		t.Errorf("%v; spending has %d tokens, spend says\n%s", err, total, out.String())
	}
}

// sums are the tokens of the view, by what they were spent on.
func (w *world) sums(t *testing.T) map[string]int {
	t.Helper()
	a, err := w.warehouse.SQL(t.Context(), `SELECT if(event = 'close', concat(event, ' ', stage, ' ', price_kind), toString(event)) AS what, toString(sum(tokens)) AS n
		FROM spending GROUP BY what`, true)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, row := range a.Rows {
		n := 0
		if _, err := fmt.Sscan(fmt.Sprint(row[1]), &n); err != nil {
			t.Fatal(err)
		}
		out[fmt.Sprint(row[0])] = n
	}
	return out
}
