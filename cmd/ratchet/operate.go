package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/console"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/onebox"
	"ratchet/pipeline/warehouse"
)

// answerWithin bounds a command that should answer at once.
const answerWithin = 30 * time.Second

// natsFlags say which NATS a command asks.
type natsFlags struct {
	NATSURL string `name:"nats-url" help:"NATS to ask." env:"NATS_URL" default:"nats://127.0.0.1:4222" placeholder:"URL"`
}

// connect opens the bus for a command.
func (f natsFlags) connect(ctx context.Context, a *app) (*bus.Bus, error) {
	return bus.Connect(ctx, bus.Config{URL: f.NATSURL, Replicas: 1}, a.env, "ratchet-cli")
}

// with runs f with an open bus and a limit.
func (f natsFlags) with(a *app, work func(context.Context, *bus.Bus) error) error {
	ctx, cancel := a.bounded(answerWithin)
	defer cancel()
	b, err := f.connect(ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	return work(ctx, b)
}

type statusCmd struct {
	natsFlags     `embed:""`
	clickhouseURL `embed:""`
	JSON          bool `help:"One JSON object."`
}

// Run prints the status.
func (c statusCmd) Run(a *app) error {
	return c.natsFlags.with(a, func(ctx context.Context, b *bus.Bus) error {
		s, err := console.Look(ctx, b)
		if err != nil {
			return err
		}
		visible := console.NewVisible(b, c.URL)
		defer visible.Close()
		s.Count(ctx, visible)
		if c.JSON {
			return writeJSON(a, s)
		}
		return s.Write(a.out)
	})
}

type (
	pauseCmd struct {
		natsFlags `embed:""`
	}
	resumeCmd struct {
		natsFlags `embed:""`
	}
	nospendCmd struct {
		natsFlags `embed:""`
	}
)

// Run asks tokend to pause.
func (c pauseCmd) Run(a *app) error { return c.wish(a, "paused") }

// Run asks tokend to spend again.
func (c resumeCmd) Run(a *app) error { return c.wish(a, "run") }

// Run asks everybody to live on stored answers.
func (c nospendCmd) Run(a *app) error { return c.wish(a, "nospend") }

func (f natsFlags) wish(a *app, mode string) error {
	return f.with(a, func(ctx context.Context, b *bus.Bus) error {
		kv, err := b.Store(ctx, pipeline.BucketTokens)
		if err != nil {
			return fmt.Errorf("%w; no daemon has run on this NATS yet: start one with `ratchet up`", err)
		}
		if _, err := kv.Put(ctx, pipeline.KeyMode, []byte(mode)); err != nil {
			return fmt.Errorf("write mode: %w", err)
		}
		_, err = fmt.Fprintf(a.out, "mode: %s\n", mode)
		return err
	})
}

type clickhouseURL struct {
	URL string `name:"clickhouse-url" help:"ClickHouse to ask." env:"CLICKHOUSE_URL" default:"http://127.0.0.1:8123/ratchet" placeholder:"URL"`
}

// embeddedURL is where the embedded engine listens unless it is told otherwise.
const embeddedURL = "http://127.0.0.1:8123/ratchet"

// AfterApply takes the words that `up` takes in place of an address.
func (c *clickhouseURL) AfterApply() error {
	if c.URL == onebox.Embedded {
		c.URL = embeddedURL
	}
	return nil
}

func (c clickhouseURL) with(a *app, work func(context.Context, *warehouse.Warehouse) error) error {
	ctx, cancel := a.bounded(2 * time.Minute)
	defer cancel()
	w, err := warehouse.Open(ctx, c.URL)
	if err != nil {
		return fmt.Errorf("%w; start one with `ratchet up`, or set CLICKHOUSE_URL", err)
	}
	defer func() { _ = w.Close() }() // nothing was written that a close could lose
	return work(ctx, w)
}

type reportCmd struct {
	clickhouseURL `embed:""`
	Name          string        `arg:"" optional:"" help:"The question; none lists them."`
	Since         time.Duration `help:"Look back this far." default:"168h" placeholder:"D"`
	Format        string        `help:"table, json or csv." enum:"table,json,csv" default:"table"`
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
	if c.Since <= 0 {
		return daemon.Usagef("--since: want a positive duration, got %s", c.Since)
	}
	if !slices.ContainsFunc(warehouse.Questions(), func(q warehouse.Question) bool { return q.Name == c.Name }) {
		return daemon.Usagef("no question is named %q; `ratchet report` lists them", c.Name)
	}
	return c.with(a, func(ctx context.Context, w *warehouse.Warehouse) error {
		t, err := w.AskSince(ctx, c.Name, c.Since)
		if err != nil {
			return err
		}
		return t.Write(a.out, c.Format)
	})
}

type sqlCmd struct {
	clickhouseURL `embed:""`
	Query         string `arg:"" help:"The query."`
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
