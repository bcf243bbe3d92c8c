// Command ratchet is the whole pipeline on one machine, and the operator's
// commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // quiet hours are local, and a system need not have zones

	"github.com/alecthomas/kong"

	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/process"
)

func main() {
	if err := process.Seal(); err != nil {
		fmt.Fprintf(os.Stderr, "ratchet: %v\n", err)
		os.Exit(process.ExitFailed)
	}
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// grammar is the command line: one field per command. The lines of a command with folds are broken on a terminal.
type grammar struct {
	LogLevel string `help:"debug, info, warn or error." default:"warn" env:"LOG_LEVEL" placeholder:"LEVEL"`

	ShowVersion kong.VersionFlag `name:"version" help:"The build, as the command version prints it."`

	UpData string `help:"The data directory of the running ratchet up to ask, if NATS_URL and CLICKHOUSE_URL are not set (default: ~/.local/share/ratchet)." placeholder:"DIR"`

	Init   initCmd   `cmd:"" group:"start" help:"Write commented rules, a deal query and an example of the environment, to make your own."`
	Up     upCmd     `cmd:"" group:"start" help:"Find deals until Ctrl-C: the whole pipeline in one process."`
	Doctor doctorCmd `cmd:"" group:"start" folds:"true" help:"Is everything in order, and what to do first? Costs no token."`
	Notify notifyCmd `cmd:"" group:"start" folds:"true" help:"Send a test to every target of NOTIFY_TARGETS."`

	Deals  dealsCmd  `cmd:"" group:"deals" help:"The deals, best first."`
	Why    whyCmd    `cmd:"" group:"deals" folds:"true" help:"Every verdict and answer of one ASIN; without one, why nothing is found."`
	Buy    buyCmd    `cmd:"" group:"deals" folds:"true" help:"Record that you bought a copy: the deal leaves the list and is not reported again."`
	Ignore ignoreCmd `cmd:"" group:"deals" folds:"true" help:"Do not show deals of a product, a seller, a brand or with words in the title; without arguments, what is ignored."`
	Sold   soldCmd   `cmd:"" group:"deals" folds:"true" help:"Record that you sold a copy: its price is compared with the prediction."`

	Status   statusCmd   `cmd:"" group:"state" folds:"true" help:"Is it stuck? Balance, mode, what waits, watermarks and gaps."`
	Top      topCmd      `cmd:"" group:"state" help:"The same on one live screen: balance, stages, the best deals, the last decisions."`
	Spend    spendCmd    `cmd:"" group:"state" folds:"true" help:"What was spent today, on what, and what a deal cost."`
	Forecast forecastCmd `cmd:"" group:"state" folds:"true" help:"Is your plan the bottleneck, and what would the next one bring? From your own history, or on a simulated list."`
	Pause    pauseCmd    `cmd:"" group:"state" help:"Stop spending; free work continues."`
	Resume   resumeCmd   `cmd:"" group:"state" help:"Spend again."`
	Nospend  nospendCmd  `cmd:"" group:"state" help:"Decide only what stored answers can decide."`

	Rules    rulesCmd    `cmd:"" group:"rules" folds:"true" help:"Check rule files and apply them."`
	Queries  queriesCmd  `cmd:"" group:"rules" folds:"true" help:"Check deal query files and apply them."`
	Backtest backtestCmd `cmd:"" group:"rules" help:"Score the rules on stored histories: what they would have bought, and what that made; costs no token."`
	Replay   replayCmd   `cmd:"" group:"rules" help:"Repeat earlier decisions under other rules; costs no token."`

	Report reportCmd `cmd:"" group:"data" folds:"true" help:"Ask ClickHouse a named question; without a name, list them."`
	SQL    sqlCmd    `cmd:"" group:"data" name:"sql" help:"Ask ClickHouse any query."`
	Dead   deadCmd   `cmd:"" group:"data" help:"Dead letters, which could not be processed: list, show or retry them."`
	Answer answerCmd `cmd:"" group:"data" help:"The stored bytes of Keepa's answers to a call, or to every call for a unit of work."`

	Drain      drainCmd      `cmd:"" group:"operate" help:"End every process of a stage as SIGTERM does: each finishes its step."`
	Backup     backupCmd     `cmd:"" group:"operate" help:"Copy everything that is stored into a directory, while the pipeline runs."`
	Restore    restoreCmd    `cmd:"" group:"operate" help:"Create a pipeline from a backup; what was bought before the backup began is not bought again."`
	Topology   topologyCmd   `cmd:"" group:"operate" help:"Create and change streams, consumers, buckets and tables, or show what differs: daemons only check."`
	Clickhouse clickhouseCmd `cmd:"" group:"operate" help:"Run the embedded ClickHouse alone."`
	Soak       soakCmd       `cmd:"" group:"operate" help:"Run a named scenario on the simulated Keepa and check every invariant."`
	Version    versionCmd    `cmd:"" group:"operate" help:"The build."`
	Daemon     daemonCmd     `cmd:"" group:"operate" hidden:"" help:"One daemon as a process of its own, configured by the environment."`
}

// groups are the parts of the list of commands.
func groups() kong.Option {
	return kong.ExplicitGroups([]kong.Group{
		{Key: "start", Title: "To start:"},
		{Key: "deals", Title: "Deals:"},
		{Key: "state", Title: "The running pipeline:"},
		{Key: "rules", Title: "Rules and deal lists:"},
		{Key: "data", Title: "Behind the figures:"},
		{Key: "operate", Title: "To operate:"},
	})
}

// app is what every command is given.
type app struct {
	ctx    context.Context
	env    process.Env
	out    io.Writer
	errOut io.Writer

	untilSignal bool // the command ends by a signal, which is its success
}

// words are what the help of flags names and the code knows.
func words() kong.Vars {
	return kong.Vars{
		"conditions": strings.Join(cli.Conditions(), ", "), "orders": strings.Join(cli.Orders(), ","), "fields": strings.Join(cli.Fields(), ", "),
	}
}

// run is main with its edges as arguments.
func run(args []string, out, errOut io.Writer) int {
	return runIn(context.Background(), args, out, errOut)
}

// runIn is run; the end of parent has the effect of a signal.
func runIn(parent context.Context, args []string, out, errOut io.Writer) int {
	var c grammar
	exited, code := false, 0
	parser, err := kong.New(&c,
		kong.Name("ratchet"),
		kong.Description("Collects profitable Amazon deals through the Keepa API when tokens are scarce."),
		words(), groups(), details(), kong.Vars{"version": process.Version()}, kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Writers(out, errOut), kong.UsageOnError(),
		kong.Exit(func(n int) { exited, code = true, n }),
		kong.Resolvers(kong.ResolverFunc(fromRunning(args))),
	)
	if err != nil {
		fmt.Fprintf(errOut, "ratchet: %v\n", err)
		return process.ExitFailed
	}
	if err := noPasswords(args); err != nil {
		fmt.Fprintf(errOut, "ratchet: %v\n", err)
		return process.ExitUsage
	}
	if err := readEnv(args, errOut); err != nil {
		fmt.Fprintf(errOut, "ratchet: %v\n", err)
		return process.ExitUsage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if exited {
		return code
	}
	if err != nil {
		fmt.Fprintf(errOut, "ratchet: %v\nRun `ratchet --help` for the commands and their flags.\n", err)
		return process.ExitUsage
	}
	env, err := process.OSEnv(errOut)
	if err == nil {
		env.Log, err = process.Logger(errOut, c.LogLevel)
	}
	if err != nil {
		fmt.Fprintf(errOut, "ratchet: %v\n", err)
		return process.ExitUsage
	}
	ctx, stop := process.SignalContext(parent)
	defer stop()
	folded := &cli.Fold{To: out, Width: foldsAt(k, out)}
	if folded.Width > 0 {
		out = folded
	}
	a := &app{ctx: ctx, env: env, out: out, errOut: errOut}
	err = errors.Join(a.ended(k.Run(a)), folded.End())
	if code := process.ExitCode(err); code != process.ExitDone {
		complaint := &cli.Fold{To: errOut, Width: widthOf(errOut)}
		fmt.Fprintf(complaint, "ratchet: %v\n", err)
		return code
	}
	return process.ExitDone
}

// foldsAt returns the width at which the lines of a command are broken; 0 if the command is not tagged with folds, is
// called by a program, or does not print to a terminal.
func foldsAt(k *kong.Context, out io.Writer) int {
	if slices.ContainsFunc(k.Args, func(arg string) bool { return arg == "--json" || strings.HasPrefix(arg, "--format") }) {
		return 0
	}
	for command := k.Selected(); command != nil && command.Tag != nil; command = command.Parent {
		switch command.Tag.Get("folds") {
		case "true":
			return widthOf(out)
		case "false":
			return 0
		}
	}
	return 0
}

// bounded is the command's context with a limit for what should answer at once.
func (a *app) bounded(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(a.ctx, d)
}

// errInterrupted is the error of a command that was stopped before its answer was complete.
var errInterrupted = errors.New("interrupted; the answer is incomplete")

// complete returns err, or errInterrupted if a signal is the cause: an incomplete answer is not a success.
func (a *app) complete(err error) error {
	if err != nil && a.ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

// ended returns the result of a command: one that a signal stopped has failed, unless that is how it ends. An error
// that is not the signal's own may name what resumes the command, and is kept.
func (a *app) ended(err error) error {
	if a.ctx.Err() == nil || a.untilSignal {
		return err
	}
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(a.ctx)) {
		return errInterrupted
	}
	return err
}

type versionCmd struct{}

// Run prints the build.
func (versionCmd) Run(a *app) error {
	_, err := fmt.Fprintln(a.out, "ratchet", a.env.Version)
	return err
}
