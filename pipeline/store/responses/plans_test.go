package responses_test

import (
	"fmt"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/responses"
	"ratchet/test/streams"
)

func TestAPlanKnowsWhatEveryKeyPaidForItsWorkAndNoOtherKeysDrift(t *testing.T) {
	t.Parallel()
	env, first := streams.Open(t)
	if err := first.Apply(t.Context(), bus.Provision{Plans: plan.Map{"de": {keepa.DomainDE}}}); err != nil {
		t.Fatal(err)
	}
	de, err := bus.OpenFor(t.Context(), streams.Config(), env, "peeker", "de")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(de.Close)
	for claim, work := range map[string]string{"main.1": "before", "de.1": "own", "de.2": "unanswered"} {
		if err := responses.RecordAttempts(t.Context(), de, 3, pipeline.KindPeek, []string{work}, claim); err != nil {
			t.Fatal(err)
		}
	}
	line := func(b *bus.Bus, e pipeline.Entry) {
		t.Helper()
		m, err := bus.Encode(e.Subject(), pipeline.SchemaLedger, fmt.Sprint(e.Event, e.Claim, e.Plan), "", e)
		if err == nil {
			_, err = b.Publish(t.Context(), m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range []pipeline.Entry{
		{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Claim: "main.1", Tokens: 1}, // by the plan that had the marketplace before
		{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Claim: "de.1", Tokens: 1, Plan: "de"},
		{Event: pipeline.EventDrift, Stage: "tokend", Tokens: 1, At: time.Now().Add(time.Minute)}, // of the first key
	} {
		line(first, e)
	}
	closed := func(b *bus.Bus) { // the books of a plan, after every call
		t.Helper()
		kv, err := b.Store(t.Context(), b.Own(pipeline.BucketTokens))
		if err == nil {
			_, err = kv.PutString(t.Context(), pipeline.KeyBalance, fmt.Sprintf(`{"books":{"closed":%q}}`, time.Now().Add(time.Hour).Format(time.RFC3339)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		after      string
		happens    func()
		unanswered token.Attempts
	}{
		{"the calls", func() {}, token.Attempts{Calls: 1, Doubtful: 1}},
		{"the first key's books are closed", func() { closed(first) }, token.Attempts{Calls: 1, Doubtful: 1}},
		{"its own books are closed", func() { closed(de) }, token.Attempts{Calls: 1}},
		{"they show a drift", func() {
			line(de, pipeline.Entry{Event: pipeline.EventDrift, Stage: "tokend", Tokens: 1, At: time.Now().Add(time.Minute), Plan: "de"})
		}, token.Attempts{Calls: 1, Paid: 1}},
	} {
		c.happens()
		got, err := responses.Outcomes(t.Context(), de, 3, pipeline.KindPeek, []string{"before", "own", "unanswered"})
		if err != nil {
			t.Fatal(err)
		}
		answered := token.Attempts{Calls: 1, Paid: 1, Answered: 1}
		for work, want := range map[string]token.Attempts{"before": answered, "own": answered, "unanswered": c.unanswered} {
			if got[work] != want {
				t.Errorf("after %s: %s: %+v, want %+v", c.after, work, got[work], want)
			}
		}
	}
}
