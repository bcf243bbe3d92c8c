// Command ratchet is the whole pipeline on one machine, and the operator's
// commands.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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

// grammar is the command line: one field per command.
type grammar struct {
	LogLevel string `help:"debug, info, warn or error." default:"warn" env:"LOG_LEVEL" placeholder:"LEVEL"`

	ShowVersion kong.VersionFlag `name:"version" help:"The build, as the command version prints it."`

	UpData string `help:"The data directory of the running ratchet up to ask, if NATS_URL and CLICKHOUSE_URL are not set (default: ~/.local/share/ratchet)." placeholder:"DIR"`

	Init       initCmd       `cmd:"" help:"Write commented rules, a deal query and an example of the environment, to make your own."`
	Up         upCmd         `cmd:"" help:"Run everything in this process: the main job."`
	Soak       soakCmd       `cmd:"" help:"Run a named scenario on the simulated Keepa and check every invariant."`
	Forecast   forecastCmd   `cmd:"" help:"Is your plan the bottleneck, and what would the next one bring? From your own history, or on a simulated list."`
	Status     statusCmd     `cmd:"" help:"Balance, mode, what waits, watermarks and gaps."`
	Top        topCmd        `cmd:"" help:"The same on one live screen: balance, stages, the best deals, the last decisions."`
	Spend      spendCmd      `cmd:"" help:"What was spent today, on what, and what a deal cost."`
	Report     reportCmd     `cmd:"" help:"Ask ClickHouse a named question; without a name, list them."`
	Replay     replayCmd     `cmd:"" help:"Repeat earlier decisions under other rules; costs no token."`
	Backtest   backtestCmd   `cmd:"" help:"Score the rules on stored histories: what they would have bought, and what that made; costs no token."`
	Deals      dealsCmd      `cmd:"" help:"The deals, best first."`
	Why        whyCmd        `cmd:"" help:"Every verdict and answer of one ASIN; without one, why nothing is found."`
	Buy        buyCmd        `cmd:"" help:"Record that you bought a copy: the deal leaves the list and is not reported again."`
	Ignore     ignoreCmd     `cmd:"" help:"Do not show deals of a product, a seller, a brand or with words in the title; without arguments, what is ignored."`
	Sold       soldCmd       `cmd:"" help:"Record that you sold a copy: its price is compared with the prediction."`
	Notify     notifyCmd     `cmd:"" help:"Send a test to every target of NOTIFY_TARGETS."`
	Dead       deadCmd       `cmd:"" help:"Dead letters, which could not be processed: list, show or retry them."`
	Answer     answerCmd     `cmd:"" help:"The stored bytes of Keepa's answers to a call, or to every call for a unit of work."`
	Rules      rulesCmd      `cmd:"" help:"Check rule files and apply them."`
	Queries    queriesCmd    `cmd:"" help:"Check deal query files and apply them."`
	SQL        sqlCmd        `cmd:"" name:"sql" help:"Ask ClickHouse any query."`
	Pause      pauseCmd      `cmd:"" help:"Stop spending; free work continues."`
	Resume     resumeCmd     `cmd:"" help:"Spend again."`
	Nospend    nospendCmd    `cmd:"" help:"Decide only what stored answers can decide."`
	Topology   topologyCmd   `cmd:"" help:"Create and change streams, consumers, buckets and tables, or show what differs: daemons only check."`
	Backup     backupCmd     `cmd:"" help:"Copy everything that is stored into a directory, while the pipeline runs."`
	Restore    restoreCmd    `cmd:"" help:"Create a pipeline from a backup; nothing is paid for again."`
	Doctor     doctorCmd     `cmd:"" help:"Key, plan, balance, clock, disk and ports, for 0 tokens."`
	Clickhouse clickhouseCmd `cmd:"" help:"Run the embedded ClickHouse alone."`
	Daemon     daemonCmd     `cmd:"" hidden:"" help:"One daemon as a process of its own, configured by the environment."`
	Version    versionCmd    `cmd:"" help:"The build."`
}

// app is what every command is given.
type app struct {
	ctx    context.Context
	env    process.Env
	out    io.Writer
	errOut io.Writer
}

// words are what the help of flags names and the code knows.
func words() kong.Vars {
	return kong.Vars{
		"conditions": strings.Join(cli.Conditions(), ", "), "orders": strings.Join(cli.Orders(), ","), "fields": strings.Join(cli.Fields(), ", "),
	}
}

// run is main with its edges as arguments.
func run(args []string, out, errOut io.Writer) int {
	var c grammar
	exited, code := false, 0
	parser, err := kong.New(&c,
		kong.Name("ratchet"),
		kong.Description("Collects profitable Amazon deals through the Keepa API when tokens are scarce."),
		words(), kong.Vars{"version": process.Version()},
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
	if err := readEnv(args); err != nil {
		fmt.Fprintf(errOut, "ratchet: %v\n", err)
		return process.ExitUsage
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
	ctx, stop := process.SignalContext(context.Background())
	defer stop()
	err = k.Run(&app{ctx: ctx, env: env, out: out, errOut: errOut})
	if code := process.ExitCode(err); code != process.ExitDone {
		fmt.Fprintf(errOut, "ratchet: %v\n", err)
		return code
	}
	return process.ExitDone
}

// bounded is the command's context with a limit for what should answer at once.
func (a *app) bounded(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(a.ctx, d)
}

// errInterrupted is what a command ends with that was stopped before its answer was whole.
var errInterrupted = errors.New("interrupted; the answer is incomplete")

// whole returns err, or errInterrupted if a signal is the cause: an incomplete answer is not a success.
func (a *app) whole(err error) error {
	if err != nil && a.ctx.Err() != nil {
		return errInterrupted
	}
	return err
}

type versionCmd struct{}

// Help is an example.
func (versionCmd) Help() string {
	return `Example:
  ratchet version`
}

// Run prints the build.
func (versionCmd) Run(a *app) error {
	_, err := fmt.Fprintln(a.out, "ratchet", a.env.Version)
	return err
}
