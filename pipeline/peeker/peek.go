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

// peekLoop is the paid loop. One goroutine runs it, so the claim of the step in
// hand can live here between take and gather.
type peekLoop struct {
	*peeker
	keepa   *gateway.Gateway
	purse   *claims.Purse
	inlets  map[pipeline.Source]*bus.Inlet
	served  map[pipeline.Source]int // items taken, for the lanes' weights
	claim   *claims.Claim           // of the step in hand; nil in nospend
	fuse    worker.Fuse
	returns worker.Returns
	flood   *flood
}

// loopPeek and loopGlance are the peeker's loops in its heartbeat.
const (
	loopPeek   = "peek"
	loopGlance = "glance"
)

// weights divide the stage's tokens among its lanes.
func weights() map[pipeline.Source]int {
	return map[pipeline.Source]int{
		pipeline.SourceLive: 60, pipeline.SourceGap: 15, pipeline.SourceRefresh: 15,
		pipeline.SourceBackfill: 5, pipeline.SourceRepair: 5, pipeline.SourceRetry: 5,
	}
}

// Run steps until ctx ends.
func (l *peekLoop) Run(ctx context.Context) error {
	l.served = map[pipeline.Source]int{}
	loop := loop.Loop[worker.Unit, fact, worker.Effect]{
		Take: l.take, Read: worker.Read(pipeline.SchemaSurvivor), Gather: l.gather, Decide: l.decide, Apply: worker.Apply(l.bus),
		Bury: func(ctx context.Context, it loop.Item, reason string, cause error) error {
			l.pulse.Count("dead", 1)
			return l.bus.Bury(ctx, string(pipeline.StagePeeker), it, reason, cause)
		},
		Progress: func() { l.pulse.Stepped(loopPeek) },
		Now:      l.env.Now, Log: l.env.Log, Grace: l.cfg.Grace, Retry: 100 * time.Millisecond,
	}
	defer l.giveBack(context.WithoutCancel(ctx))
	return loop.Run(ctx)
}

// take looks at what waits and what may be spent, claims, and only then takes
// what the claim pays for. Nothing is held while waiting for tokens.
func (l *peekLoop) take(ctx context.Context) ([]loop.Item, error) {
	l.giveBack(ctx) // the step before ended without a gather
	if l.fuse.Blown() {
		return nil, l.rest(ctx, "circuit_open")
	}
	backlogs, err := l.bus.Backlogs(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return nil, err
	}
	wish, err := l.purse.Wish(ctx)
	if err != nil {
		return nil, err
	}
	if err := l.flood.look(ctx, backlogs, wish); err != nil {
		return nil, err
	}
	if lane, n := l.flood.doomed(); n > 0 {
		return l.from(ctx, lane, n)
	}
	lane, waiting := l.lane(backlogs)
	if waiting == 0 {
		// Work that a failed call handed back still waits.
		l.pulse.See(loopPeek, stall.Sight{Work: l.fuse.Doubtful(), Tokens: true, Wish: wish == token.Run})
		return nil, l.rest(ctx, "idle")
	}
	n := min(waiting, l.cfg.Batch)
	if l.fuse.Doubtful() {
		n = 1 // one item finds out whether Keepa answers again
	}
	if wish != token.Nospend {
		credit, err := l.purse.Credit(ctx)
		if err != nil {
			return nil, err
		}
		l.pulse.See(loopPeek, stall.Sight{Work: true, Tokens: credit >= token.PricePeek, Wish: wish == token.Run})
		if n = min(n, credit/token.PricePeek); n == 0 {
			return nil, l.rest(ctx, "waiting_for_tokens")
		}
		if l.claim, err = l.purse.Claim(ctx, n*token.PricePeek, pipeline.KindPeek, n); err != nil {
			if errors.Is(err, claims.ErrShort) {
				return nil, nil
			}
			return nil, err
		}
	}
	items, err := l.from(ctx, lane, n)
	l.served[lane] += len(items)
	return items, err
}

// from takes up to n items of a lane.
func (l *peekLoop) from(ctx context.Context, lane pipeline.Source, n int) ([]loop.Item, error) {
	l.pulse.State("working")
	items, err := l.inlets[lane].Take(ctx, n, 200*time.Millisecond)
	l.returns.Took(pipeline.DurablePeek(lane), n, items)
	last := uint64(0)
	for _, it := range items {
		last = max(last, it.Sequence)
	}
	l.flood.taken(lane, last)
	return items, err
}

// lane is the waiting lane that has had the least of its weight.
func (l *peekLoop) lane(backlogs map[string]bus.Backlog) (pipeline.Source, int) {
	var best pipeline.Source
	waiting, score := 0, 0.0
	for _, s := range pipeline.Sources() {
		n := l.returns.Waits(l.env, pipeline.DurablePeek(s), backlogs[pipeline.DurablePeek(s)])
		if n == 0 {
			continue
		}
		if sc := float64(l.served[s]+1) / float64(weights()[s]); waiting == 0 || sc < score {
			best, waiting, score = s, n, sc
		}
	}
	return best, waiting
}

// rest waits for a hint or a nap.
func (l *peekLoop) rest(ctx context.Context, state string) error {
	l.pulse.State(state)
	t := time.NewTimer(worker.Nap(l.env))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-l.purse.Changed():
		if state == "idle" {
			<-t.C // a grant that moved says nothing about work
		}
	case <-t.C:
	}
	return nil
}

// giveBack closes a claim under which nothing was called.
func (l *peekLoop) giveBack(ctx context.Context) {
	if l.claim == nil {
		return
	}
	if err := l.claim.Close(ctx, 0, nil); err != nil {
		l.env.Log.Debug("claim is left to tokend", "err", err)
	}
	l.claim = nil
}

// close ends the step's claim.
func (l *peekLoop) close(ctx context.Context, consumed int, r *pipeline.Reading) error {
	if l.claim == nil {
		return nil
	}
	c := l.claim
	l.claim = nil
	return c.Close(ctx, consumed, r)
}

// refused ends the step's claim after a call that failed.
func (l *peekLoop) refused(ctx context.Context, cause error) error {
	c := l.claim
	l.claim = nil
	return worker.Refused(ctx, l.env, l.pulse, &l.fuse, c, cause)
}
