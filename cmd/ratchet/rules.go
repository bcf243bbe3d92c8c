package main

import (
	"cmp"
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
	Apply   rulesApplyCmd   `cmd:"" help:"Apply a rule file without a restart. Deciding the stored deals again costs no token; rejects of the last week that now pass are looked at further, which may."`
	Cost    rulesCostCmd    `cmd:"" help:"Which rule costs most: what each rejected, and the tokens spent before."`
	History rulesHistoryCmd `cmd:"" help:"The applied rules, the newest first."`
	Revert  rulesRevertCmd  `cmd:"" help:"Apply the rules of an earlier version again."`
	Explain rulesExplainCmd `cmd:"" help:"Every rule, its inputs and its outcome for one ASIN, from stored answers; costs no token."`
}

// loadRules loads a rule file as a daemon would; an empty name loads the built-in rules.
func loadRules(ctx context.Context, file string) (*verdict.Judge, error) {
	j, err := worker.LoadRules(ctx, file)
	if err != nil {
		return nil, process.Usagef("--rules: %w; `ratchet rules check FILE` prints the same", err)
	}
	return j, nil
}

// judgedBy chooses the rules of a command about a running pipeline: those by which the pipeline decides, or others.
type judgedBy struct {
	Rules   string `help:"Judge by this rule file (default: the rules by which the pipeline decides)." placeholder:"FILE"`
	Started string `help:"" env:"RULES" hidden:""`
}

// load loads the rule file, or the rules of a pipeline that does not report its own.
func (f judgedBy) load(ctx context.Context) (*verdict.Judge, error) {
	return loadRules(ctx, cmp.Or(f.Rules, f.Started))
}

// current returns the loaded rules if they are from a file that was asked for, otherwise those of the pipeline.
func (f judgedBy) current(ctx context.Context, b *bus.Bus, loaded *verdict.Judge) (*verdict.Judge, error) {
	if f.Rules != "" {
		return loaded, nil
	}
	current, err := cli.CurrentRules(ctx, b, cli.RuleFile{Judge: loaded})
	if err != nil {
		return nil, fmt.Errorf("the rules of the pipeline: %w; --rules FILE judges by others", err)
	}
	return current.Judge, nil
}

type rulesCheckCmd struct {
	File    string `arg:"" help:"The rule file." type:"path"`
	Measure bool   `help:"Also decide 400 simulated books by the rules: what they find, what they miss, and what each heuristic rule costs."`
}

// Run loads a rule file as a daemon would.
func (c rulesCheckCmd) Run(a *app) error {
	j, err := worker.LoadRules(a.ctx, c.File)
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
