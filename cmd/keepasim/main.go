// Command keepasim is a simulated Keepa on a TCP address.
//
// It serves one of three worlds: living (rows come and go), backlog400 (a fixed
// list of 400 rows) or, with --captured, answers captured from the real API.
// Time is the clock of the environment, else the machine's.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
)

func main() { os.Exit(run(os.Args[1:])) }

// flags are the command line.
type flags struct {
	addr, captured, world, key string
	rate, balance              int
	seed                       uint64
	tick                       time.Duration
}

func parse(args []string) (flags, error) {
	var f flags
	set := flag.NewFlagSet("keepasim", flag.ContinueOnError)
	set.StringVar(&f.addr, "addr", "127.0.0.1:8765", "address to listen on")
	set.IntVar(&f.rate, "rate", 5, "tokens per minute")
	f.balance = keepasim.FullBucket
	set.Func("balance", "tokens at the start, may be negative (default: a full bucket)", func(v string) (err error) {
		f.balance, err = strconv.Atoi(v)
		return err
	})
	set.Uint64Var(&f.seed, "seed", 1, "seed of the world")
	set.StringVar(&f.captured, "captured", "", "directory of captured answers to serve")
	set.StringVar(&f.world, "world", "living", "world to simulate: living or backlog400")
	set.StringVar(&f.key, "key", "", "the valid key (default: any)")
	set.DurationVar(&f.tick, "tick", keepasim.DefaultTick, "time between refills")
	set.SetOutput(io.Discard) // the caller prints the error, once
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			set.SetOutput(os.Stderr)
			set.Usage()
		}
		return f, err
	}
	if f.captured != "" {
		f.world = "captured"
	}
	switch {
	case set.NArg() > 0:
		return f, fmt.Errorf("unexpected argument %q", set.Arg(0))
	case f.rate < 1:
		return f, fmt.Errorf("--rate: must be at least 1, got %d", f.rate)
	case f.tick < time.Second:
		return f, fmt.Errorf("--tick: must be at least 1s, got %s", f.tick)
	case f.captured == "" && f.world != "living" && f.world != "backlog400":
		return f, fmt.Errorf("--world: want living or backlog400, got %q", f.world)
	}
	return f, nil
}

func run(args []string) int {
	if err := process.Seal(); err != nil {
		fmt.Fprintln(os.Stderr, "keepasim:", err)
		return process.ExitFailed
	}
	f, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return process.ExitDone
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "keepasim:", err)
		return process.ExitUsage
	}
	env, err := process.OSEnv(os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "keepasim:", err)
		return process.ExitUsage
	}
	env = env.Named("keepasim")
	ctx, stop := process.SignalContext(context.Background())
	defer stop()
	if err := serve(ctx, env, f); err != nil {
		env.Log.Error("stopped", "err", err)
		return process.ExitCode(err)
	}
	return process.ExitDone
}

// clockFor moves the clock of a captured world to its first capture, unless the
// environment already set one.
func clockFor(env process.Env, epoch time.Time) process.Env {
	if !epoch.IsZero() && env.Clock.Start.IsZero() {
		env.Clock = process.NewClock(epoch, 1)
	}
	return env
}

func catalogue(f flags) (keepasim.Catalogue, time.Time, error) {
	switch {
	case f.captured != "":
		c, err := keepasim.Captured(f.captured)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("read captured answers: %w", err)
		}
		return c, c.Epoch(), nil
	case f.world == "backlog400":
		return keepasim.Backlog400(f.seed), time.Time{}, nil
	}
	return keepasim.Living(f.seed, keepasim.LivingOptions{}), time.Time{}, nil
}

func serve(ctx context.Context, env process.Env, f flags) error {
	cat, epoch, err := catalogue(f)
	if err != nil {
		return err
	}
	env = clockFor(env, epoch)
	sim := keepasim.New(keepasim.Options{
		Now: env.Now, After: env.After, Seed: f.seed, Key: f.key, Rate: f.rate, Balance: f.balance,
		StartEmpty: true, Tick: f.tick, Catalogue: cat, Log: env.Log,
	})
	l, err := process.Listen("--addr", f.addr)
	if err != nil {
		return err
	}
	sim.Start(env.Now())
	failed := make(chan error, 1)
	server := sim.Serve(l, func(err error) { failed <- err })
	defer func() { _ = server.Close() }() // it serves nobody any more
	env.Log.Info("started", "addr", l.Addr().String(), "world", f.world, "rate", f.rate, "seed", f.seed)
	env.AnnounceReady()
	select {
	case <-ctx.Done():
	case err := <-failed:
		return err
	}
	b := sim.Account()
	env.Log.Info("stopped", "balance", b.Balance, "tokens", b.Consumed(), "refused", len(b.Refused), "expired", b.Expired)
	return nil
}
