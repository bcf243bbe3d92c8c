package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/report"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/sim/keepasim"
)

// settleWithin is how long tokend has, on the machine's clock, to explain the
// last answers after the workers ended: a claim of a dead worker lives 10 s.
const settleWithin = 30 * time.Second

// measure fills in the figures from Keepa's books and the streams.
func (f *Figures) measure(ctx context.Context, r *Rig, seen seen, list *discovery, truth keepasim.Catalogue, rows int) error {
	f.Hours = r.Env.Now().Sub(r.T0).Hours()
	books := r.Sim.Account() // before the workers end: later expiry is not their fault
	r.stopWorkers()
	if err := settled(ctx, r.Bus, "", r.Sim); err != nil {
		return err
	}
	r.stopStages()
	sum, err := cli.ReadReport(ctx, r.Bus)
	if err != nil {
		return err
	}
	w, err := works(ctx, r.Bus, sum)
	if err != nil {
		return err
	}
	_, last := sum.Span()
	f.Decided, f.HoursToAll = sum.Decided(), last.Sub(r.T0).Hours()
	f.Undecided = max(rows, len(w.listed)) - f.Decided
	f.RowsUnaccounted = max(0, w.lost)
	if err := f.balance(ctx, r, list, w); err != nil {
		return err
	}
	final := sum.Final()
	f.Quality = qualityOf(final, truth)
	f.RejectedByLook = map[pipeline.Look]int{}
	for _, v := range final {
		if v.Outcome == pipeline.Reject {
			f.RejectedByLook[v.Look]++
		}
	}
	f.repeats(r.Sim.Account(), w)
	defer f.flood(sum, w, truth, r.Sim.Account())
	if r.Ps != nil {
		f.Kills = r.Ps.killed()
	}
	f.books(books, seen, last)
	end := r.Sim.Account()
	f.Foreign, f.DriftSeries = end.Foreign, sum.Drift()
	f.LedgerDrift = end.Consumed() + end.Foreign - sum.Tokens() - sum.Drift()
	f.StageDrift = astray(end, sum)
	if err := f.good(ctx, r, truth, w); err != nil {
		return err
	}
	return f.recorded(ctx, r)
}

// settled waits until tokend's books explain all that the plan's key was charged; if they never do, the figures say so.
func settled(ctx context.Context, b *bus.Bus, p pipeline.Plan, sim *keepasim.Sim) error {
	kv, err := b.Store(ctx, p.Own(pipeline.BucketTokens))
	if err != nil {
		return err
	}
	_ = eventually(ctx, settleWithin, func(ctx context.Context) error {
		if books := sim.Account(); explained(ctx, kv) != books.Consumed()+books.Foreign {
			return errors.New("not yet")
		}
		return nil
	})
	return ctx.Err()
}

// explained returns what the grants and tokend's books account for, in tokens.
func explained(ctx context.Context, kv jetstream.KeyValue) int {
	var balance token.Balance
	read(ctx, kv, pipeline.KeyBalance, &balance)
	n := balance.Books.Drift
	for _, stage := range pipeline.Stages() {
		var g token.Grant
		read(ctx, kv, pipeline.KeyGrant(stage), &g)
		n += g.Settled
	}
	return n
}

// read leaves v unchanged when the key does not exist yet.
func read(ctx context.Context, kv jetstream.KeyValue, key string, v any) {
	if e, err := kv.Get(ctx, key); err == nil {
		_ = json.Unmarshal(e.Value(), v) // a key of another version explains nothing
	}
}

// books fills in Keepa's own figures for the observed time.
func (f *Figures) books(b keepasim.Account, seen seen, last time.Time) {
	var paid []time.Time
	listed := 0
	for _, c := range b.Paid {
		paid = append(paid, c.At)
		if !c.At.After(last) {
			f.TokensSpent += c.Cost
		}
		if c.Kind == keepasim.KindDeal {
			listed += c.Cost
		}
		if c.Cost > 0 && c.Before > 0 {
			f.MinBalance = min(f.MinBalance, c.After+c.Unseen)
		}
	}
	if f.Decided > 0 {
		f.TokensPerDecision = float64(f.TokensSpent) / float64(f.Decided)
	}
	f.HTTP429, f.HTTP429Avoidable = len(b.Refused), b.Avoidable()
	f.LongestStallMin = longestStall(seen.samples, paid).Minutes()
	f.TokensUsedShare = 1
	consumed, expired := whileWaiting(seen.samples, seen.reaction)
	f.TokensExpiredWhileWaiting = expired
	if consumed+expired > 0 {
		f.TokensUsedShare = float64(consumed) / float64(consumed+expired)
	}
	if n := len(paid); n > 0 {
		f.GrantWritesPerCall = float64(seen.grantWrites) / float64(n)
	}
	if income := b.Gross(); income > 0 {
		f.ListShare = float64(listed) / float64(income+max(0, b.Opening))
	}
}

// astray returns the tokens that the ledger put under a stage that did not spend them.
func astray(b keepasim.Account, sum *report.Report) int {
	closed := map[pipeline.Stage]int{}
	for _, s := range sum.Spent() {
		closed[s.Stage] += s.Tokens
	}
	return max(0, closed[pipeline.StageWatermarker]-b.Tokens[keepasim.KindDeal]) +
		max(0, closed[pipeline.StagePeeker]-b.Tokens[keepasim.KindPeek]) +
		max(0, closed[pipeline.StageCommitter]-b.Tokens[keepasim.KindCommit]-b.Tokens[keepasim.KindSeller])
}

// repeats counts what was paid for more often than work needed it: an answer
// always serves the same work, and other work until it is too old.
func (f *Figures) repeats(b keepasim.Account, w workSet) {
	for q, n := range b.Repeated() {
		f.RepeatPaid += max(0, n-max(1, w.works[q.ASIN]))
	}
}

// workSet is the work of all candidates.
type workSet struct {
	listed  map[string]bool  // Work-Ids
	works   map[string]int   // by ASIN: a new price, a refresh and a retry are works of their own
	waiting map[string]bool  // Work-Ids in front of a durable, and dead letters
	lost    int              // works that are neither decided nor waiting
	worth   map[string]int64 // by Work-Id: expected value at the glance

	first   map[string]watermark.Row         // the row of each first look, by Work-Id
	offered map[watermark.Row]time.Time      // when it was found
	fates   map[watermark.Row]watermark.Fate // and its fate
}

// works follows every Work-Id: decided, waiting in front of a durable, dead-lettered, or lost.
func works(ctx context.Context, b *bus.Bus, sum *report.Report) (workSet, error) {
	w := workSet{
		listed: map[string]bool{}, works: map[string]int{}, worth: map[string]int64{},
		first: map[string]watermark.Row{}, offered: map[watermark.Row]time.Time{}, fates: map[watermark.Row]watermark.Fate{},
	}
	w.waiting = map[string]bool{}
	for _, add := range []func(context.Context, *bus.Bus, map[string]bool) error{w.addCandidates, w.addSurvivors, w.addDead} {
		if err := add(ctx, b, w.waiting); err != nil {
			return w, err
		}
	}
	w.addFates(sum.Final(), w.waiting)
	return w, nil
}

// addCandidates adds the listed work; waiting is the work in front of the glance.
func (w *workSet) addCandidates(ctx context.Context, b *bus.Bus, waiting map[string]bool) error {
	glanced, err := b.Backlogs(ctx, pipeline.StreamCandidates)
	if err != nil {
		return err
	}
	return bus.ScanJSON(ctx, b, pipeline.StreamCandidates, bus.From{}, func(r bus.Read, c pipeline.Candidate) error {
		id := r.Header.Get(pipeline.HeaderWorkID)
		if !w.listed[id] {
			w.works[c.ASIN]++
		}
		w.listed[id] = true
		if id == c.WorkID(pipeline.FirstGeneration) {
			row := watermark.Row{ASIN: c.ASIN, At: watermark.Mark(c.CreationDate)}
			w.first[id] = row
			if at, again := w.offered[row]; !again || c.ListSeenAt.Before(at) {
				w.offered[row] = c.ListSeenAt
			}
		}
		if r.Sequence > glanced[pipeline.DurableGlance].Settled {
			waiting[id] = true
		}
		return nil
	})
}

// addSurvivors adds the expected values; waiting is the work in front of a paid look.
func (w *workSet) addSurvivors(ctx context.Context, b *bus.Bus, waiting map[string]bool) error {
	paid, err := b.Backlogs(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return err
	}
	return bus.ScanJSON(ctx, b, pipeline.StreamSurvivors, bus.From{}, func(r bus.Read, s pipeline.Survivor) error {
		durable := pipeline.DurablePeek(s.Source)
		if s.Look == pipeline.LookGlance && s.ExpectedValueCents != nil {
			w.worth[r.Header.Get(pipeline.HeaderWorkID)] = *s.ExpectedValueCents
		}
		if s.Look == pipeline.LookPeek {
			durable = pipeline.DurableCommit(s.Tier)
		}
		if r.Sequence > paid[durable].Settled {
			waiting[r.Header.Get(pipeline.HeaderWorkID)] = true
		}
		return nil
	})
}

// addDead adds the dead letters, which wait to be retried.
func (w *workSet) addDead(ctx context.Context, b *bus.Bus, waiting map[string]bool) error {
	return bus.ScanJSON(ctx, b, pipeline.StreamDead, bus.From{}, func(_ bus.Read, d pipeline.Dead) error {
		for _, id := range d.Header[pipeline.HeaderWorkID] {
			waiting[id] = true
		}
		if row, ok := deadRow(d); ok {
			w.fates[row] = watermark.Decided
		}
		return nil
	})
}

// addFates sets the fate of every listed unit of work.
func (w *workSet) addFates(final map[string]pipeline.Verdict, waiting map[string]bool) {
	for id := range w.listed {
		v, decided := final[id]
		fate := watermark.Decided
		switch {
		case decided && v.Outcome == pipeline.Shed:
			fate = watermark.Shed
		case !decided && waiting[id]:
			fate = watermark.Waiting
		case !decided:
			fate = watermark.Lost
			w.lost++
		}
		if row, first := w.first[id]; first {
			w.fates[row] = fate
		}
	}
}

// deadRow returns the row of the deal list that a dead letter holds.
func deadRow(d pipeline.Dead) (watermark.Row, bool) {
	var row struct {
		ASIN         string         `json:"asin"`
		CreationDate watermark.Mark `json:"creationDate"`
	}
	ok := len(d.Header[pipeline.HeaderQuery]) > 0 && json.Unmarshal(d.Body, &row) == nil && row.ASIN != ""
	return watermark.Row{ASIN: row.ASIN, At: row.CreationDate}, ok
}

// good counts the good candidates and those of them that a user sees: in
// ClickHouse's view of visible deals, or on the streams without ClickHouse.
func (f *Figures) good(ctx context.Context, r *Rig, truth keepasim.Catalogue, w workSet) error {
	for asin := range w.works {
		if truth.Truth(asin) == keepasim.Good {
			f.GoodTotal++
		}
	}
	shown, err := visible(ctx, r, f)
	if err != nil {
		return err
	}
	for _, asin := range shown {
		if truth.Truth(asin) == keepasim.Good {
			f.GoodVisible++
		}
	}
	deals, err := onStreams(ctx, r)
	if err != nil {
		return err
	}
	both := map[string]int{}
	for _, asin := range shown {
		both[asin]++
	}
	for _, d := range deals {
		both[d.ASIN]--
	}
	for _, n := range both {
		if n != 0 {
			f.VisibleDiffer++
		}
	}
	return nil
}

func visible(ctx context.Context, r *Rig, f *Figures) ([]string, error) {
	if r.CH != "" {
		f.VisibleIn = "clickhouse"
		r.awaitRecorder(ctx, settleWithin)
		return visibleASINs(ctx, r.CH)
	}
	f.VisibleIn = "streams"
	deals, err := onStreams(ctx, r)
	var shown []string
	for _, d := range deals {
		shown = append(shown, d.ASIN)
	}
	return shown, err
}

// onStreams returns the visible deals by the streams.
func onStreams(ctx context.Context, r *Rig) ([]cli.Deal, error) {
	deals, _, err := cli.NewVisible(r.Bus, "").List(ctx, time.Time{})
	return deals, err
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
