package main

import (
	"context"
	"time"

	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// sinceFlag limits how far back a question looks.
type sinceFlag struct {
	Since span `help:"Look back this much pipeline time (24h, 30d …)." default:"7d" placeholder:"D"`
}

// withHistory reads what was decided and spent, and passes it to work with the rules.
func (f sinceFlag) withHistory(a *app, nats natsFlags, rules judgedBy, work func(cli.History, *verdict.Judge) error) error {
	if f.Since <= 0 {
		return process.Usagef("--since: want a positive duration, got %s", f.Since)
	}
	loaded, err := rules.load(a.ctx)
	if err != nil {
		return err
	}
	return nats.with(a, func(ctx context.Context, b *bus.Bus) error {
		judge, err := rules.current(ctx, b, loaded)
		if err != nil {
			return err
		}
		h, err := cli.ReadHistory(ctx, b, func(now time.Time) time.Time { return now.Add(-time.Duration(f.Since)) })
		if err != nil {
			return err
		}
		return work(h, judge)
	})
}

type spendCmd struct {
	natsFlags `embed:""`
	Since     span `help:"Look back this much pipeline time instead (24h, 30d …)." placeholder:"D"`
}

// Run prints what was spent today, pipeline time, UTC.
func (c spendCmd) Run(a *app) error {
	if c.Since < 0 {
		return process.Usagef("--since: want a positive duration, got %s", c.Since)
	}
	since, when := func(now time.Time) time.Time { return now.Truncate(24 * time.Hour) }, "today"
	if c.Since > 0 {
		since, when = func(now time.Time) time.Time { return now.Add(-time.Duration(c.Since)) }, "in the last "+c.Since.String()
	}
	return c.with(a, func(ctx context.Context, b *bus.Bus) error {
		h, err := cli.ReadHistory(ctx, b, since)
		if err != nil {
			return err
		}
		return h.WriteSpent(a.out, when)
	})
}

type rulesCostCmd struct {
	natsFlags `embed:""`
	judgedBy  `embed:""`
	sinceFlag `embed:""`
}

// Run prints the rule that costs most.
func (c rulesCostCmd) Run(a *app) error {
	return c.withHistory(a, c.natsFlags, c.judgedBy, func(h cli.History, j *verdict.Judge) error { return h.WriteRules(a.out, j) })
}
