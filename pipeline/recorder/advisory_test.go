package recorder

import (
	"encoding/json"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/test/streams"
)

func TestTheCopyOfALetterThatItsStageWroteIsDropped(t *testing.T) {
	t.Parallel()
	env, b := streams.Open(t)
	g := advisories{r: newRecorder(Config{}, env, b, nil)}
	eu := pipeline.Plan("eu")
	for durable, stage := range map[string]string{
		pipeline.DurableStray: "peeker", pipeline.DurableGlance: "peeker", pipeline.DurablePeek(pipeline.SourceLive): "peeker",
		pipeline.DurableCommit(pipeline.Tiers()[0]): "committer", pipeline.DurableRecorder(pipeline.StreamDeals): "recorder",
		eu.Own(pipeline.DurableGlance): "peeker", eu.Own(pipeline.DurablePeek(pipeline.SourceLive)): "peeker",
		eu.Own(pipeline.DurableCommit(pipeline.Tiers()[0])): "committer",
	} {
		ack, err := b.Publish(t.Context(), bus.Message{Subject: "candidate.99.live.B000000001", Schema: pipeline.SchemaCandidate, ID: durable})
		must(t, err)
		a := advisory{Type: "x.terminated", Stream: pipeline.StreamCandidates, Consumer: durable, Sequence: ack.Sequence, Deliveries: 1}
		it, err := g.message(t.Context(), a)
		must(t, err)
		must(t, b.DeadLetter(t.Context(), stage, it, "unreadable", nil))
		letters := dead(t, b)
		raw, err := json.Marshal(a)
		must(t, err)
		must(t, g.copy(t.Context(), raw))
		if more := dead(t, b) - letters; more != 0 {
			t.Errorf("a message that %s gave up has %d more dead letters", durable, more)
		}
	}
}

// dead returns the number of dead letters.
func dead(t *testing.T, b *bus.Bus) uint64 {
	t.Helper()
	s, err := b.JS.Stream(t.Context(), pipeline.StreamDead)
	must(t, err)
	return s.CachedInfo().State.Msgs
}
