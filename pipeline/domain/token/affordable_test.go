package token_test

import (
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
)

func TestWorkIsAffordableFromTokensThatNoOtherStageHolds(t *testing.T) {
	t.Parallel()
	held := map[pipeline.Stage]token.StageBalance{
		pipeline.StagePeeker:    {Credit: 10, Open: 5},
		pipeline.StageCommitter: {Credit: 20, Price: 8},
	}
	for name, c := range map[string]struct {
		balance token.Balance
		stage   pipeline.Stage
		waiting int
		want    int
	}{
		"all of it, where there is little":           {token.Balance{State: "burst", Est: 100, Stages: held}, pipeline.StagePeeker, 7, 7},
		"what is free and what it holds":             {token.Balance{State: "burst", Est: 100, Stages: held}, pipeline.StagePeeker, 1000, 80},
		"at the learned price":                       {token.Balance{State: "burst", Est: 100, Stages: held}, pipeline.StageCommitter, 1000, 10},
		"at the documented price before one is":      {token.Balance{State: "burst", Est: 130}, pipeline.StageCommitter, 1000, 10},
		"what it holds, where the balance recharges": {token.Balance{State: "recharge", Est: 100, Stages: held}, pipeline.StagePeeker, 1000, 15},
		"what it holds, in debt":                     {token.Balance{State: "burst", Est: -100, Stages: held}, pipeline.StagePeeker, 1000, 15},
		"nothing, while paused":                      {token.Balance{State: "paused", Wish: token.Paused, Est: 100, Stages: held}, pipeline.StagePeeker, 1000, 0},
		"nothing, while nothing may be spent":        {token.Balance{State: "nospend", Wish: token.Nospend, Est: 100, Stages: held}, pipeline.StagePeeker, 1000, 0},
	} {
		if got := c.balance.Affordable(c.stage, c.waiting); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
