package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/notifier"
	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

// The plans of the simulated Keepa. On real rows most of what is listed survives
// the cheap looks, and a plan of 5 a minute would take days to commit it all.
const (
	defaultRate  = 5
	capturedRate = 60
)

type upCmd struct {
	Data        string  `help:"Data directory (default: ~/.local/share/ratchet)." placeholder:"DIR"`
	EnvFile     string  `help:"Read environment variables from a file of NAME=VALUE lines; variables that are set take precedence. No file is read by default." placeholder:"FILE"`
	Simulate    bool    `help:"Use the simulated Keepa even if KEEPA_API_KEY is set." xor:"live"`
	Live        bool    `help:"Require the real Keepa: without KEEPA_API_KEY nothing starts. For service units and scripts." xor:"live"`
	Captured    string  `help:"Serve captured answers from DIR instead of a synthetic catalogue." placeholder:"DIR"`
	Speed       float64 `help:"Pipeline seconds per second; simulated time only." default:"1"`
	For         span    `help:"Stop after this much pipeline time and print the report (90m, 24h, 7d …)." placeholder:"D"`
	Clickhouse  string  `help:"embedded, none, or the URL of a server, whose password is CLICKHOUSE_PASSWORD. CLICKHOUSE_URL is only for commands." default:"embedded"`
	CHAddr      string  `name:"clickhouse-addr" help:"Address of the embedded ClickHouse (default: ${default})." default:"127.0.0.1:8123" placeholder:"HOST:PORT"`
	CHLib       string  `name:"clickhouse-lib" help:"The libchdb.so to use." env:"CHDB_LIB_PATH" placeholder:"FILE"`
	NATS        string  `name:"nats" help:"Address of the embedded NATS (default: ${default})." default:"127.0.0.1:4222" placeholder:"HOST:PORT"`
	NATSMonitor string  `name:"nats-monitor" help:"Address of its monitoring (default: ${default})." default:"127.0.0.1:8222" placeholder:"HOST:PORT"`
	NATSContext string  `name:"nats-context" help:"Write a context of this name for the nats command, so that nats --context NAME reaches this NATS; it stays when it stops." placeholder:"NAME"`
	Page        string  `help:"Address of the live page, or off (default: ${default}; without one if that is in use)." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	PageLan     bool    `help:"Also serve the page on this machine's private address, in plain HTTP, to the phone that scans the printed QR code."`
	tlsFlags    `embed:""`
	MetricsAddr string   `help:"Address of /livez, /readyz and /metrics, which ask for no credentials (default: none)." env:"METRICS_ADDR" placeholder:"HOST:PORT"`
	Rate        int      `help:"Tokens a minute of the simulated plan (default: 5; 60 with --captured, so that every captured row is decided)." placeholder:"N"`
	Seed        uint64   `help:"Seed of the simulated catalogue." default:"1"`
	Query       []string `help:"A deal query for this start, as a file or as Keepa's web page shows it; repeatable; - reads the standard input (default: QUERIES, else used books)." sep:"none" placeholder:"FILE"`
	Rules       string   `help:"The rule file for this start (default: the built-in rules for used books)." env:"RULES" placeholder:"FILE"`
	NoPeek      bool     `help:"A commit for every candidate, to see what the peek saves."`
	KeepaURL    string   `help:"" env:"KEEPA_URL" hidden:""`
	Queries     string   `help:"" env:"QUERIES" hidden:""`
	Plans       string   `help:"" env:"KEEPA_PLANS" hidden:""`
	Plan        string   `help:"" env:"KEEPA_PLAN" hidden:""`
}

// Run is the main job.
func (c upCmd) Run(a *app) error {
	o, err := c.options(a)
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Fprintf(a.out, format+"\n", args...) }
	switch o.World {
	case standalone.Real:
		say("Keepa: the real API, with KEEPA_API_KEY.")
	case standalone.Captured:
		say("Keepa: captured answers from %s, served by the simulated Keepa at %d tokens a minute and %g× time.", c.Captured, o.Rate, o.Speed)
	default:
		if !isTerminal(a.out) {
			fmt.Fprintln(a.errOut, "Keepa is simulated: nobody sells what is found. Set KEEPA_API_KEY for the real one.")
		}
		say("Keepa: simulated, at %d tokens a minute and %g× time (set KEEPA_API_KEY for the real one).", o.Rate, o.Speed)
	}
	if c.For < 0 {
		return process.Usagef("--for: want a positive duration, got %s", c.For)
	}
	a.untilSignal = true
	box, err := standalone.Start(a.ctx, o)
	if err != nil {
		return err
	}
	say("Data:  %s", o.Data)
	if box.NATSURL != "" {
		say("NATS:  %s   monitoring http://%s", bus.RedactURL(box.NATSURL), box.Monitor)
	}
	if err := c.context(box, say); err != nil {
		box.Stop(context.WithoutCancel(a.ctx))
		return err
	}
	if box.CHURL != "" {
		say("SQL:   %s", cli.RedactURL(box.CHURL))
	} else {
		say("SQL:   none; reports and deals come from the streams")
	}
	switch {
	case box.Page != "":
		say("Page:  %s", box.Page)
		sayPhone(a, box, say)
	case box.NoPage != nil:
		say("Page:  none, since %s", box.NoPage)
	}
	if box.Probes != "" {
		say("Probes: http://%s/readyz and /livez", box.Probes)
	}
	sayPlans(a.ctx, box.Bus, say)
	c.sayRules(a.ctx, box.Bus, say)
	sayQueries(a.ctx, box.Bus, say)
	sayNotify(a.env, say)
	say("Ready. Ctrl-C stops; a restart continues from there.\n")
	return c.watch(a, box)
}

// sayPhone prints by which address and code a phone is admitted.
func sayPhone(a *app, box *standalone.Box, say func(string, ...any)) {
	if box.Phone == "" {
		return
	}
	if code, err := page.QR(box.Phone); err == nil && isTerminal(a.out) {
		say("%s", code)
	}
	say("Phone: %s   once; for another one open %sphone", box.Phone, box.Page)
}

// context writes a context for the nats command, where one is asked for.
func (c upCmd) context(box *standalone.Box, say func(string, ...any)) error {
	if c.NATSContext == "" {
		return nil
	}
	file, err := box.WriteContext(c.NATSContext)
	if err == nil {
		say("       nats --context %s, by %s", c.NATSContext, file)
	}
	return err
}

// sayPlans prints which marketplaces are left to other keys, if any are.
func sayPlans(ctx context.Context, b *bus.Bus, say func(string, ...any)) {
	plans, err := b.Plans(ctx)
	if err != nil {
		return // the status shows it
	}
	for _, p := range plans.Named() {
		say("Plan:  %s (%s) does not run here: start a tokend, watermarker, peeker and committer with its key", p, plans.Describe(p))
	}
}

// sayRules prints which rules decide.
func (c upCmd) sayRules(ctx context.Context, b *bus.Bus, say func(string, ...any)) {
	all, err := cli.AppliedRules(ctx, b)
	if err != nil {
		return // the status shows it
	}
	if len(all) == 0 || all[len(all)-1].Rules == "" {
		if j, err := loadRules(ctx, c.Rules); err == nil {
			say("Rules: %s, version %s", cmp.Or(c.Rules, "built in"), j.Version())
		}
		return
	}
	note := ""
	if c.Rules != "" {
		note = fmt.Sprintf("; they override %s: `ratchet rules apply %s` applies that file", c.Rules, c.Rules)
	}
	say("Rules: version %d, which was applied%s", all[len(all)-1].Version, note)
}

// sayNotify prints how many targets are notified.
func sayNotify(env process.Env, say func(string, ...any)) {
	raw, set, err := process.Find(env.Lookup, "NOTIFY_TARGETS")
	if err != nil || !set {
		say("Notify: none; docs/notify.md")
		return
	}
	targets, err := notifier.ParseTargets(raw)
	switch {
	case err != nil: // nothing would have started
	case len(targets) == 1:
		say("Notify: 1 target; ratchet status shows its state")
	default:
		say("Notify: %d targets; ratchet status shows each", len(targets))
	}
}

// sayQueries prints the current queries if they were applied.
func sayQueries(ctx context.Context, b *bus.Bus, say func(string, ...any)) {
	all, err := cli.AppliedQueries(ctx, b)
	if n := len(all); err == nil && n > 0 && len(all[n-1].Queries) > 0 {
		say("Queries: version %d, which was applied (%s); `ratchet queries revert 0` returns to those of QUERIES", all[n-1].Version, strings.Join(cli.QueryIDs(all[n-1]), ", "))
	}
}

// watch shows the live summary until the time is up, a signal comes or a daemon
// cannot continue; then it stops the box and, after --for, prints the report.
func (c upCmd) watch(a *app, box *standalone.Box) error {
	var timeUp <-chan time.Time
	if c.For > 0 {
		timeUp = box.Env.After(time.Duration(c.For))
	}
	visible := cli.NewVisible(box.Bus, box.CHURL)
	defer visible.Close()
	summary := cli.NewSummary(box.Bus, box.Env, visible, a.out)
	summary.Simulated = box.Sim != nil
	if c.For > 0 {
		summary.Ends = box.Env.Now().Add(time.Duration(c.For))
	}
	done := make(chan struct{})
	finished := make(chan struct{})
	go func() { defer close(finished); summary.Run(a.ctx, done) }()
	var cause error
	select {
	case <-a.ctx.Done():
		fmt.Fprintln(a.out, "\nstopping …")
	case cause = <-box.Failed():
	case <-timeUp:
	}
	close(done)
	<-finished
	stop := time.Now()
	// The report asks the streams and ClickHouse, so it comes before these stop; the
	// stages stop first so that it is complete.
	box.StopStages()
	var err error
	if c.For > 0 && a.ctx.Err() == nil && cause == nil {
		var made func(asin string) bool
		if c.Captured != "" {
			made = box.Sim.Made
		}
		err = cli.Report(a.ctx, box.Bus, visible, made, a.out)
	}
	// The signal that ends us must not end the recorder and ClickHouse halfway: Stop bounds both, and a second signal
	// kills.
	box.Stop(context.WithoutCancel(a.ctx))
	if a.ctx.Err() != nil {
		fmt.Fprintf(a.out, "stopped in %s; nothing is lost.\n", time.Since(stop).Round(10*time.Millisecond))
	}
	return errors.Join(cause, err)
}

func (c upCmd) options(a *app) (standalone.Options, error) {
	if c.Plans != "" || c.Plan != "" && c.Plan != pipeline.MainPlan {
		return standalone.Options{}, process.Usagef("KEEPA_PLANS, KEEPA_PLAN: `ratchet up` runs the first plan alone, and another key would lie idle: unset them, " +
			"name the plans by `ratchet topology apply --plans` on its NATS, and run the tokend, watermarker, peeker and committer of each beside it, as docs/fleet.md shows")
	}
	key, err := c.key(a)
	if err != nil {
		return standalone.Options{}, err
	}
	o := standalone.Options{
		Data: c.Data, Key: key, KeepaURL: c.KeepaURL, CapturedDir: c.Captured,
		NATSAddr: c.NATS, Monitor: c.NATSMonitor, Page: c.Page, PageLAN: c.PageLan, TLS: c.tls(), Probes: c.MetricsAddr, ClickHouse: c.Clickhouse, CHAddr: c.CHAddr, CHLib: c.CHLib,
		Speed: c.Speed, Seed: c.Seed, Rate: c.Rate, Balance: standalone.FullBucket, SkipPeek: c.NoPeek,
		Log: a.env.Log, Version: a.env.Version, Progress: a.errOut,
	}
	if o.Rate == 0 {
		o.Rate = defaultRate
		if c.Captured != "" {
			o.Rate = capturedRate
		}
	}
	switch {
	case c.Captured != "":
		o.World = standalone.Captured
		if fi, err := os.Stat(c.Captured); err != nil || !fi.IsDir() {
			return o, process.Usagef("--captured: %s is not a directory", c.Captured)
		}
	case c.Simulate || key == "":
		o.World = standalone.Simulated
	default:
		o.World = standalone.Real
	}
	if err := c.server(&o); err != nil {
		return o, err
	}
	if o.Data == "" {
		dir, err := standalone.DefaultData()
		if err != nil {
			return o, err
		}
		o.Data = dir
	}
	if err := o.Validate(); err != nil {
		return o, err
	}
	if c.NATSContext != "" {
		if err := standalone.CheckContext(c.NATSContext, o); err != nil {
			return o, err
		}
	}
	return o, c.decides(a, &o)
}

// decides reads and checks the rules and the queries of this start, before anything is started.
func (c upCmd) decides(a *app, o *standalone.Options) error {
	if _, err := loadRules(a.ctx, c.Rules); err != nil {
		return err
	}
	o.Settings = map[string]string{}
	if c.Rules != "" {
		o.Settings["RULES"] = c.Rules
	}
	path := c.Queries
	if len(c.Query) > 0 {
		queries, err := importQueries(a, c.Query)
		if err != nil {
			return err
		}
		if path, err = keepQueries(a, queries, o.Data); err != nil {
			return err
		}
		o.Settings["QUERIES"] = path
	}
	return checkQueries(a.ctx, a, path, c.Rules)
}

// server is the ClickHouse to use. A server is meant only where the flag names it: CLICKHOUSE_URL in the environment
// may be left from another pipeline.
func (c upCmd) server(o *standalone.Options) error {
	switch o.ClickHouse {
	case "":
		o.ClickHouse = standalone.Embedded
	case standalone.Embedded, standalone.None:
	default:
		login, err := process.Load[clickhouseLogin](context.Background(), process.Environment())
		if err != nil {
			return err
		}
		o.ClickHouse = warehouse.Login(o.ClickHouse, login.Password.Reveal())
	}
	return nil
}

// key is the key of the real Keepa; "" where the simulated one is meant.
func (c upCmd) key(a *app) (process.Secret, error) {
	if c.Simulate || c.Captured != "" {
		return "", nil
	}
	key, set, err := process.Find(a.env.Lookup, "KEEPA_API_KEY")
	switch {
	case err != nil:
		return "", fmt.Errorf("%w (--simulate uses the simulated Keepa)", err)
	case c.Live && !set:
		return "", process.Usagef("--live: set KEEPA_API_KEY, or KEEPA_API_KEY_FILE to a file that holds it")
	}
	return key, nil
}
