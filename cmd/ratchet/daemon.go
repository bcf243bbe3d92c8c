package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ratchet/pipeline/committer"
	"ratchet/pipeline/ops/notifier"
	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/daemon"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/recorder"
	"ratchet/pipeline/sim/cluster"
	"ratchet/pipeline/tokend"
	"ratchet/pipeline/watermarker"
)

// daemonCmd runs one daemon as its own command does. The scenarios that kill
// processes use it, so that a soak needs no binary but this one.
type daemonCmd struct {
	Name string `arg:"" help:"tokend, watermarker, peeker, committer, recorder, notifier, page or natsd."`
}

// daemons are what daemonCmd runs, besides natsd.
var daemons = map[string]func(context.Context, process.Env) error{
	"tokend": tokend.Run, "watermarker": watermarker.Run, "peeker": peeker.Run, "committer": committer.Run, "recorder": recorder.Run,
	"notifier": notifier.Run, "page": page.Run,
}

const natsdName = "natsd"

// Run runs the daemon until a signal comes.
func (c daemonCmd) Run(a *app) error {
	a.untilSignal = true
	if c.Name == natsdName { // NATS has its own probes and metrics
		return a.natsd(a.ctx, a.env.Named(c.Name))
	}
	run, ok := daemons[c.Name]
	if !ok {
		names := append(slices.Collect(maps.Keys(daemons)), natsdName)
		slices.Sort(names)
		return process.Usagef("daemon %q is unknown; want one of %s", c.Name, strings.Join(names, ", "))
	}
	env, err := daemon.WithHealth(a.ctx, a.env.Named(c.Name), c.Name)
	if err != nil {
		return err
	}
	env, end, err := daemon.Traced(a.ctx, env, c.Name)
	if err != nil {
		return err
	}
	defer end()
	ctx, stop := context.WithCancel(a.ctx)
	defer stop()
	env.End = stop
	return run(ctx, env)
}

// natsd serves NATS from NATSD_DATA on NATSD_ADDR and prints its address; or one server of a
// cluster, by the configuration that NATSD_CONFIG names.
func (a *app) natsd(ctx context.Context, env process.Env) error {
	if config, ok := env.Lookup.Lookup(cluster.EnvConfig); ok {
		return cluster.Serve(ctx, config)
	}
	data, ok := env.Lookup.Lookup("NATSD_DATA")
	if !ok {
		return process.Usagef("NATSD_DATA: must name a directory")
	}
	addr, ok := env.Lookup.Lookup("NATSD_ADDR")
	if !ok {
		addr = "127.0.0.1:0"
	}
	s, err := natsd.Start(ctx, natsd.Options{Data: data, Addr: addr, Log: env.Log})
	if err != nil {
		return err
	}
	defer s.Stop()
	if _, err := fmt.Fprintln(a.out, s.URL()); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
