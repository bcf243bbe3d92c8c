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
	for i, e := range []pipeline.Entry{
		{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Claim: "main.1", Tokens: 1}, // by the plan that had the marketplace before
		{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Claim: "de.1", Tokens: 1, Plan: "de"},
		{Event: pipeline.EventDrift, Stage: "tokend", Tokens: 1, At: time.Now().Add(time.Minute)}, // of the first key
	} {
		m, err := bus.Encode(e.Subject(), pipeline.SchemaLedger, fmt.Sprint(i), "", e)
		if err == nil {
			_, err = first.Publish(t.Context(), m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := responses.Outcomes(t.Context(), de, 3, pipeline.KindPeek, []string{"before", "own", "unanswered"})
	if err != nil {
		t.Fatal(err)
	}
	for work, want := range map[string]token.Attempts{
		"before": {Calls: 1, Paid: 1, Answered: 1}, "own": {Calls: 1, Paid: 1, Answered: 1}, "unanswered": {Calls: 1, Doubtful: 1},
	} {
		if got[work] != want {
			t.Errorf("%s: %+v, want %+v", work, got[work], want)
		}
	}
}
