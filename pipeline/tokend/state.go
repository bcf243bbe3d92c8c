package tokend

import (
	"context"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/token"
)

// balanceEvery is how often the balance is written when nothing changed, on the
// machine's clock.
const balanceEvery = 15 * time.Second

// drift follows what moves Keepa's balance beside our own calls.
type drift struct {
	last    *pipeline.Reading // the reading up to which the books are closed
	settled int               // settled tokens then
	total   int
}

// publish writes the balance when it says something new, and drift to the ledger.
func (t *tokend) publish(ctx context.Context, wish token.Wish, now time.Time) error {
	next := t.describe(wish, now)
	if err := t.followDrift(ctx, &next); err != nil {
		return err
	}
	t.note(func(h *pipeline.Heartbeat) {
		h.State = next.State
		h.Detail = map[string]any{"balance": next.Est, "rate": next.Rate, "epoch": t.epoch, "drift": next.Drift, "note": next.Note}
	})
	changed := t.state.differs(next)
	if !changed && time.Since(t.wrote) < balanceEvery {
		t.state = next
		return nil
	}
	if t.state.State != next.State {
		e := pipeline.Entry{Event: pipeline.EventMode, Note: t.state.State + " → " + next.State, API: next.API}
		if err := t.entry(ctx, e, fmt.Sprintf("mode:%d:%d", t.epoch, now.UnixMilli())); err != nil {
			return err
		}
	}
	_, err := bus.Change(ctx, bus.NewCell(t.kv, pipeline.KeyBalance), func(s State) (State, bool, error) {
		if s.Epoch > t.epoch {
			return s, false, token.ErrEpoch
		}
		return next, true, nil
	})
	t.state, t.wrote = next, time.Now()
	return err
}

// differs reports whether people would want to know; the clock alone is no news.
func (s State) differs(n State) bool {
	if s.Est != n.Est || s.State != n.State || s.Rate != n.Rate || s.Drift != n.Drift || s.Note != n.Note {
		return true
	}
	for stage, a := range s.Stages {
		if b := n.Stages[stage]; (a.Credit == 0) != (b.Credit == 0) || (a.Demand == 0) != (b.Demand == 0) {
			return true
		}
	}
	return len(s.Stages) != len(n.Stages)
}

func (t *tokend) describe(wish token.Wish, now time.Time) State {
	b := t.pos.Bucket
	s := State{
		Epoch: t.epoch, At: now, Est: b.Balance(now), Rate: b.Reading.Rate, Cap: b.Capacity(),
		Drift: t.drift.total, Note: t.state.Note, EndedBy: t.state.EndedBy, Stages: map[pipeline.Stage]StageState{},
	}
	if b.Known {
		r := b.Reading
		s.API, s.Heard, s.Next = &r, b.At, b.Next(now)
	}
	for stage, g := range t.grants {
		s.Stages[stage] = StageState{Credit: g.Credit(), Open: g.Held(), Demand: t.pos.Demand[stage].Tokens}
	}
	switch {
	case wish == token.Paused:
		s.State = "paused"
	case wish == token.Nospend:
		s.State = "nospend"
	case !b.Known:
		s.State = "unknown"
	default:
		s.State = "burst"
	}
	s.Since = t.state.Since
	if s.State != t.state.State || s.Since.IsZero() {
		s.Since = now
	}
	return s
}

// followDrift closes the books between two readings while no claim is open: what
// the balance lost beside refill and settled calls is somebody else's.
func (t *tokend) followDrift(ctx context.Context, s *State) error {
	b := t.pos.Bucket
	if !b.Known {
		return nil
	}
	settled, open := 0, 0
	for _, g := range t.grants {
		settled += g.Settled
		open += len(g.Open)
	}
	if open > 0 {
		return nil
	}
	r := b.Reading
	last, before := t.drift.last, t.drift.settled
	if last != nil && last.TS == r.TS {
		return nil
	}
	t.drift.last, t.drift.settled = &r, settled
	if last == nil {
		return nil
	}
	d := unexplained(*last, r, settled-before)
	if d == 0 {
		return nil
	}
	t.drift.total += d
	s.Drift = t.drift.total
	return t.entry(ctx, pipeline.Entry{Event: pipeline.EventDrift, Tokens: d, API: &r}, fmt.Sprintf("drift:%d", r.TS))
}

// refillFloorMS is the least that Keepa prints as refillIn, with some air: the
// refill may come that much before it was announced.
const refillFloorMS = 1000

// unexplained is how many tokens vanished between two readings beside those that
// our calls settled, refills counted on the server's own clock. Refills that a
// full bucket lost and ticks that may or may not have fallen in between are
// explained in our favour.
func unexplained(a, b pipeline.Reading, settled int) int {
	if a.Rate != b.Rate || a.Rate <= 0 {
		return 0
	}
	next := a.TS + a.TookMS + a.RefillInMS
	const tickMS = 60000
	few, many := 0, 0
	if b.TS >= next {
		few = 1 + int((b.TS-next)/60300)
	}
	if end := b.TS + b.TookMS + refillFloorMS; end >= next {
		many = 1 + int((end-next)/tickMS)
	}
	capacity := token.Minutes * a.Rate
	most := min(capacity, a.Left+many*a.Rate) - settled
	least := min(capacity, a.Left+few*a.Rate-settled)
	switch {
	case b.Left < min(least, most):
		return min(least, most) - b.Left
	case b.Left > max(least, most):
		return max(least, most) - b.Left
	default:
		return 0
	}
}
