package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

type replayCmd struct {
	natsFlags     `embed:""`
	planFlag      `embed:""`
	clickhouseURL `embed:""`

	Look    string `help:"Which look to decide again: peek or commit." placeholder:"LOOK"`
	Rules   string `help:"The rule file to decide with (default: the rules by which the pipeline decides)." type:"path" placeholder:"FILE"`
	RunName string `name:"run" required:"" help:"Name of the run; its verdicts carry it as Run-Id." placeholder:"NAME"`
	Since   span   `help:"Only what was decided within this much pipeline time (24h, 30d …)." placeholder:"D" xor:"span"`
	From    string `help:"Only what was decided from this time on (RFC 3339 or 2006-01-02)." placeholder:"T" xor:"span"`
	To      string `help:"Only what was decided before this time." placeholder:"T"`
	ASIN    string `help:"Only this ASIN." placeholder:"A"`
	Source  string `help:"Only this source: live, gap, backfill, refresh, repair or retry." placeholder:"S"`
	Reason  string `help:"Only what was decided for this reason." placeholder:"R"`
	Resume  bool   `help:"Continue an interrupted run."`
	Publish bool   `help:"Offer what passes now to the live pipeline, once. It is decided there by the live rules (apply these first: ratchet rules apply FILE), and looks whose answers are older than PEEKER_FRESH and COMMITTER_FRESH cost tokens."`
	Depth   string `help:"inputs or answers, instead of the replay's choice." placeholder:"DEPTH"`
	Changed bool   `name:"changed-only" help:"Store only verdicts that differ; the others are counted."`
	Started string `help:"" env:"RULES" hidden:""`

	given string `kong:"-"` // the flags that choose the pipeline
}

// AfterApply keeps the flags that choose the pipeline, for the command that resumes.
func (c *replayCmd) AfterApply(k *kong.Context) error {
	for _, p := range k.Path {
		if p.Flag != nil && !p.Resolved && slices.Contains([]string{"plan", "nats-url", "clickhouse-url"}, p.Flag.Name) {
			value := fmt.Sprint(k.FlagValue(p.Flag))
			if strings.Contains(value, "@") { // a password is for the user to fill in
				value = bus.RedactURL(value)
			}
			c.given += fmt.Sprintf(" --%s %s", p.Flag.Name, quoted(value))
		}
	}
	return c.clickhouseURL.AfterApply(k)
}

// quoted is a value as a shell takes it.
func quoted(value string) string {
	if !strings.ContainsAny(value, " \t\n\"'`$&;|<>()*?[]!#~\\") {
		return value
	}
	return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
}

// Run decides again what was decided before, and compares.
func (c replayCmd) Run(a *app) error {
	o, err := c.options(a)
	if err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	nats, err := c.of(c.planFlag)
	if err != nil {
		return err
	}
	b, err := nats.connect(a.ctx, a)
	if err != nil {
		return err
	}
	defer b.Close()
	if len(o.Rules) == 0 && !o.Resume {
		if o.Rules, err = c.live(a, b); err != nil {
			return err
		}
	}
	if c.Since > 0 {
		if o.From, err = c.since(a, b); err != nil {
			return err
		}
	}
	ch, closeCH, err := c.warehouse(a)
	if err != nil {
		return err
	}
	defer closeCH()
	bar := replay.NewBar(a.errOut, isTerminal(a.errOut))
	r, err := replay.Open(a.ctx, b, ch, o, bar.Show)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out, r.Describe())
	err = r.Run(a.ctx, ch)
	bar.End()
	if err == nil && c.Publish {
		err = r.Publish(a.ctx)
	}
	if err != nil && a.ctx.Err() != nil {
		return fmt.Errorf("interrupted after %d; continue with: %s", r.Sums.Selected, c.again())
	}
	if err != nil {
		return err
	}
	return r.Write(a.out)
}

// live is the rule file by which the pipeline decides.
func (c replayCmd) live(a *app, b *bus.Bus) ([]byte, error) {
	ctx, cancel := a.bounded(answerWithin)
	defer cancel()
	rules, err := liveRules(ctx, b, c.Started)
	if err != nil {
		return nil, fmt.Errorf("the rules of the pipeline: %w; --rules FILE decides by others", err)
	}
	return rules.Text, nil
}

// again is the command that resumes the run.
func (c replayCmd) again() string {
	command := fmt.Sprintf("ratchet replay --run %s --resume", c.RunName)
	if c.Publish {
		command += " --publish"
	}
	return command + c.given
}

// warehouse returns ClickHouse, or nil without one: VERDICTS has it all for as long as it is kept. A ClickHouse that
// was named, or answers, holds more than VERDICTS, so a run without it would be incomplete.
func (c replayCmd) warehouse(a *app) (replay.Warehouse, func(), error) {
	if c.URL == standalone.None {
		return nil, func() {}, nil
	}
	ctx, cancel := a.bounded(answerWithin)
	defer cancel()
	if !c.named && !listens(ctx, c.URL) {
		fmt.Fprintf(a.errOut, "ClickHouse is not used: nothing listens at %s\n", cli.RedactURL(c.URL))
		return nil, func() {}, nil
	}
	w, err := warehouse.Reach(ctx, c.URL)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; --clickhouse-url none decides again only what VERDICTS holds", err)
	}
	return w, func() { _ = w.Close() }, nil // nothing was written through it
}

func (c replayCmd) options(a *app) (replay.Options, error) {
	o := replay.Options{
		Look: pipeline.Look(c.Look), Run: c.RunName, Depth: replay.Depth(c.Depth), ASIN: c.ASIN,
		Source: pipeline.Source(c.Source), Reason: c.Reason, Resume: c.Resume, ChangedOnly: c.Changed,
	}
	if c.Rules != "" {
		var err error
		if o.Rules, err = process.ReadFile(a.ctx, c.Rules); err != nil {
			return o, process.Usagef("--rules: %w", err)
		}
	}
	var err error
	if o.From, err = instant("--from", c.From); err != nil {
		return o, err
	}
	if o.To, err = instant("--to", c.To); err != nil {
		return o, err
	}
	if c.Since < 0 {
		return o, process.Usagef("--since: want a positive duration, got %s", c.Since)
	}
	switch {
	case c.Since > 0 && c.To != "":
		return o, process.Usagef("--to: goes with --from; --since reaches to now")
	case c.Since > 0:
		o.Span = "since " + c.Since.String()
	case c.From != "" || c.To != "":
		o.Span = "from " + c.From + " to " + c.To
	}
	if err := o.Validate(); err != nil {
		return o, &process.UsageError{Err: err}
	}
	return o, nil
}

// since is the pipeline's now less the span that was asked for.
func (c replayCmd) since(a *app, b *bus.Bus) (time.Time, error) {
	ctx, cancel := a.bounded(answerWithin)
	defer cancel()
	s, err := cli.ReadStatus(ctx, b)
	if err != nil {
		return time.Time{}, err
	}
	return s.At.Add(-time.Duration(c.Since)), nil
}

// instant reads a time as people write it; UTC without a zone.
func instant(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateTime, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, process.Usagef("%s: want a time like 2026-11-01T00:00Z or 2026-11-01, got %q", flag, text)
}

// isTerminal reports whether somebody watches.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	fi, err := f.Stat()
	return err == nil && fi.Mode()&os.ModeCharDevice != 0
}
