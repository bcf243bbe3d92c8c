package work

import (
	"context"
	"fmt"

	"ratchet/pipeline/daemon"
	"ratchet/pipeline/verdict"
	"ratchet/schemas"
)

// Judge loads a rule file; an empty name is the built-in rules for used books.
func Judge(file string) (*verdict.Judge, error) { return JudgeIn(context.Background(), file) }

// JudgeIn is Judge for a command: reading and checking end with ctx.
func JudgeIn(ctx context.Context, file string) (*verdict.Judge, error) {
	if file == "" {
		return verdict.NewJudge(schemas.UsedBooks)
	}
	body, err := daemon.ReadFile(ctx, file)
	if err != nil {
		return nil, fmt.Errorf("read rules: %w", err)
	}
	j, err := daemon.Until(ctx, func() (*verdict.Judge, error) { return verdict.NewJudge(body) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return j, nil
}
