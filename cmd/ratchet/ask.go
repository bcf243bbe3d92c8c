package main

import (
	"context"
	"time"

	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// sinceFlag limits how far back a question looks.
type sinceFlag struct {
	Since span `help:"Look back this much pipeline time (24h, 30d …)." default:"7d" placeholder:"D"`
}

// withHistory reads what was decided and spent, and passes it to work.
func (f sinceFlag) withHistory(a *app, nats natsFlags, work func(cli.History) error) error {
	if f.Since <= 0 {
		return process.Usagef("--since: want a positive duration, got %s", f.Since)
	}
	return nats.with(a, func(ctx context.Context, b *bus.Bus) error {
		h, err := cli.ReadHistory(ctx, b, func(now time.Time) time.Time { return now.Add(-time.Duration(f.Since)) })
		if err != nil {
			return err
		}
		return work(h)
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
	rulesFlag `embed:""`
	sinceFlag `embed:""`
}

// Run prints the rule that costs most.
func (c rulesCostCmd) Run(a *app) error {
	j, err := c.judge()
	if err != nil {
		return err
	}
	return c.withHistory(a, c.natsFlags, func(h cli.History) error { return h.WriteRules(a.out, j) })
}
