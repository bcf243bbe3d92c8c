package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/roles"
	"ratchet/pipeline/platform/warehouse"
)

type topologyCmd struct {
	Diff  topologyDiffCmd  `cmd:"" help:"Show what differs from what this build and configuration want; changes nothing. Exit code 1 if something does."`
	Apply topologyApplyCmd `cmd:"" help:"Create and change streams, consumers, buckets and ClickHouse's tables. Nothing is lowered without --lower."`
	Roles topologyRolesCmd `cmd:"" help:"Print the configuration of a NATS server with the rights of every role, for these plans."`
}

type topologyRolesCmd struct {
	Plans string `help:"The plans beside the first one, where there are several Keepa keys: NAME=MARKETPLACE,… with spaces between, like \"eu=de jp=co.jp\". apply adds them to the existing plans; it changes and removes none." env:"KEEPA_PLANS" placeholder:"PLANS"`
}

// Run prints the configuration of a NATS server.
func (c topologyRolesCmd) Run(a *app) error {
	plans, err := plan.Parse(c.Plans)
	if err != nil {
		return process.Usagef("--plans: %w", err)
	}
	_, err = fmt.Fprint(a.out, roles.Config(plans.Named()...))
	return err
}

type topologyDiffCmd struct {
	natsFlags     `embed:""`
	clickhouseURL `embed:""`
}

// Run prints the differences.
func (c topologyDiffCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	return c.natsFlags.with(a, func(ctx context.Context, b *bus.Bus) error {
		found, err := b.Differences(ctx)
		if err != nil {
			return err
		}
		n := len(found)
		for _, d := range found {
			fmt.Fprintln(a.out, d)
		}
		if c.URL != standalone.None {
			if err := schema(ctx, c.URL); err != nil {
				n++
				fmt.Fprintf(a.out, "clickhouse: %v\n", err)
			}
		}
		if n > 0 {
			return fmt.Errorf("%d differences; `ratchet topology apply` removes them", n)
		}
		_, err = fmt.Fprintln(a.out, "nothing differs")
		return err
	})
}

// schema is what keeps a recorder from writing to ClickHouse.
func schema(ctx context.Context, url string) error {
	w, err := warehouse.Reach(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(w.Current(ctx), w.Close())
}

type topologyApplyCmd struct {
	natsFlags     `embed:""`
	clickhouseURL `embed:""`
	Plans         string        `help:"The plans beside the first one, where there are several Keepa keys: NAME=MARKETPLACE,… with spaces between, like \"eu=de jp=co.jp\". apply adds them to the existing plans; it changes and removes none." env:"KEEPA_PLANS" placeholder:"PLANS"`
	Lower         bool          `help:"Also lower replicas, ages and sizes: what is beyond them is lost."`
	KeepDays      int           `help:"How many days ClickHouse keeps verdicts, the ledger, the balance and dead letters; sums by hour and day, and deals, stay." env:"RECORDER_KEEP_DAYS" default:"400" placeholder:"DAYS"`
	Wait          time.Duration `help:"How long to wait for NATS and ClickHouse; 0: no limit." env:"NATS_WAIT" default:"0s" placeholder:"D"`
}

// Run provisions NATS, then ClickHouse.
func (c topologyApplyCmd) Run(a *app) error {
	if err := errors.Join(c.check(), warehouse.CheckDays(c.KeepDays)); err != nil {
		return err
	}
	ctx := a.ctx
	if c.Wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = a.bounded(c.Wait)
		defer cancel()
	}
	if err := c.applyNATS(ctx, a); err != nil {
		return a.complete(err)
	}
	if c.URL == standalone.None {
		return nil
	}
	// It repeats until the tables are up to date; only a server that does not answer is waited for.
	err := warehouse.ProvisionWhenUp(ctx, c.URL, c.KeepDays, func(err error) { a.env.Log.Warn("waiting for ClickHouse", "err", err) })
	if err != nil {
		return a.complete(err)
	}
	_, err = fmt.Fprintln(a.out, "clickhouse: the tables are those of this build")
	return err
}

func (c topologyApplyCmd) applyNATS(ctx context.Context, a *app) error {
	cfg, err := c.config(ctx, a)
	if err != nil {
		return err
	}
	var plans plan.Map // nil: those that there are
	if c.Plans != "" {
		if plans, err = plan.Parse(c.Plans); err != nil {
			return process.Usagef("--plans: %w", err)
		}
	}
	b, err := bus.Connect(ctx, cfg, a.env, "provisioner")
	if err != nil {
		return err
	}
	defer b.Close()
	return b.Apply(ctx, bus.Provision{Lower: c.Lower, Plans: plans, Done: func(d bus.Difference, made bool) { fmt.Fprintln(a.out, provisioned(d, made)) }})
}

// provisioned is a line about what was done.
func provisioned(d bus.Difference, made bool) string {
	switch {
	case d.Field == "":
		return "created " + d.On
	case made && d.Field == "compression":
		return fmt.Sprintf("changed %s: compression was %s, is %s; a running server continues to compress: restart each NATS server in turn", d.On, d.Have, d.Want)
	case made:
		return fmt.Sprintf("changed %s: %s was %s, is %s", d.On, d.Field, d.Have, d.Want)
	case d.Lowers:
		return fmt.Sprintf("kept    %s; --lower lowers it", d)
	}
	return "kept    " + d.String()
}
