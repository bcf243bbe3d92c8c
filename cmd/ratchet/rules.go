package main

import (
	"context"
	"fmt"

	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/scenario"
	"ratchet/pipeline/worker"
)

type rulesCmd struct {
	Check   rulesCheckCmd   `cmd:"" help:"Load and type-check a rule file."`
	Apply   rulesApplyCmd   `cmd:"" help:"Apply a rule file without a restart, and decide the stored deals again by it; costs no token."`
	Cost    rulesCostCmd    `cmd:"" help:"Which rule costs most: what each rejected, and the tokens spent before."`
	History rulesHistoryCmd `cmd:"" help:"The applied rules, the newest first."`
	Revert  rulesRevertCmd  `cmd:"" help:"Apply the rules of an earlier version again."`
	Explain rulesExplainCmd `cmd:"" help:"Every rule, its inputs and its outcome for one ASIN, from stored answers; costs no token."`
}

// rulesFlag chooses the rules of a command.
type rulesFlag struct {
	Rules string `help:"The rule file (default: the built-in rules for used books)." env:"RULES" placeholder:"FILE"`
}

// judge loads the rules as a daemon would.
func (f rulesFlag) judge() (*verdict.Judge, error) { return f.judgeIn(context.Background()) }

// judgeIn is judge; reading and checking end with ctx.
func (f rulesFlag) judgeIn(ctx context.Context) (*verdict.Judge, error) {
	j, err := worker.JudgeIn(ctx, f.Rules)
	if err != nil {
		return nil, process.Usagef("--rules: %w; `ratchet rules check FILE` prints the same", err)
	}
	return j, nil
}

type rulesCheckCmd struct {
	File    string `arg:"" help:"The rule file." type:"path"`
	Measure bool   `help:"Also decide 400 simulated books by the rules: what they find, what they miss, and what each heuristic rule costs."`
}

// Run loads a rule file as a daemon would.
func (c rulesCheckCmd) Run(a *app) error {
	j, err := worker.JudgeIn(a.ctx, c.File)
	if err != nil {
		return a.complete(&process.UsageError{Err: err})
	}
	if err := cli.WriteRules(a.out, c.File, j); err != nil || !c.Measure {
		return err
	}
	books, err := scenario.NewBooks(1)
	if err != nil {
		return fmt.Errorf("make simulated books: %w", err)
	}
	return a.complete(books.WriteMeasure(a.ctx, a.out, j))
}

type rulesExplainCmd struct {
	asinCmd `embed:""`
}

// Run explains what the rules make of what is stored about an ASIN.
func (c rulesExplainCmd) Run(a *app) error {
	return c.print(a, func(ctx context.Context, b *bus.Bus, j *verdict.Judge, asin string) (answer, error) {
		e, err := cli.Explain(ctx, b, j, asin)
		if err != nil {
			return nil, fmt.Errorf("explain %s: %w", asin, err)
		}
		return e, nil
	})
}
