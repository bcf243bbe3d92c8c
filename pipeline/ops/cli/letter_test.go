package cli

import (
	"encoding/json"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
)

func TestARetryOfARetryStillUsesTheAnswersOfTheFirstWork(t *testing.T) {
	t.Parallel()
	c := pipeline.Candidate{
		Identity: pipeline.Identity{Domain: 1, ASIN: "B000000001", PriceType: 2, CreationDate: 7_000_000}, Source: pipeline.SourceLive,
		ListSeenAt: noon, Row: json.RawMessage(`{"asin":"B000000001","creationDate":7000000}`),
	}
	first := messages.Candidate("live", c.WorkID(pipeline.FirstGeneration), c)
	retried := func(m bus.Message, letter uint64, pay bool) (bus.Message, decide.Work) {
		t.Helper()
		header := func(m bus.Message) map[string][]string {
			return map[string][]string{pipeline.HeaderSchema: {m.Schema}, pipeline.HeaderWorkID: {m.WorkID}}
		}
		next := again(Letter{Sequence: letter}, pipeline.Dead{Header: header(m), Body: m.Body}, pipeline.SchemaCandidate, pay)
		w, err := messages.Work(pipeline.SchemaCandidate, header(next), next.Body)
		if err != nil || w.Survivor.Attempt != int(letter) || w.Survivor.Pay != pay || next.WorkID == m.WorkID {
			t.Fatalf("letter %d: %+v, %v", letter, w.Survivor, err)
		}
		return next, w
	}
	m := first
	for letter := range uint64(3) {
		var w decide.Work
		if m, w = retried(m, letter+1, false); w.Survivor.AnswersOf != first.WorkID {
			t.Errorf("retry %d uses the answers of %q, want those of %q", letter+1, w.Survivor.AnswersOf, first.WorkID)
		}
	}
	paid, w := retried(m, 4, true)
	if w.Survivor.AnswersOf != "" {
		t.Errorf("it is paid for, and uses the answers of %q", w.Survivor.AnswersOf)
	}
	if _, w = retried(paid, 5, false); w.Survivor.AnswersOf != paid.WorkID {
		t.Errorf("a retry of what was paid for again uses the answers of %q, want those of %q", w.Survivor.AnswersOf, paid.WorkID)
	}
}
