package desk

import (
	"bytes"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/schemas"
)

const (
	// Soon is a speed at which work that is postponed for 30 to 120 s of pipeline time returns at once.
	Soon = 300
	// Credit is more than any test claims: without a tokend, what a claim reserved and did not use is not issued again.
	Credit = 100_000
)

// Redeliver resets consumers of SURVIVORS, which then deliver everything again.
func (d *Desk) Redeliver(t testing.TB, durables ...string) {
	t.Helper()
	stream, err := d.Bus.JS.Stream(t.Context(), pipeline.StreamSurvivors)
	if err != nil {
		t.Fatal(err)
	}
	for _, durable := range durables {
		if _, err := stream.ResetConsumerToSequence(t.Context(), durable, 1); err != nil {
			t.Fatal(err)
		}
	}
}

// AwaitRedelivery waits until a consumer of SURVIVORS has delivered a message again.
func (d *Desk) AwaitRedelivery(t testing.TB, durable string) {
	t.Helper()
	Await(t, durable+" delivers again", func() bool {
		c, err := d.Bus.JS.Consumer(t.Context(), pipeline.StreamSurvivors, durable)
		if err != nil {
			t.Fatal(err)
		}
		return c.CachedInfo().NumRedelivered > 0
	})
}

// AwaitSettled waits until everything that consumers of SURVIVORS deliver is settled.
func (d *Desk) AwaitSettled(t testing.TB, durables ...string) {
	t.Helper()
	for _, durable := range durables {
		Await(t, "everything of "+durable+" is settled", func() bool {
			pending, unsettled, err := d.Bus.Waiting(t.Context(), pipeline.StreamSurvivors, durable)
			if err != nil {
				t.Fatal(err)
			}
			return pending == 0 && unsettled == 0
		})
	}
}

// BuiltIn returns the built-in rules.
func BuiltIn(t testing.TB) *verdict.Judge {
	t.Helper()
	return judge(t, schemas.UsedBooks)
}

// StrictRules returns rules that reject every book for its profit, and their version.
func StrictRules(t testing.TB) (rules, version string) {
	t.Helper()
	strict := bytes.Replace(schemas.UsedBooks, []byte("min_profit_cents: 300"), []byte("min_profit_cents: 90000"), 1)
	return string(strict), judge(t, strict).Version()
}

func judge(t testing.TB, rules []byte) *verdict.Judge {
	t.Helper()
	j, err := verdict.NewJudge(rules)
	if err != nil {
		t.Fatal(err)
	}
	return j
}
