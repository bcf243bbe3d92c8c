package scenario

import (
	"context"
	"fmt"
	"path/filepath"
)

// peekSaves is how many times cheaper a decision must be with looks than with a
// commit for every candidate.
const peekSaves = 5

// noPeekSpeed is the speed of the run without looks, which takes all day.
const noPeekSpeed = 600

// saves runs the backlog twice: normally and with a commit for every candidate.
func saves() Scenario {
	return Scenario{
		Name:  "peek-saves",
		About: "backlog400 side by side with a commit for every candidate: at least 5 times fewer tokens",
		Speed: 60, Drive: sideBySide,
	}
}

func sideBySide(ctx context.Context, o Options) (Figures, error) {
	with := o
	with.Data, with.NoPeek = filepath.Join(o.Data, "peek"), false
	f, err := backlog400().run(ctx, with)
	if err != nil {
		return f, err
	}
	without := o
	without.Data, without.NoPeek, without.Speed = filepath.Join(o.Data, "no-peek"), true, max(o.Speed, noPeekSpeed)
	g, err := backlog400().run(ctx, without)
	if err != nil {
		return f, fmt.Errorf("without the peek: %w", err)
	}
	f.Scenario, f.NoPeekTokens = "peek-saves", g.TokensSpent
	f.Notes = append(f.Notes, fmt.Sprintf("without looks: %d tokens, %.2f per decision, %.2f h; with them %.2f times fewer",
		g.TokensSpent, g.TokensPerDecision, g.HoursToAll, g.TokensPerDecision/max(f.TokensPerDecision, 0.001)))
	for _, miss := range g.Failures {
		f.Failures = append(f.Failures, "without the peek: "+miss)
	}
	if g.TokensPerDecision < peekSaves*f.TokensPerDecision {
		f.Failures = append(f.Failures, fmt.Sprintf("tokens per decision: %.3f with the peek and %.3f without, want at least %d times fewer",
			f.TokensPerDecision, g.TokensPerDecision, peekSaves))
	}
	f.OK = len(f.Failures) == 0
	return f, nil
}
