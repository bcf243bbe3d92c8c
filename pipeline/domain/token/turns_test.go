package token_test

import (
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
)

// served gives n turns to the lanes that have work, and counts them.
func served(turns token.Turns, n int, lanes ...pipeline.Source) map[pipeline.Source]int {
	waiting, got := map[pipeline.Source]int{}, map[pipeline.Source]int{}
	for _, s := range lanes {
		waiting[s] = 1000
	}
	for range n {
		next := turns.Next(waiting)
		turns[next]++
		got[next]++
	}
	return got
}

func TestLanesAreServedByTheirWeight(t *testing.T) {
	t.Parallel()
	got := served(token.Turns{}, 105, pipeline.Sources()...)
	for s, want := range token.LaneWeights() {
		if got[s] < want-1 || got[s] > want+1 {
			t.Errorf("%s was served %d of 105, want %d", s, got[s], want)
		}
	}
	if next := (token.Turns{}).Next(map[pipeline.Source]int{pipeline.SourceRetry: 2}); next != pipeline.SourceRetry {
		t.Errorf("only retries wait, and %q is served", next)
	}
	if next := (token.Turns{}).Next(nil); next != "" {
		t.Errorf("nothing waits, and %q is served", next)
	}
}

func TestALaneThatWasEmptyDoesNotSaveUpTurns(t *testing.T) {
	t.Parallel()
	live, backfill := pipeline.SourceLive, pipeline.SourceBackfill
	turns := token.Turns{}
	for alone, n := range map[pipeline.Source]int{live: 60_000, backfill: 5_000} {
		served(turns, n, alone)
		if got := served(turns, 65, live, backfill); got[live] < 59 || got[live] > 61 {
			t.Errorf("after a day of %s alone the next 65 go to %v, want 60 live", alone, got)
		}
	}
}
