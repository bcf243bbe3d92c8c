package main

import (
	"context"
	"fmt"
	"time"

	"ratchet/pipeline/ops/backup"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/warehouse"
)

type backupCmd struct {
	natsFlags     `embed:""`
	clickhouseURL `embed:""`
	Dir           string `arg:"" help:"A directory that does not exist yet, or is empty."`
}

// Run copies everything.
func (c backupCmd) Run(a *app) error {
	if err := c.check(); err != nil {
		return err
	}
	b, err := c.connect(a.ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	src := backup.Source{Bus: b, Build: a.env.Version, Say: a.say}
	if c.URL != standalone.None {
		src.ClickHouse = c.URL
	}
	began := time.Now()
	if _, err := backup.Save(a.ctx, c.Dir, src); err != nil {
		if a.ctx.Err() != nil {
			return fmt.Errorf("interrupted; %s is marked as unfinished and can be deleted", c.Dir)
		}
		return err
	}
	a.say("backup of %s in %s", time.Since(began).Round(time.Second), c.Dir)
	return nil
}

// say prints a line of progress.
func (a *app) say(format string, args ...any) { fmt.Fprintf(a.out, format+"\n", args...) }

type restoreCmd struct {
	natsFlags     `embed:""`
	clickhouseURL `embed:""`
	Dir           string `arg:"" help:"The directory that ratchet backup wrote." type:"existingdir"`
	Data          string `help:"Restore into this data directory, for ratchet up --data. Without it: into NATS_URL and CLICKHOUSE_URL, which must be empty." placeholder:"DIR"`
	Simulate      bool   `help:"With --data: into the world of ratchet up --simulate."`
	KeepDays      int    `help:"How many days ClickHouse keeps verdicts, the ledger, the balance and dead letters; sums by hour and day, and deals, stay." env:"RECORDER_KEEP_DAYS" default:"400" placeholder:"DAYS"`
	CHLib         string `name:"clickhouse-lib" help:"With --data: the libchdb.so to use." env:"CHDB_LIB_PATH" placeholder:"FILE"`
}

// Run restores.
func (c restoreCmd) Run(a *app) error {
	if err := warehouse.CheckDays(c.KeepDays); err != nil {
		return err
	}
	set, err := backup.Read(c.Dir)
	if err != nil {
		return err
	}
	if c.Data != "" {
		err = c.box(a, set)
	} else {
		err = c.fleet(a, set)
	}
	if err != nil {
		return a.complete(err)
	}
	a.say("restored what was backed up at %s", set.Began.Format(time.RFC3339))
	return nil
}

// box restores into a data directory.
func (c restoreCmd) box(a *app, set backup.Set) error {
	o := standalone.Options{
		Data: c.Data, World: standalone.Real, ClickHouse: standalone.Embedded, CHAddr: "127.0.0.1:0", CHLib: c.CHLib,
		Log: a.env.Log, Version: a.env.Version, Progress: a.errOut,
	}
	if c.Simulate {
		o.World = standalone.Simulated
	}
	if set.Schema == "" {
		o.ClickHouse = standalone.None
	}
	return standalone.Fill(a.ctx, o, func(ctx context.Context, b *bus.Bus, clickHouse string) error {
		return set.Restore(ctx, c.Dir, backup.Target{Bus: b, ClickHouse: clickHouse, KeepDays: c.KeepDays, Say: a.say})
	})
}

// fleet restores into servers that run.
func (c restoreCmd) fleet(a *app, set backup.Set) error {
	if err := c.check(); err != nil {
		return err
	}
	b, err := c.connect(a.ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	to := backup.Target{Bus: b, KeepDays: c.KeepDays, Say: a.say}
	if c.URL != standalone.None {
		to.ClickHouse = c.URL
	}
	if err := set.Fits(a.ctx, to); err != nil {
		return err
	}
	if err := set.Restore(a.ctx, c.Dir, to); err != nil {
		return fmt.Errorf("%w; the target holds a part of the backup: delete its streams (`nats stream rm`) and its database before you restore again, and start no daemon until then", err)
	}
	return nil
}
