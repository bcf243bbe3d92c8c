package peeker

import (
	"context"
	"errors"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/stall"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/spend/gateway"
	"ratchet/pipeline/worker"
)

// peekLoop is the paid loop. One goroutine runs it.
type peekLoop struct {
	*peeker
	keepa   *gateway.Gateway
	spender *claims.Spender
	inlets  map[pipeline.Source]*bus.Inlet
	turns   token.Turns
	breaker worker.Breaker
	waiter  *worker.Waiter
	shedder *shedder
}

// step is a batch of peeks under one claim.
type step struct {
	*peekLoop
	worker.Step
	sheds bool // it has no claim, whatever the wish
}

func (l *peekLoop) step() *step {
	return &step{peekLoop: l, Step: worker.NewStep(l.env, l.status, &l.breaker, l.rules)}
}

// loopPeek and loopGlance name the peeker's loops in its heartbeat.
const (
	loopPeek   = "peek"
	loopGlance = "glance"
)

// Run steps until ctx ends.
func (l *peekLoop) Run(ctx context.Context) error {
	l.turns = token.Turns{}
	return loop.Loop[worker.Unit, fact, worker.Effect]{
		Take: l.take, Read: worker.Read(pipeline.SchemaSurvivor), Decide: decidePeek,
		Apply: l.apply, Postpone: worker.Postpone(l.env, l.status),
		DeadLetter: l.deadLetter,
		Progress:   func() { l.status.Stepped(loopPeek) },
		Trace:      l.env.Trace, Name: loopPeek,
		Now: l.env.Now, Log: l.env.Log, Grace: l.cfg.Grace, Retry: 100 * time.Millisecond,
	}.Run(ctx)
}

// apply applies the effects, and records the price of a decision.
func (l *peekLoop) apply(ctx context.Context, all []worker.Effect) error {
	err := worker.ApplyAndCount(l.bus, l.status, l.env.Log)(ctx, all)
	if err == nil {
		for _, e := range all {
			l.shedder.counted(e.Verdict)
		}
	}
	return err
}

// take reads what waits and what may be spent, claims, and only then takes
// what the claim pays for. Nothing is held while waiting for tokens.
func (l *peekLoop) take(ctx context.Context) (none loop.Batch[worker.Unit, fact], err error) {
	if l.breaker.Open() {
		l.waiter.ForBreaker(ctx)
		return none, nil
	}
	backlogs, _, err := l.bus.RecentBacklogs(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return none, err
	}
	wish, err := l.spender.Wish(ctx)
	if err != nil {
		return none, err
	}
	if err := l.shedder.check(ctx, backlogs, wish); err != nil {
		return none, err
	}
	s := l.step()
	if lane, n := l.shedder.shed(); n > 0 {
		s.sheds = true
		return s.from(ctx, lane, n)
	}
	lane, waiting := l.lane(backlogs)
	if waiting == 0 {
		// Work that a failed call returned is still waiting.
		l.status.Observe(loopPeek, stall.Observation{Work: l.breaker.HalfOpen(), Tokens: true, Wish: wish == token.Run})
		l.waiter.ForWork(ctx)
		return none, nil
	}
	n := min(waiting, l.cfg.Batch)
	if l.breaker.HalfOpen() {
		n = 1 // one item tests whether Keepa answers again
	}
	if wish != token.Nospend {
		pays, err := l.spender.Affords(ctx, pipeline.KindPeek)
		if err != nil {
			return none, err
		}
		l.status.Observe(loopPeek, stall.Observation{Work: true, Tokens: pays > 0, Wish: wish == token.Run})
		if n = min(n, pays); n == 0 {
			l.waiter.ForTokens(ctx)
			return none, nil
		}
		if s.Claim, err = l.spender.Claim(ctx, n*token.PricePeek, pipeline.KindPeek, n); err != nil {
			if errors.Is(err, claims.ErrShort) { // another peeker was first, or the mode has changed
				l.waiter.ForTokens(ctx)
				return none, nil
			}
			return none, err
		}
	}
	batch, err := s.from(ctx, lane, n)
	l.turns[lane] += len(batch.Items)
	return batch, err
}

// from takes up to n items of a lane.
func (s *step) from(ctx context.Context, lane pipeline.Source, n int) (loop.Batch[worker.Unit, fact], error) {
	s.status.State("working")
	items, err := s.inlets[lane].Take(ctx, n, 200*time.Millisecond)
	s.waiter.Returns.Took(s.durable(lane), n, items)
	last := uint64(0)
	for _, it := range items {
		last = max(last, it.Sequence)
	}
	s.shedder.taken(lane, last)
	return loop.Batch[worker.Unit, fact]{Items: items, Gather: s.gather, Release: s.Release}, err
}

// lane returns the lane whose turn it is, and how much waits in it.
func (l *peekLoop) lane(backlogs map[string]bus.Backlog) (pipeline.Source, int) {
	waiting := map[pipeline.Source]int{}
	for _, s := range pipeline.Sources() {
		waiting[s] = l.waiter.Returns.Available(l.env, l.durable(s), backlogs[l.durable(s)])
	}
	next := l.turns.Next(waiting)
	return next, waiting[next]
}
