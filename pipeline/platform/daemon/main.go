// Package daemon runs a daemon as a process: its environment, its probes, its traces and its exit code.
package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/lmittmann/tint"

	"ratchet/pipeline/platform/health"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/trace"
	"ratchet/pipeline/platform/trace/otlp"
)

// checkWithin bounds a check, which does not wait for missing services.
const checkWithin = 10 * time.Second

// Main runs one daemon as a process: it reads the clock and the log level from the environment, stops on SIGINT,
// SIGTERM or SIGHUP (a second signal kills) and exits with ExitCode of the error. It first seals the secrets of
// the environment. --check loads the configuration, connects to the services, writes nothing and exits.
func Main(name string, run func(context.Context, process.Env) error) {
	if err := process.Seal(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(process.ExitFailed)
	}
	os.Exit(mainCode(name, run, os.Args[1:], os.Stderr))
}

func mainCode(name string, run func(context.Context, process.Env) error, args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.SetOutput(stderr)
	version := flags.Bool("version", false, "print the build, exit")
	check := flags.Bool("check", false, "load the configuration, connect to the services, exit")
	flags.Usage = func() {
		fmt.Fprintf(stderr, "%s is configured by environment variables, listed in docs/config.md.\n", name)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return process.ExitDone
		}
		return process.ExitUsage
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "%s: unexpected argument %q; %s takes its configuration from the environment\n", name, flags.Arg(0), name)
		return process.ExitUsage
	}
	if *version {
		fmt.Fprintln(os.Stdout, process.Version())
		return process.ExitDone
	}
	env, err := process.OSEnv(stderr)
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", name, err)
		return process.ExitUsage
	}
	env = env.Named(name)
	ctx, stop := process.SignalContext(context.Background())
	defer stop()
	ctx, env.End = context.WithCancel(ctx) // and not stop, which would let the next signal kill
	defer env.End()
	if *check {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, checkWithin)
		defer cancel()
		env.Check, env.Ready = true, cancel
	} else {
		env, err = WithHealth(ctx, env, name)
	}
	if err == nil {
		err = runTraced(ctx, env, name, run)
	}
	code := process.ExitCode(err)
	if code != process.ExitDone {
		env.Log.Error("stopped", tint.Err(err))
		return code
	}
	env.Log.Info("stopped")
	return code
}

func runTraced(ctx context.Context, env process.Env, name string, run func(context.Context, process.Env) error) error {
	env, end, err := Traced(ctx, env, name)
	if err != nil {
		return err
	}
	defer end()
	env.Log.Info("started", "version", env.Version)
	return run(ctx, env)
}

// Traced returns the environment of a daemon with its tracer, if the standard variables ask for traces. close sends
// the last spans. A wrong value is a UsageError that names the variable.
func Traced(ctx context.Context, env process.Env, daemon string) (_ process.Env, end func(), err error) {
	settings, err := trace.Read(func(name string) (string, bool, error) { return process.Lookup(env.Lookup, name) })
	if err == nil {
		env.Trace, err = otlp.Open(ctx, settings, daemon, process.Instance(), env.Version, env.Log)
	}
	if err != nil {
		return env, nil, &process.UsageError{Err: err}
	}
	return env, env.Trace.Close, nil
}

// metricsAddr is the variable with the address of the probes. Without it nothing listens.
const metricsAddr = "METRICS_ADDR"

// WithHealth adds the probes of one daemon to env if the environment asks for them, and serves them until ctx ends.
func WithHealth(ctx context.Context, env process.Env, name string) (process.Env, error) {
	addr, _ := env.Lookup.Lookup(metricsAddr)
	if addr == "" {
		return env, nil
	}
	l, err := process.Listen(metricsAddr, addr)
	if err != nil {
		return env, err
	}
	env.Health = health.New(name)
	env.Health.Serve(ctx, l, env.Log)
	return env, nil
}
