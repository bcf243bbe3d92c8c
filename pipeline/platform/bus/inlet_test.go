package bus_test

import (
	"errors"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/loop"
)

func TestOfEachMessageThatAStageGivesUpThereIsOneDeadLetter(t *testing.T) {
	t.Parallel()
	b := open(t)
	for range 2 { // the second time is a redelivery after a crash
		for _, stream := range []string{pipeline.StreamCandidates, pipeline.StreamSurvivors} {
			it := loop.Item{Stream: stream, Sequence: 5, Body: []byte("{}")}
			if err := b.DeadLetter(t.Context(), "peeker", it, "unreadable", errors.New("odd")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n, err := b.Last(t.Context(), pipeline.StreamDead); err != nil || n != 2 {
		t.Errorf("%d dead letters (%v) of message 5 of CANDIDATES and message 5 of SURVIVORS, want one of each", n, err)
	}
}
