package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"ratchet/pipeline"
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
	Show    rulesShowCmd    `cmd:"" help:"Print the rule file by which the pipeline decides, or that of an applied version."`
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

// liveRules returns the rules by which the pipeline decides; started is the file of a pipeline that does not report its
// own, and empty for the built-in one.
func liveRules(ctx context.Context, b *bus.Bus, started string) (cli.RuleFile, error) {
	body, judge, err := worker.ReadRules(ctx, started)
	if err != nil {
		return cli.RuleFile{}, process.Usagef("RULES: %w", err)
	}
	return cli.CurrentRules(ctx, b, cli.RuleFile{Text: body, Judge: judge, From: cmp.Or(started, "built in")})
}

type rulesShowCmd struct {
	natsFlags `embed:""`
	planFlag  `embed:""`
	Version   *int   `arg:"" optional:"" help:"The version to print; 0 is the one that RULES names (default: the current one)."`
	Started   string `help:"" env:"RULES" hidden:""`
}

// Run prints a rule file on standard output, and on standard error which one it is.
func (c rulesShowCmd) Run(a *app) error {
	f, err := c.of(c.planFlag)
	if err != nil {
		return err
	}
	return f.with(a, func(ctx context.Context, b *bus.Bus) error {
		if c.Version != nil {
			return c.earlier(ctx, a, b, *c.Version)
		}
		rules, err := liveRules(ctx, b, c.Started)
		if err != nil {
			return fmt.Errorf("the rules of the pipeline: %w", err)
		}
		fmt.Fprintf(a.errOut, "rules %s: %s\n", rules.Judge.Version(), rules.From)
		_, err = a.out.Write(rules.Text)
		return err
	})
}

// earlier prints the rule file of an applied version.
func (c rulesShowCmd) earlier(ctx context.Context, a *app, b *bus.Bus, version int) error {
	var v pipeline.AppliedRules // that of 0
	if version != 0 {
		all, err := cli.AppliedRules(ctx, b)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(v pipeline.AppliedRules) bool { return v.Version == version })
		if i < 0 {
			return process.Usagef("version %d does not exist; `ratchet rules history` lists the versions that are kept", version)
		}
		v = all[i]
	}
	text := cli.RulesText(ctx, b, v)
	if text == nil {
		return errors.New("no committer reports its rule file, or their files differ: it is the file that RULES names where they run")
	}
	_, err := a.out.Write(text)
	return err
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
