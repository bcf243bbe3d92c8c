// Package scenario runs named scenarios of the whole pipeline on a simulated Keepa and judges them by an
// operator's figures: decided, tokens per decision, stalls, losses. Only Keepa and time are simulated.
//
//	Scenario ──▶ onebox (real NATS, real daemons) ◀── watcher samples, Steps disturb
//	                └──▶ Figures ◀── Keepa's books, streams, ClickHouse ──▶ Bars
package scenario

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"time"

	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/sim/keepasim"
)

// Options are how to run a scenario.
type Options struct {
	Data       string  // directory; must be empty
	Speed      float64 // pipeline seconds per machine second; 0 is the scenario's default
	Seed       uint64
	NoPeek     bool   // a commit for every candidate
	Rules      string // a rule file; empty means the built-in rules
	ClickHouse string // standalone.Embedded, standalone.None or a URL
	CHLib      string
	Log        *slog.Logger
	Version    string
	Progress   io.Writer // occasional lines on the progress

	// Faults is how many faults the scenario cluster draws by the seed; 0: each once. Wait is how long a freeze, a
	// partition or an outage lasts, and Only are parts of the names of the faults to try; none: all of them.
	Faults int
	Wait   time.Duration
	Only   []string
	// All makes a fault that cannot be tried here a failure.
	All bool
	// Slack multiplies what a fault may take, on a machine that does other work at the same time; 0 is 1.
	Slack float64
	Keep  bool // Data outlives the run
}

// Scenario is one named run: a box with its disturbances, or a run of its own (Drive).
type Scenario struct {
	Name  string
	About string        // one sentence for people
	Speed float64       // default
	Limit time.Duration // pipeline time after which it ends

	// Rows is the size of a world that does not change: the run ends when all of them are decided, and
	// the bars hold for each. 0: an endless world, in which work may wait at the end.
	Rows int
	// World returns Keepa's catalogue.
	World func(seed uint64) keepasim.Catalogue
	// Box is the plan, the faults and the settings; the rest is filled in.
	Box standalone.Options
	// Steps disturb the run, each at its own instant, in order.
	Steps []Step
	Bars  Bars
	// Idle marks a plan with more tokens than the list has work: the bucket is full for most of
	// the run, and whenever a row comes, the machine's reaction of a quarter of a second is
	// minutes of pipeline time in which refills expire. Only later expiry counts.
	Idle bool

	// Drive runs a scenario that is not one box on one world.
	Drive func(context.Context, Options) (Figures, error)

	quiet func() // ends the disturbances, before anything is measured
}

// Step is something that happens during a run.
type Step struct {
	At   time.Duration // pipeline time since t0
	Name string        // for the progress line
	Do   func(context.Context, *Rig) error
}

// All returns the scenarios in their recommended order.
func All() []Scenario {
	return []Scenario{
		backlog400(), saves(),
		startMinus231(), phantomDrain(), tokenOutage12h(), rate5to25to5(), twoTokends(), rateSweep(),
		churnWeek(), listOutage13h(), orderChaos(),
		heartbeatDay(), storm(), thaw(),
		flood10k(), clickhouseOut2h(), oddFeed(7 * 24 * time.Hour), clusterOf(), twoKeys(),
	}
}

// Scenarios returns the names that Run accepts.
func Scenarios() []string {
	var names []string
	for _, s := range All() {
		names = append(names, s.Name)
	}
	return names
}

// Run runs a scenario to its end.
func Run(ctx context.Context, name string, o Options) (Figures, error) {
	all := All()
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return Figures{}, fmt.Errorf("scenario %q is unknown: want one of %v", name, Scenarios())
	}
	s := all[i]
	o.Speed = cmp.Or(o.Speed, s.Speed)
	if s.Drive != nil {
		return s.Drive(ctx, o)
	}
	return s.run(ctx, o)
}

// run runs one box on one world.
func (s Scenario) run(ctx context.Context, o Options) (Figures, error) {
	world := s.World(o.Seed)
	box, err := standalone.Start(ctx, s.options(world, o))
	if err != nil {
		return Figures{}, err
	}
	defer box.Stop(context.WithoutCancel(ctx))
	return s.follow(ctx, o, boxed(box), world)
}

// follow watches a running pipeline to its end and measures it.
func (s Scenario) follow(ctx context.Context, o Options, r *Rig, world keepasim.Catalogue) (Figures, error) {
	w, err := watch(ctx, r)
	if err != nil {
		return Figures{}, err
	}
	limit, bars := s.Limit, s.Bars
	f := Figures{Scenario: s.Name, Speed: o.Speed, Seed: o.Seed}
	if o.NoPeek {
		limit, bars = 4*limit, Bars{Good: bars.Good, StallMin: bars.StallMin, Recall: bars.Recall, Precision: bars.Precision}
		f.Scenario += " --no-peek"
	}
	err = s.await(ctx, o, r, w, limit)
	if s.quiet != nil {
		s.quiet()
	}
	seen := w.end()
	if s.Idle {
		seen.reaction = int(250 * time.Millisecond / sampleEvery)
	}
	if err != nil {
		return f, err
	}
	if err := f.measure(ctx, r, seen, w.list, world, s.Rows); err != nil {
		return f, err
	}
	f.judge(bars, s.Rows)
	return f, nil
}

// options completes the box.
func (s Scenario) options(world keepasim.Catalogue, o Options) standalone.Options {
	b := s.Box
	b.Data, b.World, b.Catalogue, b.Speed, b.Seed = o.Data, standalone.Given, world, o.Speed, o.Seed
	b.ClickHouse, b.CHAddr, b.CHLib = o.ClickHouse, "127.0.0.1:0", o.CHLib
	b.Log, b.Version, b.Progress, b.SkipPeek = o.Log, o.Version, o.Progress, o.NoPeek
	if o.Rules != "" {
		b.Settings = map[string]string{}
		maps.Copy(b.Settings, s.Box.Settings)
		b.Settings["RULES"] = o.Rules
	}
	b.Tick = cmp.Or(b.Tick, time.Minute)
	return b
}

// await waits until everything is decided, the limit of pipeline time has
// passed or the box fails; it takes the steps and prints the progress.
func (s Scenario) await(ctx context.Context, o Options, r *Rig, w *watcher, limit time.Duration) error {
	over := r.Env.After(limit)
	report := time.NewTicker(5 * time.Second)
	defer report.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	steps := s.Steps
	for {
		since := r.Env.Now().Sub(r.T0)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-r.failed:
			return err
		case <-over:
			return nil
		case <-report.C:
			fmt.Fprintf(o.Progress, "%6.2f of %.0f h  decided %d%s  balance %d\n",
				since.Hours(), limit.Hours(), w.decided(), of(s.Rows), r.Sim.Account().Balance)
			w.recount(ctx)
		case <-look.C:
			if s.Rows > 0 && w.decided() >= s.Rows {
				return nil
			}
			for len(steps) > 0 && steps[0].At <= since {
				fmt.Fprintf(o.Progress, "%6.2f h  %s\n", since.Hours(), steps[0].Name)
				if err := steps[0].Do(ctx, r); err != nil {
					return fmt.Errorf("%s at %v: %w", steps[0].Name, steps[0].At, err)
				}
				steps = steps[1:]
			}
		}
	}
}

func of(rows int) string {
	if rows == 0 {
		return ""
	}
	return fmt.Sprintf(" of %d", rows)
}

// backlog returns a fixed world of at least that many rows.
func backlog(rows int) func(uint64) keepasim.Catalogue {
	return func(seed uint64) keepasim.Catalogue { return keepasim.BacklogOf(seed, rows) }
}

// living returns a world of that many rows that come, change and leave.
func living(rows int) func(uint64) keepasim.Catalogue {
	return func(seed uint64) keepasim.Catalogue {
		return keepasim.Living(seed, keepasim.LivingOptions{Rows: rows})
	}
}
