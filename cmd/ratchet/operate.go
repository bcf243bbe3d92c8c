package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

// answerWithin bounds a command that should answer at once.
const answerWithin = 30 * time.Second

// `status` returns within a second, with the parts that have answered. `status --check` waits longer for all of
// them: a false alarm on a busy machine would be worse than a slow check.
const (
	statusWithin = 850 * time.Millisecond
	checkWithin  = 5 * time.Second
)

// natsFlags choose the NATS that a command uses.
type natsFlags struct {
	NATSURL string `name:"nats-url" help:"NATS to ask (default: ${default})." env:"NATS_URL" default:"nats://127.0.0.1:4222" placeholder:"URL"`

	plan *pipeline.Plan `kong:"-"` // of the connection; nil: none is asked for
}

// planFlag chooses one of several Keepa keys.
type planFlag struct {
	Plan string `help:"The plan, where there are several Keepa keys (default: main, the first one)." env:"KEEPA_PLAN" placeholder:"NAME"`
}

// of is a connection of a plan.
func (f natsFlags) of(p planFlag) (natsFlags, error) {
	var plan pipeline.Plan
	if err := plan.EnvDecode(p.Plan); err != nil {
		return f, process.Usagef("--plan: %w", err)
	}
	f.plan = &plan
	return f, nil
}

// connectWithin is how long a command waits for NATS.
const connectWithin = 10 * time.Second

// config is the configuration of NATS in the environment, at the address of the flag.
func (f natsFlags) config(ctx context.Context, a *app) (bus.Config, error) {
	c, err := process.Load[bus.Configured](ctx, a.env.Lookup)
	c.NATS.URL = f.NATSURL
	return c.NATS, err
}

// connect opens the bus for a command. Where nothing listens it fails at once, because most commands are not run while
// NATS starts.
func (f natsFlags) connect(ctx context.Context, a *app) (*bus.Bus, error) {
	cfg, err := f.config(ctx, a)
	if err != nil {
		return nil, err
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, connectWithin)
	defer cancel()
	if err := reach(ctx, cfg.URL); err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("no pipeline runs at %s (%w): start `ratchet up` in another terminal and leave it running, or set NATS_URL", bus.RedactURL(cfg.URL), err)
	}
	cfg.URL = credentials(cfg.URL, natsd.User)
	b, err := bus.Connect(ctx, cfg, a.env, "ratchet-cli")
	if err != nil || f.plan == nil {
		return b, err
	}
	if err := b.For(ctx, *f.plan); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// with runs f with an open bus and a limit.
func (f natsFlags) with(a *app, work func(context.Context, *bus.Bus) error) error {
	return f.within(a, answerWithin, work)
}

// within is with another limit, the connection included.
func (f natsFlags) within(a *app, limit time.Duration, work func(context.Context, *bus.Bus) error) error {
	ctx, cancel := a.bounded(limit)
	defer cancel()
	b, err := f.connect(ctx, a)
	if err != nil {
		return err
	}
	defer func() {
		if ctx.Err() != nil {
			b.Abandon() // it has not answered until now
			return
		}
		b.Close()
	}()
	return a.complete(work(ctx, b))
}

type statusCmd struct {
	natsFlags     `embed:""`
	clickhouseURL `embed:""`
	JSON          bool `help:"One JSON object."`
	Check         bool `help:"Print only whether something is stuck: exit code 0 if nothing is, else 1 and one line with the stage and the reason."`
}

// Run prints the status.
func (c statusCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Check {
		return c.natsFlags.within(a, checkWithin, func(ctx context.Context, b *bus.Bus) error {
			s, err := cli.ReadStatus(ctx, b)
			if err = cmp.Or(err, s.Check()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(a.out, "fine")
			return err
		})
	}
	return c.natsFlags.within(a, statusWithin, func(ctx context.Context, b *bus.Bus) error {
		s, err := cli.ReadStatusAndCounts(ctx, b, c.URL)
		if err != nil {
			return err
		}
		if c.JSON {
			return writeJSON(a, s)
		}
		return s.Write(a.out)
	})
}

// wishFlags choose on which plans an operator acts.
type wishFlags struct {
	natsFlags `embed:""`
	Plan      string `help:"Only this plan, where there are several Keepa keys (default: all)." placeholder:"NAME"`
}

type (
	pauseCmd struct {
		wishFlags `embed:""`
	}
	resumeCmd struct {
		wishFlags `embed:""`
	}
	nospendCmd struct {
		wishFlags `embed:""`
	}
)

// Run asks tokend to pause.
func (c pauseCmd) Run(a *app) error { return c.wish(a, "paused") }

// Run asks tokend to spend again.
func (c resumeCmd) Run(a *app) error { return c.wish(a, "run") }

// Run makes every stage decide from stored answers only.
func (c nospendCmd) Run(a *app) error { return c.wish(a, "nospend") }

func (f wishFlags) wish(a *app, mode string) error {
	return f.with(a, func(ctx context.Context, b *bus.Bus) error {
		plans, err := f.plans(ctx, b)
		if err != nil {
			return err
		}
		for _, p := range plans {
			kv, err := b.Store(ctx, p.Own(pipeline.BucketTokens))
			if err != nil {
				return fmt.Errorf("%w; no daemon has run on this NATS yet: start one with `ratchet up`", err)
			}
			if _, err := kv.Put(ctx, pipeline.KeyMode, []byte(mode)); err != nil {
				return fmt.Errorf("write mode: %w", err)
			}
			line := fmt.Sprintf("mode: %s\n", mode)
			if len(plans) > 1 || f.Plan != "" {
				line = fmt.Sprintf("mode of plan %s: %s\n", p, mode)
			}
			if _, err := fmt.Fprint(a.out, line); err != nil {
				return err
			}
		}
		return nil
	})
}

// plans are those that are meant: one, or all.
func (f wishFlags) plans(ctx context.Context, b *bus.Bus) ([]pipeline.Plan, error) {
	all, err := b.Plans(ctx)
	if err != nil || f.Plan == "" {
		return all.All(), err
	}
	p, err := pipeline.PlanOf(f.Plan)
	if err == nil && !all.Has(p) {
		err = fmt.Errorf("there is no plan %s; the plans are %v", p, all.All())
	}
	if err != nil {
		return nil, process.Usagef("--plan: %w", err)
	}
	return []pipeline.Plan{p}, nil
}

type drainCmd struct {
	wishFlags `embed:""`
	Stage     string        `arg:"" enum:"tokend,watermarker,peeker,committer,recorder,notifier" help:"tokend, watermarker, peeker, committer, recorder or notifier."`
	Wait      time.Duration `help:"How long to wait until all have ended." default:"1m" placeholder:"D"`
}

// Run ends the processes of a stage.
func (c drainCmd) Run(a *app) error {
	if c.Wait <= 0 {
		return process.Usagef("--wait: want a positive duration, got %s", c.Wait)
	}
	return c.within(a, c.Wait, func(ctx context.Context, b *bus.Bus) error {
		only := ""
		if c.Plan != "" {
			plans, err := c.plans(ctx, b)
			if err != nil {
				return err
			}
			only = plans[0].String()
		}
		return cli.Drain(ctx, b, c.Stage, only, a.out)
	})
}

type clickhouseURL struct {
	URL string `name:"clickhouse-url" help:"ClickHouse to ask (default: ${default})." env:"CLICKHOUSE_URL" default:"http://127.0.0.1:8123/ratchet" placeholder:"URL"`

	named bool `kong:"-"` // by a flag, the environment or the `up` that runs
}

// clickhouseLogin is what an address does not hold.
type clickhouseLogin struct {
	Password process.Secret `env:"CLICKHOUSE_PASSWORD"`
}

// Validate accepts any password.
func (clickhouseLogin) Validate() error { return nil }

// embeddedURL is the default address of the embedded engine.
const embeddedURL = "http://127.0.0.1:8123/ratchet"

// AfterApply takes the words that `up` takes in place of an address.
func (c *clickhouseURL) AfterApply(k *kong.Context) error {
	c.named = slices.ContainsFunc(k.Path, func(p *kong.Path) bool { return p.Flag != nil && p.Flag.Name == "clickhouse-url" })
	if c.URL == standalone.Embedded {
		c.URL = embeddedURL
	}
	login, err := process.Load[clickhouseLogin](context.Background(), process.Environment())
	if c.URL != standalone.None {
		c.URL = warehouse.Login(c.URL, login.Password.Reveal())
	}
	c.URL = credentials(c.URL, "default")
	return err
}

// credentials adds the password of the user's own data directory, if there is one.
func credentials(raw, user string) string {
	data, err := standalone.DefaultData()
	if err != nil {
		return raw
	}
	return standalone.Credentials(raw, user, data)
}

// check returns what is wrong with the URL; "none" is valid.
func (c clickhouseURL) check() error {
	if c.URL == standalone.None {
		return nil
	}
	return warehouse.CheckURL(c.URL)
}

// askWithin bounds a question to ClickHouse.
const askWithin = 2 * time.Minute

func (c clickhouseURL) with(a *app, work func(context.Context, *warehouse.Warehouse) error) error {
	if c.URL == standalone.None {
		return process.Usagef("--clickhouse-url: %s is not a ClickHouse; want a URL like %s", standalone.None, embeddedURL)
	}
	ctx, cancel := a.bounded(askWithin)
	defer cancel()
	w, err := warehouse.Reach(ctx, c.URL)
	if err != nil {
		return a.complete(err)
	}
	defer func() { _ = w.Close() }() // nothing was written that a close could lose
	err = a.complete(work(ctx, w))
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("ClickHouse did not answer within %s; ask for a shorter span or less: %w", askWithin, err)
	}
	return err
}

type reportCmd struct {
	clickhouseURL `embed:""`
	Name          string            `arg:"" optional:"" help:"The question; without it, list them."`
	Since         *span             `help:"Look back this far (90m, 24h, 7d …), short for --param since=-D." placeholder:"D"`
	Param         map[string]string `short:"p" mapsep:"none" help:"A parameter of the question, repeatable (other=lax, limit=10, since=2026-11-01); --about lists them." placeholder:"NAME=VALUE"`
	About         bool              `help:"What the question's columns, units and parameters are, instead of its answer."`
	Format        string            `help:"table, json or csv." enum:"table,json,csv" default:"table"`
}

// Run asks a named question.
func (c reportCmd) Run(a *app) error {
	if c.Name == "" {
		for _, q := range warehouse.Questions() {
			if _, err := fmt.Fprintf(a.out, "%-14s %s\n", q.Name, q.Asks); err != nil {
				return err
			}
		}
		return nil
	}
	q, err := warehouse.Find(c.Name)
	if err != nil {
		return fmt.Errorf("%w; `ratchet report` lists them", err)
	}
	if c.About {
		_, err := fmt.Fprint(a.out, q.Heading)
		return err
	}
	params, err := c.params()
	if err != nil {
		return err
	}
	if err := q.Check(params); err != nil {
		return fmt.Errorf("%w; see `ratchet report %s --about`", err, q.Name)
	}
	return c.with(a, func(ctx context.Context, w *warehouse.Warehouse) error {
		t, err := w.Ask(ctx, c.Name, params)
		if err != nil {
			return err
		}
		return t.Write(a.out, c.Format)
	})
}

// params are the parameters that were given.
func (c reportCmd) params() (map[string]string, error) {
	params := map[string]string{}
	maps.Copy(params, c.Param)
	if c.Since == nil {
		return params, nil
	}
	if *c.Since <= 0 {
		return nil, process.Usagef("--since: want a positive duration, got %s", c.Since)
	}
	if _, twice := params["since"]; twice {
		return nil, process.Usagef("--since: --param since=… is given too; use one of them")
	}
	params["since"] = fmt.Sprintf("-%ds", int64(time.Duration(*c.Since).Seconds()))
	return params, nil
}

type sqlCmd struct {
	clickhouseURL `embed:""`
	Query         string `arg:"" help:"The query; after -- if it begins with a comment. The answer is held in memory: use curl for millions of rows."`
	Write         bool   `help:"Allow statements that change something."`
	Format        string `help:"table, json or csv." enum:"table,json,csv" default:"table"`
}

// Run asks ClickHouse anything.
func (c sqlCmd) Run(a *app) error {
	return c.with(a, func(ctx context.Context, w *warehouse.Warehouse) error {
		t, err := w.SQL(ctx, c.Query, !c.Write)
		if err != nil {
			return err
		}
		return t.Write(a.out, c.Format)
	})
}

func writeJSON(a *app, v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
