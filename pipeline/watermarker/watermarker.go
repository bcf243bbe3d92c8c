// Package watermarker reads the deal list and publishes what is new on it.
//
//	poll due ─▶ claim 5 ─▶ one page ─▶ RESPONSES ─▶ candidate.*.SOURCE.ASIN ─▶ WATERMARKS
//	                                                 (acknowledged)        (only then)
//
// A watermark.Reader for each query makes every decision; this package reads its inputs and carries out its
// effects. One instance leads; others stand by. The watermark passes a row only after the stream has the
// candidate: after a crash before that the stored page is read again, and the candidates' ids drop the repeats.
package watermarker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/stall"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/refresher"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/spend/gateway"
	"ratchet/pipeline/worker"
)

// watermarker reads every query's list.
type watermarker struct {
	cfg     Config
	env     process.Env
	bus     *bus.Bus
	keepa   *gateway.Gateway
	spender *claims.Spender
	lease   *bus.Lease
	status  *worker.Status
	breaker worker.Breaker
	marks   jetstream.KeyValue
	current *currentQueries
	lists   []*list      // of the current queries, since the run loop last read them
	retired bool         // nothing is due in the watermarks of all others
	shown   sync.Map     // watermark.State by key, as last read by the leader
	hint    process.Hint // a watermark or the current queries have changed
}

// list is one query, its reader, and the key of its state.
type list struct {
	keepa.Query
	reader watermark.Reader
	cell   bus.Cell
}

// Run reads the list until ctx ends.
func Run(ctx context.Context, env process.Env) error {
	cfg, err := process.Load[Config](ctx, env.Lookup)
	if err != nil {
		return err
	}
	queries, err := Queries(ctx, cfg.Queries)
	if err != nil {
		return err
	}
	judge, err := worker.LoadRules(ctx, cfg.Rules)
	if err != nil {
		return process.Usagef("RULES: %w", err)
	}
	for _, q := range queries {
		if err := judge.Serves(q.Selection); err != nil {
			return process.Usagef("QUERIES: %s: %w", q.ID(), err)
		}
		if assumes := verdict.Assumes(q.Selection); assumes != "" && cfg.Rules == "" {
			env.Log.Warn("query is for another list than the rules", "query", q.ID(), "assumes", assumes)
		}
	}
	b, err := bus.OpenFor(ctx, cfg.NATS, env, "watermarker", cfg.Keepa.Plan)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := routed(b, queries); err != nil {
		return process.Usagef("QUERIES: %w", err)
	}
	w, err := open(ctx, cfg, env, b)
	if err != nil {
		return err
	}
	if err := w.follow(ctx, judge, queries); err != nil {
		return err
	}
	stop, err := bus.StartService(ctx, b, env, "watermarker", w.status.Beat)
	if err != nil {
		return err
	}
	defer stop()
	defer env.Health.Metrics().Add("lists", w.metrics)()
	// The reader waits for tokens for as long as it takes; stored deals must not.
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return w.run(ctx) })
	both.Go(func() error { return refresher.Run(ctx, env, b, cfg.Refresher, w.status) })
	return both.Wait()
}

func open(ctx context.Context, cfg Config, env process.Env, b *bus.Bus) (*watermarker, error) {
	w := &watermarker{
		cfg: cfg, env: env, bus: b, status: worker.NewStatus(env),
		lease: bus.NewLease(b, pipeline.KeyWatermarkerLeader), hint: process.NewHint(),
	}
	var err error
	if w.keepa, err = gateway.New(cfg.Keepa, env); err != nil {
		return nil, err
	}
	if w.spender, err = claims.Open(ctx, b, env, pipeline.StageWatermarker); err != nil {
		return nil, fmt.Errorf("open the grant: %w", err)
	}
	if w.marks, err = b.Store(ctx, pipeline.BucketWatermarks); err != nil {
		return nil, err
	}
	if _, err = b.Hint(pipeline.KeySubject(pipeline.BucketWatermarks, ">"), w.hint.Give); err != nil { // until the connection ends
		return nil, fmt.Errorf("listen to the watermarks: %w", err)
	}
	return w, nil
}

// leaseTurn is how often the lease is seen to: a leader renews it, a standby tries to take it.
const leaseTurn = time.Second

// run reads the lists while it leads.
func (w *watermarker) run(ctx context.Context) error {
	defer w.lease.Release()
	ready := sync.OnceFunc(w.env.AnnounceReady)
	failures := loop.Failures{Retry: 250 * time.Millisecond}
	look := true
	var next time.Time // machine time from which on something may be due
	for ctx.Err() == nil {
		leads, fresh, err := w.lease.Hold(ctx)
		switch {
		case err != nil:
		case !leads:
			w.standBy()
			ready()
			next = process.MachineNow().Add(leaseTurn)
			failures.Over()
		case look || fresh || !process.MachineNow().Before(next):
			if next, err = w.look(ctx, ready); err == nil {
				failures.Over()
			}
		}
		if err != nil && ctx.Err() == nil {
			w.status.Failed(err)
			next = process.MachineNow().Add(failures.Add(w.env.Log, err))
		}
		// A longer pause would lose the lease. After a failure no hint ends it.
		look = w.pause(ctx, min(leaseTurn, process.MachineUntil(next))) && !failures.Last()
	}
	return ctx.Err()
}

// standBy reports that another instance reads the lists.
func (w *watermarker) standBy() {
	w.status.State("standby")
	w.shown.Clear()
	w.retired = false                               // the leader may retire others meanwhile
	w.status.Observe(loopList, stall.Observation{}) // what waits is the leader's work
}

// look reads what is due, and returns the machine time at which to look again without a hint.
func (w *watermarker) look(ctx context.Context, ready func()) (time.Time, error) {
	w.adopt()
	if err := w.introduce(ctx); err != nil {
		return time.Time{}, err
	}
	ready()
	if busy, err := w.round(ctx); busy || err != nil {
		return time.Time{}, err
	}
	return w.next(), nil
}

// next returns the machine time at which the next list is due. It is at most a Fallback away, because the hint
// about a list that is due already may have been lost.
func (w *watermarker) next() time.Time {
	d := bus.Fallback(w.env.Clock)
	if w.breaker.Open() {
		d = min(d, process.MachineUntil(w.breaker.Until()))
	}
	now := w.env.Now()
	w.shown.Range(func(_, value any) bool {
		if s, ok := value.(watermark.State); ok && s.NextPoll.After(now) {
			d = min(d, w.env.Clock.Machine(s.NextPoll.Sub(now)))
		}
		return true
	})
	return process.MachineNow().Add(d)
}

// round gives each list a turn; busy reports that one was read.
func (w *watermarker) round(ctx context.Context) (busy bool, err error) {
	for _, l := range w.lists {
		s, err := w.state(ctx, l.cell)
		if w.status.Cell(l.cell.Key(), err); bus.IsBad(err) {
			continue // its watermark is named in the status; the other lists are read
		}
		if err != nil {
			return busy, err
		}
		w.shown.Store(l.cell.Key(), s)
		err = w.step(ctx, l, watermark.Look{State: s, Blocked: w.breaker.Open()})
		busy = busy || l.reader.Busy
		if err != nil {
			return busy, fmt.Errorf("read list of %s: %w", l.Name, err)
		}
	}
	if !busy {
		w.status.State("idle")
	}
	return busy, nil
}

// state reads a stored state. One that no reader can have written is unreadable.
func (w *watermarker) state(ctx context.Context, c bus.Cell) (watermark.State, error) {
	raw, _, err := c.Read(ctx)
	if err != nil || raw == nil {
		return watermark.State{}, err
	}
	s, err := bus.Decode[watermark.State](c, raw)
	if err != nil {
		return s, err
	}
	if err := s.Validate(watermark.Mark(keepa.FromTime(w.env.Now()))); err != nil {
		return s, &bus.BadCell{Bucket: pipeline.BucketWatermarks, Key: c.Key(), Err: err}
	}
	return s, nil
}

// loopList is the reader's loop in the heartbeat.
const loopList = "list"

// countBacklog counts the candidates that wait for the peeker, glanced at or not.
func (w *watermarker) countBacklog(ctx context.Context) (watermark.Event, error) {
	n, _, err := w.bus.Waiting(ctx, pipeline.StreamCandidates, w.bus.Own(pipeline.DurableGlance))
	if err != nil {
		return nil, err
	}
	lanes, _, err := w.bus.RecentBacklogs(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return nil, err
	}
	for _, s := range pipeline.Sources() {
		n += lanes[w.bus.Own(pipeline.DurablePeek(s))].Pending
	}
	return watermark.Counted{Candidates: n}, nil
}

// pause waits for a hint, or at most d of machine time, and reports whether it was a hint.
func (w *watermarker) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w.hint:
		return true
	case <-w.spender.Changed():
		return true
	case <-t.C:
	}
	return false
}
