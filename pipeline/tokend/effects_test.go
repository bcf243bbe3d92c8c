package tokend

import (
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
)

func TestTokendWorksWhileAnyStageDoesAndWaitsOnlyIfNoneDoes(t *testing.T) {
	t.Parallel()
	open, waits := token.StageBalance{Open: 5}, token.StageBalance{Demand: 13}
	for range 50 { // the order of a map is another each time
		b := token.Balance{Stages: map[pipeline.Stage]token.StageBalance{
			pipeline.StageWatermarker: waits, pipeline.StagePeeker: open, pipeline.StageCommitter: waits,
		}}
		if got := activity(b); got != "working" {
			t.Fatalf("one stage spends and two wait: %s", got)
		}
		b.Stages[pipeline.StagePeeker] = token.StageBalance{}
		if got := activity(b); got != "waiting_for_tokens" {
			t.Fatalf("two stages wait: %s", got)
		}
	}
	if got := activity(token.Balance{}); got != "idle" {
		t.Errorf("no stage has work: %s", got)
	}
}
