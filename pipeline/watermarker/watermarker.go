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
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lmittmann/tint"
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
	pulse   *worker.Pulse
	breaker worker.Breaker
	marks   jetstream.KeyValue
	inForce *inForce
	lists   []*list  // of the queries in force, since the run loop last read them
	retired bool     // nothing is due in the watermarks of all others
	shown   sync.Map // watermark.State by key, as last read by the leader
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
	judge, err := worker.JudgeIn(ctx, cfg.Rules)
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
	b, err := bus.Open(ctx, cfg.NATS, env, "watermarker")
	if err != nil {
		return err
	}
	defer b.Close()
	w, err := open(ctx, cfg, env, b)
	if err != nil {
		return err
	}
	if err := w.follow(ctx, judge, queries); err != nil {
		return err
	}
	stop, err := bus.StartService(ctx, b, env, "watermarker", w.pulse.Beat)
	if err != nil {
		return err
	}
	defer stop()
	defer env.Health.Metrics().Add("lists", w.metrics)()
	// The reader waits for tokens for as long as it takes; stored deals must not.
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return w.run(ctx) })
	both.Go(func() error { return refresher.Run(ctx, env, b, cfg.Refresher, w.pulse) })
	return both.Wait()
}

func open(ctx context.Context, cfg Config, env process.Env, b *bus.Bus) (*watermarker, error) {
	w := &watermarker{
		cfg: cfg, env: env, bus: b, pulse: worker.NewPulse(env),
		lease: bus.NewLease(b, pipeline.KeyWatermarkerLeader),
	}
	var err error
	if w.keepa, err = gateway.New(cfg.Keepa, env); err != nil {
		return nil, err
	}
	if w.spender, err = claims.Open(ctx, b, env, pipeline.StageWatermarker); err != nil {
		return nil, fmt.Errorf("open the grant: %w", err)
	}
	w.marks, err = b.Store(ctx, pipeline.BucketWatermarks)
	return w, err
}

// run reads the lists while it leads.
func (w *watermarker) run(ctx context.Context) error {
	defer w.lease.Release()
	announced := false
	for ctx.Err() == nil {
		w.adopt()
		leads, _, err := w.lease.Hold(ctx)
		if err == nil && leads {
			err = w.introduce(ctx)
		}
		if err == nil && !announced {
			announced = true
			w.env.AnnounceReady()
		}
		busy := false
		if err == nil && leads {
			busy, err = w.round(ctx)
		} else if err == nil {
			w.standBy()
		}
		if err != nil && ctx.Err() == nil {
			w.pulse.Failed(err)
			w.env.Log.Warn("step failed, will retry", tint.Err(err))
			w.pause(ctx, 250*time.Millisecond)
		} else if !busy {
			w.pause(ctx, worker.Nap(w.env))
		}
	}
	return ctx.Err()
}

// standBy reports that another instance reads the lists.
func (w *watermarker) standBy() {
	w.pulse.State("standby")
	w.shown.Clear()
	w.retired = false                    // the leader may retire others meanwhile
	w.pulse.See(loopList, stall.Sight{}) // what waits is the leader's work
}

// round gives each list a turn; busy reports that one was read.
func (w *watermarker) round(ctx context.Context) (busy bool, err error) {
	for _, l := range w.lists {
		s, err := w.state(ctx, l.cell)
		if w.pulse.Cell(l.cell.Key(), err); badCell(err) {
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
		w.pulse.State("idle")
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
	if err := s.Possible(watermark.Mark(keepa.FromTime(w.env.Now())), w.env.Now()); err != nil {
		return s, &bus.BadCell{Bucket: pipeline.BucketWatermarks, Key: c.Key(), Err: err}
	}
	return s, nil
}

func badCell(err error) bool {
	var bad *bus.BadCell
	return errors.As(err, &bad)
}

// loopList is the reader's loop in the heartbeat.
const loopList = "list"

// countBacklog counts the candidates that wait for the peeker, glanced at or not.
func (w *watermarker) countBacklog(ctx context.Context) (watermark.Event, error) {
	n, _, err := w.bus.Waiting(ctx, pipeline.StreamCandidates, pipeline.DurableGlance)
	if err != nil {
		return nil, err
	}
	pending, err := w.bus.Pending(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return nil, err
	}
	for _, s := range pipeline.Sources() {
		n += pending[pipeline.DurablePeek(s)]
	}
	return watermark.Counted{Candidates: n}, nil
}

// pause waits for a hint, or at most d of machine time.
func (w *watermarker) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w.spender.Changed():
	case <-t.C:
	}
}

// graceful returns a context in which a page can be finished after a stop.
func (w *watermarker) graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	return loop.Graceful(ctx, w.cfg.Grace)
}
