package soak

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/console"
	"ratchet/pipeline/keepasim"
	"ratchet/pipeline/onebox"
	"ratchet/pipeline/tally"
	"ratchet/pipeline/warehouse"
)

// Options say how to run a scenario.
type Options struct {
	Data       string // directory; emptied by nobody, so give a fresh one
	Speed      float64
	Seed       uint64
	NoPeek     bool   // a commit for every candidate
	ClickHouse string // onebox.Embedded, onebox.None or a URL
	CHLib      string
	Log        *slog.Logger
	Version    string
	Progress   io.Writer // a line now and then for people
}

// Scenarios are the names that Run takes.
func Scenarios() []string { return []string{"backlog400"} }

// Run runs a scenario to its end.
func Run(ctx context.Context, name string, o Options) (Figures, error) {
	switch name {
	case "backlog400":
		return backlog400(ctx, o)
	default:
		return Figures{}, fmt.Errorf("scenario %q is unknown; there is %v", name, Scenarios())
	}
}

// backlogRows is how many candidates the scenario has.
const backlogRows = 400

// backlog400 is 400 candidates that wait at the start, 5 tokens a minute and a
// balance of 300: the run on which the predecessor took 21 hours.
func backlog400(ctx context.Context, o Options) (Figures, error) {
	box, err := onebox.Start(ctx, onebox.Options{
		Data: o.Data, World: onebox.Backlog, ClickHouse: o.ClickHouse, CHAddr: "127.0.0.1:0", CHLib: o.CHLib,
		Speed: o.Speed, Seed: o.Seed, Rate: 5, Balance: 300, Tick: time.Minute, SkipPeek: o.NoPeek,
		Log: o.Log, Version: o.Version, Progress: o.Progress,
	})
	if err != nil {
		return Figures{}, err
	}
	defer box.Stop(context.WithoutCancel(ctx))
	w, err := watch(ctx, box)
	if err != nil {
		return Figures{}, err
	}
	limit := 6 * time.Hour
	if o.NoPeek {
		limit = 24 * time.Hour
	}
	err = o.await(ctx, box, w, limit)
	samples := w.end()
	if err != nil {
		return Figures{}, err
	}
	f := Figures{Scenario: "backlog400", Speed: o.Speed, Seed: o.Seed, GoodTotal: 20}
	if err := f.measure(ctx, box, samples, keepasim.Backlog400(o.Seed)); err != nil {
		return f, err
	}
	if o.NoPeek {
		f.Scenario = "backlog400 --no-peek"
		f.judge(bars{decided: backlogRows, good: 20})
		return f, nil
	}
	f.judge(bars{decided: backlogRows, hoursToAll: 2, tokensPerDecision: 2, stallMin: 10, good: 20})
	return f, nil
}

// await waits until everything is decided, the limit of pipeline time has
// passed or the box fails, and says now and then how far it is.
func (o Options) await(ctx context.Context, box *onebox.Box, w *watcher, limit time.Duration) error {
	over := box.Env.After(limit)
	tell := time.NewTicker(5 * time.Second)
	defer tell.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-box.Failed():
			return err
		case <-over:
			return nil
		case <-tell.C:
			fmt.Fprintf(o.Progress, "%5.2f h  decided %d of %d  balance %d\n",
				box.Env.Now().Sub(box.T0).Hours(), w.decided(), backlogRows, box.Sim.Books().Balance)
		case <-look.C:
			if w.decided() >= backlogRows {
				return nil
			}
		}
	}
}

// measure fills in the figures from Keepa's books and the streams.
func (f *Figures) measure(ctx context.Context, box *onebox.Box, samples []sample, truth keepasim.Catalogue) error {
	f.Hours = box.Env.Now().Sub(box.T0).Hours()
	box.StopStages()
	sum, err := console.Tally(ctx, box.Bus)
	if err != nil {
		return err
	}
	listed, waiting, err := works(ctx, box.Bus, sum)
	if err != nil {
		return err
	}
	_, last := sum.Span()
	f.Decided, f.Undecided = sum.Decided(), backlogRows-sum.Decided()
	f.RowsUnaccounted = backlogRows - len(listed)
	for id := range listed {
		if _, ok := sum.Final()[id]; !ok && !waiting[id] {
			f.RowsUnaccounted++
		}
	}
	f.HoursToAll = last.Sub(box.T0).Hours()
	f.RejectedByLook = map[pipeline.Look]int{}
	for _, v := range sum.Final() {
		if v.Outcome == pipeline.Reject {
			f.RejectedByLook[v.Look]++
		}
	}
	f.books(box.Sim.Books(), samples, sum, last)
	f.GoodVisible, f.VisibleIn, err = visible(ctx, box, truth)
	return err
}

// books fills in what Keepa's own books say.
func (f *Figures) books(b keepasim.Books, samples []sample, sum *tally.Tally, last time.Time) {
	var paid []time.Time
	for _, c := range b.Paid {
		paid = append(paid, c.At)
		if !c.At.After(last) {
			f.TokensSpent += c.Cost
		}
	}
	if f.Decided > 0 {
		f.TokensPerDecision = float64(f.TokensSpent) / float64(f.Decided)
	}
	f.RepeatPaid = len(b.Repeated())
	f.HTTP429 = len(b.Refused)
	f.MinBalance = b.Minimum
	f.LedgerDrift = b.Consumed() - sum.Tokens()
	f.TokensExpiredWhileWaiting = expiredWhileWaiting(samples)
	f.LongestStallMin = longestStall(samples, paid).Minutes()
	f.TokensUsedShare = 1
	if all := b.Consumed() + f.TokensExpiredWhileWaiting; all > 0 {
		f.TokensUsedShare = float64(b.Consumed()) / float64(all)
	}
}

// works are the Work-Ids that became candidates, and those of them that have no
// final verdict but a survivor, and so still wait.
func works(ctx context.Context, b *bus.Bus, sum *tally.Tally) (listed, waiting map[string]bool, err error) {
	listed, waiting = map[string]bool{}, map[string]bool{}
	err = b.Scan(ctx, pipeline.StreamCandidates, bus.From{}, func(r bus.Read) error {
		id := r.Header.Get(pipeline.HeaderWorkID)
		listed[id] = true
		if _, ok := sum.Final()[id]; !ok {
			waiting[id] = true
		}
		return nil
	})
	return listed, waiting, err
}

// visible counts the good that a user sees: in ClickHouse's view of visible
// deals, or on the stream where there is no ClickHouse.
func visible(ctx context.Context, box *onebox.Box, truth keepasim.Catalogue) (int, string, error) {
	shown, where := []string{}, "streams"
	if box.CHURL == "" {
		deals, err := console.Deals(ctx, box.Bus, time.Time{})
		if err != nil {
			return 0, where, err
		}
		for _, d := range deals {
			shown = append(shown, d.ASIN)
		}
	} else {
		where = "clickhouse"
		box.AwaitRecorder(ctx, 15*time.Second)
		var err error
		if shown, err = visibleASINs(ctx, box.CHURL); err != nil {
			return 0, where, err
		}
	}
	good := 0
	for _, asin := range shown {
		if truth.Truth(asin) == keepasim.Good {
			good++
		}
	}
	return good, where, nil
}

func visibleASINs(ctx context.Context, url string) ([]string, error) {
	w, err := warehouse.Open(ctx, url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Close() }() // read only; nothing to lose
	t, err := w.SQL(ctx, "SELECT toString(asin) AS asin FROM visible_deals", true)
	if err != nil {
		return nil, err
	}
	out := make([]string, 0, len(t.Rows))
	for _, r := range t.Rows {
		out = append(out, fmt.Sprint(r[0]))
	}
	return out, nil
}
