package standalone

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
)

// Fill makes the stores of a world that a data directory does not have yet, and lets fill fill them while no daemon
// runs. ClickHouse is "" where o wants none. The world is there when fill has succeeded, and not before: a start
// never finds half of it.
func Fill(ctx context.Context, o Options, fill func(ctx context.Context, b *bus.Bus, clickHouse string) error) error {
	world := o.dir()
	o.World += ".unfinished"
	for _, dir := range []string{world, o.dir()} {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			return process.Usagef("%s exists already: name another directory with --data, or move it away", dir)
		}
	}
	if err := os.MkdirAll(o.dir(), 0o700); err != nil {
		return fmt.Errorf("create data directory: %w; choose another with --data", err)
	}
	b := &Box{o: o, fatal: make(chan error, 8)}
	err := b.fill(ctx, fill)
	b.Stop(context.WithoutCancel(ctx))
	if err == nil {
		err = os.Rename(o.dir(), world)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(o.dir()))
	}
	return nil
}

func (b *Box) fill(ctx context.Context, fill func(context.Context, *bus.Bus, string) error) (err error) {
	o := b.o
	if err = errors.Join(access.Share(o.Data, o.dir("nats")), access.Share(o.Data, o.dir("clickhouse"))); err != nil {
		return err
	}
	if b.nats, err = natsd.Start(ctx, natsd.Options{Data: o.dir("nats"), Log: o.Log}); err != nil {
		return err
	}
	if err = b.openClickHouse(ctx); err != nil {
		return err
	}
	b.Env = process.Env{Log: o.Log, Lookup: b.lookup(), Clock: process.RealClock(), Version: o.Version}
	b.Env.NATSOptions = append(b.Env.NATSOptions, b.nats.InProcess())
	cfg, err := process.Load[bus.Configured](ctx, b.Env.Lookup)
	if err != nil {
		return err
	}
	cfg.NATS.Replicas = 1 // there is one server
	if b.Bus, err = bus.Connect(ctx, cfg.NATS, b.Env, "ratchet"); err != nil {
		return err
	}
	return fill(ctx, b.Bus, b.CHURL)
}
