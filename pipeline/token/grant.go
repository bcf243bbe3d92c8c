package token

import (
	"errors"
	"time"

	"ratchet/pipeline"
)

// Grant is one stage's key in TOKENS: everything ever issued to it, everything
// claimed from it, and the claims that are open. Both sides change it by
// compare-and-swap; every transition is a function from one value to the next.
type Grant struct {
	Epoch   uint64            `json:"epoch"`   // of the tokend that owns it
	Issued  int               `json:"issued"`  // tokens, ever
	Claimed int               `json:"claimed"` // tokens, ever
	Settled int               `json:"settled"` // tokens that closed claims really cost
	Lost    int               `json:"lost"`    // tokens of claims that were given up
	Open    map[string]Hold   `json:"open"`    // by claim id
	API     *pipeline.Reading `json:"api,omitempty"`
}

// Hold is an open claim.
type Hold struct {
	N      int           `json:"n"` // tokens reserved
	Kind   pipeline.Kind `json:"kind"`
	Items  int           `json:"items"`
	Worker string        `json:"w"`
	At     time.Time     `json:"at"` // pipeline time, for people; nobody compares it
}

// The refusals of a transition.
var (
	ErrShort = errors.New("the grant has less credit than the claim wants")
	ErrEpoch = errors.New("another tokend owns this grant")
)

// Credit is what may still be claimed.
func (g Grant) Credit() int { return max(0, g.Issued-g.Claimed) }

// Held is what the open claims reserve.
func (g Grant) Held() int {
	n := 0
	for _, h := range g.Open {
		n += h.N
	}
	return n
}

// Issue adds q tokens of credit.
func (g Grant) Issue(epoch uint64, q int) (Grant, error) {
	if g.Epoch != epoch {
		return g, ErrEpoch
	}
	g.Issued += max(0, q)
	return g, nil
}

// Revoke takes back credit that nobody claimed, leaving keep.
func (g Grant) Revoke(epoch uint64, keep int) (Grant, error) {
	if g.Epoch != epoch {
		return g, ErrEpoch
	}
	g.Issued = g.Claimed + min(g.Credit(), max(0, keep))
	return g, nil
}

// Take opens a claim. Taking the same id twice is taking it once.
func (g Grant) Take(id string, h Hold) (Grant, error) {
	if _, mine := g.Open[id]; mine {
		return g, nil
	}
	if g.Credit() < h.N {
		return g, ErrShort
	}
	g.Claimed += h.N
	g.Open = with(g.Open, id, h)
	return g, nil
}

// Settle closes a claim at its real price. A claim that is not open (reaped, or
// settled before) changes nothing but the reading.
func (g Grant) Settle(id string, cost int, r *pipeline.Reading) Grant {
	if _, open := g.Open[id]; open {
		g.Open = without(g.Open, id)
		g.Settled += cost
	}
	g.API = Newer(g.API, r)
	return g
}

// Reap gives a claim up.
func (g Grant) Reap(epoch uint64, id string) (Grant, error) {
	if g.Epoch != epoch {
		return g, ErrEpoch
	}
	if h, open := g.Open[id]; open {
		g.Open = without(g.Open, id)
		g.Lost += h.N
	}
	return g, nil
}

// Adopt makes the grant belong to a later epoch; an earlier one is refused.
func (g Grant) Adopt(epoch uint64) (Grant, error) {
	if epoch < g.Epoch {
		return g, ErrEpoch
	}
	g.Epoch = epoch
	return g, nil
}

// Newer is the later of two readings by the server's clock; either may be nil.
func Newer(a, b *pipeline.Reading) *pipeline.Reading {
	if a == nil || b != nil && b.TS > a.TS {
		return b
	}
	return a
}

func with(m map[string]Hold, id string, h Hold) map[string]Hold {
	out := make(map[string]Hold, len(m)+1)
	for k, v := range m {
		out[k] = v
	}
	out[id] = h
	return out
}

func without(m map[string]Hold, id string) map[string]Hold {
	out := make(map[string]Hold, len(m))
	for k, v := range m {
		if k != id {
			out[k] = v
		}
	}
	return out
}
