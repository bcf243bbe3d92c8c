package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/worker"
)

type rulesApplyCmd struct {
	natsFlags `embed:""`
	planFlag  `embed:""`
	File      string `arg:"" help:"The rule file; - reads the standard input."`
}

// Run puts a rule file live and decides the stored deals again by it.
func (c rulesApplyCmd) Run(a *app) error {
	body, j, err := worker.ReadRules(a.ctx, c.File)
	if err != nil {
		return a.complete(process.Usagef("%w", err))
	}
	return c.applyRules(a, c.planFlag, func(all []pipeline.AppliedRules) (pipeline.AppliedRules, error) {
		if n := len(all); n > 0 && all[n-1].Rules == string(body) {
			return all[n-1], nil // already applied: repeating the command completes an interrupted one
		}
		return pipeline.AppliedRules{RuleSet: j.Version(), Rules: string(body), File: filepath.Base(c.File)}, nil
	})
}

type rulesHistoryCmd struct {
	natsFlags `embed:""`
	planFlag  `embed:""`
}

// Run lists what was applied.
func (c rulesHistoryCmd) Run(a *app) error {
	f, err := c.of(c.planFlag)
	if err != nil {
		return err
	}
	return f.with(a, func(ctx context.Context, b *bus.Bus) error {
		all, err := cli.AppliedRules(ctx, b)
		if err != nil {
			return err
		}
		return cli.WriteHistory(a.out, all)
	})
}

type rulesRevertCmd struct {
	natsFlags `embed:""`
	planFlag  `embed:""`
	Version   *int `arg:"" optional:"" help:"The version to go back to; 0 is the one that RULES names (default: the previous one)."`
}

// Run puts the rules of an earlier version live.
func (c rulesRevertCmd) Run(a *app) error {
	return c.applyRules(a, c.planFlag, func(all []pipeline.AppliedRules) (pipeline.AppliedRules, error) {
		to, old, err := earlier("rules", all, func(a pipeline.AppliedRules) int { return a.Version }, c.Version)
		return pipeline.AppliedRules{Reverts: &to, Rules: old.Rules, RuleSet: old.RuleSet}, err
	})
}

// earlier returns the version to revert to, by default the one before the last, and what was applied by it: for 0
// nothing. what names the command.
func earlier[T any](what string, all []T, version func(T) int, asked *int) (to int, old T, err error) {
	if len(all) == 0 {
		return 0, old, process.Usagef("no %s were applied, so there is nothing to revert", what)
	}
	if to = version(all[len(all)-1]) - 1; asked != nil {
		to = *asked
	}
	if to == 0 {
		return 0, old, nil
	}
	i := slices.IndexFunc(all, func(a T) bool { return version(a) == to })
	if i < 0 {
		return to, old, process.Usagef("version %d does not exist; `ratchet %s history` lists the versions that are kept", to, what)
	}
	return to, all[i], nil
}

// applyVersion runs apply, prints which version is current and continues with then. what is the command's name.
func applyVersion[T any](f natsFlags, a *app, p planFlag, what string, apply func(context.Context, *bus.Bus) (cli.Applied[T], error), then func(*bus.Bus, cli.Applied[T]) error) error {
	f, err := f.of(p)
	if err != nil {
		return err
	}
	b, err := f.connect(a.ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	ctx, cancel := a.bounded(answerWithin)
	defer cancel()
	v, err := apply(ctx, b)
	if err != nil {
		return a.complete(err)
	}
	if v.Already {
		_, err = fmt.Fprintf(a.out, "Version %d has these %s and is already current.\n", v.Version, what)
	} else {
		_, err = fmt.Fprintf(a.out, "Version %d is live (%s); `ratchet %s revert` undoes it.\n", v.Version, v.Name, what)
	}
	if err != nil {
		return err
	}
	return then(b, v)
}

// applyRules makes the rules of next current, waits for the daemons and decides the stored deals again.
func (f natsFlags) applyRules(a *app, p planFlag, next func([]pipeline.AppliedRules) (pipeline.AppliedRules, error)) error {
	return applyVersion(f, a, p, "rules", func(ctx context.Context, b *bus.Bus) (cli.Applied[pipeline.AppliedRules], error) {
		return cli.ApplyNextRules(ctx, b, next)
	}, func(b *bus.Bus, v cli.Applied[pipeline.AppliedRules]) error { return redecide(a, b, v.Is) })
}

// redecide waits for the daemons and decides the stored deals again by rules that are live.
func redecide(a *app, b *bus.Bus, v pipeline.AppliedRules) error {
	beats := cli.AwaitRules(a.ctx, b, v.Version)
	cli.WriteDeciders(a.errOut, v.Version, beats)
	rules := cli.RulesText(a.ctx, b, v)
	if rules == nil {
		_, err := fmt.Fprintln(a.out, "The stored deals were not decided again: the committers do not report their rules, or report different ones. Run `ratchet rules apply FILE` with the rule file that they use.")
		return err
	}
	judge, err := verdict.NewJudge(rules)
	if err != nil {
		return fmt.Errorf("these rules do not load in this build: %w", err)
	}
	bar := replay.NewBar(a.errOut, isTerminal(a.errOut))
	r, err := replay.Deals(a.ctx, b, judge, v.Version, bar.Show)
	bar.End()
	if err != nil && a.ctx.Err() != nil {
		return errors.New("interrupted; the rules are live; repeat the command to decide the rest of the deals again")
	}
	if err != nil {
		return fmt.Errorf("the rules are live, but not every stored deal was decided again: %w; repeat the command", err)
	}
	if err := cli.WriteRedecided(a.out, r); err != nil {
		return err
	}
	return reconsider(a, b, v, rules)
}

// reconsider decides again what was rejected in the last week, and prints the result.
func reconsider(a *app, b *bus.Bus, v pipeline.AppliedRules, rules []byte) error {
	bar := replay.NewBar(a.errOut, isTerminal(a.errOut))
	r, err := cli.Reconsider(a.ctx, b, v, rules, bar.Show)
	bar.End()
	if err != nil && a.ctx.Err() != nil {
		return errors.New("interrupted; the rules are live and the deals are decided; repeat the command to continue with the rejects")
	}
	if err != nil {
		return fmt.Errorf("the rules are live and the deals are decided, but not all that was rejected in the last week: %w; repeat the command", err)
	}
	return cli.WriteReconsidered(a.out, r)
}
