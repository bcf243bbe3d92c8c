// Package watermarker reads the deal list and publishes what is new on it.
//
//	poll due ─▶ claim 5 ─▶ one page ─▶ RESPONSES ─▶ candidate.*.SOURCE.ASIN ─▶ WATERMARKS
//	                                                 (acknowledged)        (only then)
//
// One instance leads; others stand by. The watermark passes a row only after the
// stream has the candidate: dying before that reads the page again, and the
// candidates' ids drop the repeats.
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
	"ratchet/pipeline/domain/token"
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
	plan    watermark.Plan
	pulse   *worker.Pulse
	breaker worker.Breaker
	marks   jetstream.KeyValue
	inForce *inForce
	queries []query        // those in force, since the run loop last looked
	retired bool           // the watermarks of all others are set aside
	failed  map[string]int // reads that failed in a row, by query
	lists   sync.Map       // of watermark.State by key, as last seen by the leader
}

// query is one list and where its state is kept.
type query struct {
	keepa.Query
	cell bus.Cell
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
		cfg: cfg, env: env, bus: b, plan: cfg.plan(), failed: map[string]int{}, pulse: worker.NewPulse(env),
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

// run polls what is due, while it leads.
func (w *watermarker) run(ctx context.Context) error {
	defer w.lease.Release()
	announced := false
	for ctx.Err() == nil {
		w.take()
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
			w.pulse.State("standby")
			w.lists.Clear()
			w.retired = false                    // by whoever leads meanwhile
			w.pulse.See(loopList, stall.Sight{}) // what waits is for the leader to do
		}
		if err != nil && ctx.Err() == nil {
			w.pulse.Failed(err)
			w.env.Log.Warn("step failed, will retry", tint.Err(err))
			w.rest(ctx, 250*time.Millisecond)
		} else if !busy {
			w.rest(ctx, worker.Nap(w.env))
		}
	}
	return ctx.Err()
}

// round reads every list that is due; busy is true when something was read.
func (w *watermarker) round(ctx context.Context) (busy bool, err error) {
	for _, q := range w.queries {
		s, err := w.state(ctx, q)
		if w.pulse.Cell(q.cell.Key(), err); badCell(err) {
			continue // its watermark is named in the status; the other lists are read
		}
		if err != nil {
			return busy, err
		}
		w.saw(q, s)
		if !s.Due(w.env.Now()) {
			continue
		}
		if w.breaker.Open() {
			w.pulse.State("circuit_open")
			continue
		}
		did, err := w.poll(ctx, q, s)
		busy = busy || did
		if err != nil {
			return busy, fmt.Errorf("read list of %s: %w", q.Name, err)
		}
	}
	if !busy {
		w.pulse.State("idle")
	}
	return busy, nil
}

func (w *watermarker) state(ctx context.Context, q query) (watermark.State, error) {
	raw, _, err := q.cell.Read(ctx)
	if err != nil || raw == nil {
		return watermark.State{}, err
	}
	s, err := bus.Decode[watermark.State](q.cell, raw)
	if err != nil {
		return s, err
	}
	if err := s.Possible(watermark.Mark(keepa.FromTime(w.env.Now())), w.env.Now()); err != nil {
		return s, &bus.BadCell{Bucket: pipeline.BucketWatermarks, Key: q.cell.Key(), Err: err}
	}
	return s, nil
}

func badCell(err error) bool {
	var bad *bus.BadCell
	return errors.As(err, &bad)
}

// loopList is the reader's loop in the heartbeat.
const loopList = "list"

// poll reads one list, or postpones it while too much waits.
func (w *watermarker) poll(ctx context.Context, q query, s watermark.State) (bool, error) {
	full, err := w.backlogFull(ctx)
	if err != nil {
		return false, err
	}
	if full {
		_, err := bus.Change(ctx, q.cell, func(s watermark.State) (watermark.State, bool, error) {
			return s.BacklogFull(w.plan, w.env.Now()), true, nil
		})
		return false, err
	}
	credit, err := w.spender.Credit(ctx)
	if err == nil {
		w.pulse.See(loopList, stall.Sight{Work: true, Tokens: credit >= token.PricePage, Wish: true}) // paused is no credit
	}
	if err != nil || credit < token.PricePage {
		w.pulse.State("waiting_for_tokens")
		return false, err
	}
	w.pulse.State("working")
	r, err := w.begin(ctx, q, s)
	if r == nil && err == nil {
		w.pulse.Stepped(loopList) // it was somebody else's to read
	}
	if r == nil || err != nil {
		return true, err
	}
	if err := r.run(ctx); errors.Is(err, errRemoved) {
		return true, nil
	} else if err != nil {
		return true, errors.Join(err, w.postpone(ctx, q))
	}
	w.failed[q.Name] = 0
	w.pulse.Stepped(loopList)
	return true, nil
}

// postpone lets a list rest that does not answer.
func (w *watermarker) postpone(ctx context.Context, q query) error {
	ctx, cancel := w.graceful(ctx)
	defer cancel()
	n := w.failed[q.Name]
	w.failed[q.Name]++
	_, err := bus.Change(ctx, q.cell, func(s watermark.State) (watermark.State, bool, error) {
		s, change := s.CutShort(n, w.plan, w.env.Now())
		return s, change, nil
	})
	return err
}

// backlogFull reports whether the peeker has more than enough to do.
func (w *watermarker) backlogFull(ctx context.Context) (bool, error) {
	n, _, err := w.bus.Waiting(ctx, pipeline.StreamCandidates, pipeline.DurableGlance)
	if err != nil {
		return false, err
	}
	pending, err := w.bus.Pending(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return false, err
	}
	for _, s := range pipeline.Sources() {
		n += pending[pipeline.DurablePeek(s)]
	}
	return n >= w.cfg.Backlog, nil
}

// rest waits for a hint, or at most d of machine time.
func (w *watermarker) rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w.spender.Changed():
	case <-t.C:
	}
}

// graceful lets the page in hand be finished after a stop.
func (w *watermarker) graceful(ctx context.Context) (context.Context, context.CancelFunc) {
	return loop.Graceful(ctx, w.cfg.Grace)
}
