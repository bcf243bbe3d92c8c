package token

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"ratchet/pipeline"
)

// Grant is one stage's key in TOKENS: everything ever issued to it, everything claimed from it, and the open
// claims. Both sides change it by compare-and-swap; every transition is a function from one value to the next.
type Grant struct {
	Epoch   uint64            `json:"epoch"`   // of the tokend that owns it
	Issued  int               `json:"issued"`  // tokens, in total
	Claimed int               `json:"claimed"` // tokens, in total
	Settled int               `json:"settled"` // tokens that closed claims actually cost
	Lost    int               `json:"lost"`    // tokens of claims that were given up
	Open    map[string]Hold   `json:"open"`    // by claim id
	API     *pipeline.Reading `json:"api,omitempty"`
	// Unsure counts tokens, in total, whose price no reading shows: the answer
	// never came, or it reported no balance. tokend asks Keepa when it grows.
	Unsure int `json:"unsure,omitempty"`
	// Reaped are claims that were given up, by id, with what they reserved: a worker that resumes later still
	// settles its claim, once. They are at most maxReaped; a further one replaces that with the smallest id.
	Reaped map[string]int `json:"gone,omitempty"`
	// Learned is the actual cost of the closed claims of each kind.
	Learned map[pipeline.Kind]Learned `json:"learned,omitempty"`
	// Ceilings are the operator's worst prices, for kinds that differ from the documented ones.
	Ceilings map[pipeline.Kind]int `json:"ceilings,omitempty"`
}

// maxReaped bounds Reaped.
const maxReaped = 16

// Hold is an open claim.
type Hold struct {
	N      int           `json:"n"` // tokens reserved
	Kind   pipeline.Kind `json:"kind"`
	Items  int           `json:"items"`
	Worker string        `json:"w"`
	At     time.Time     `json:"at"` // pipeline time, for people; never compared
}

// The errors of a transition.
var (
	ErrShort = errors.New("the grant has less credit than the claim wants")
	ErrEpoch = errors.New("another tokend owns this grant")
	// ErrShort of a kind without credit until the operator raises its ceiling.
	ErrStopped = fmt.Errorf("a call of this kind cost more than its ceiling, so the kind is stopped: %w", ErrShort)
)

// Credit returns what may still be claimed.
func (g Grant) Credit() int { return max(0, g.Issued-g.Claimed) }

// Held returns what the open claims reserve.
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

// Revoke takes back unclaimed credit, leaving keep.
func (g Grant) Revoke(epoch uint64, keep int) (Grant, error) {
	if g.Epoch != epoch {
		return g, ErrEpoch
	}
	g.Issued = g.Claimed + min(g.Credit(), max(0, keep))
	return g, nil
}

// Take opens a claim. It is idempotent by id.
func (g Grant) Take(id string, h Hold) (Grant, error) {
	if _, mine := g.Open[id]; mine {
		return g, nil
	}
	if g.Stopped(h.Kind) {
		return g, ErrStopped
	}
	if g.Credit() < h.N {
		return g, ErrShort
	}
	g.Claimed += h.N
	g.Open = with(g.Open, id, h)
	return g, nil
}

// Settle closes a claim at its actual price. A claim that was given up meanwhile is
// settled too, once; for a claim that was settled before, only the reading changes.
func (g Grant) Settle(id string, cost int, r *pipeline.Reading) Grant {
	h, open := g.Open[id]
	lost, gone := g.Reaped[id]
	if open && cost > 0 {
		g.Learned = with(g.Learned, h.Kind, g.Learned[h.Kind].after(h, cost))
	}
	if open || gone {
		g.Open, g.Reaped = without(g.Open, id), without(g.Reaped, id)
		g.Settled += cost
		g.Lost -= lost
		if !shows(g.API, r) {
			g.Unsure += cost
		}
	}
	g.API = Newer(g.API, r)
	return g
}

// SettleUnknown closes a claim without an answer: all that it reserved may be spent.
func (g Grant) SettleUnknown(id string) Grant {
	h, open := g.Open[id]
	if open {
		g.Open = without(g.Open, id)
		g.Unsure += h.N
	}
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
		for len(g.Reaped) >= maxReaped {
			g.Reaped = without(g.Reaped, slices.Min(slices.Collect(maps.Keys(g.Reaped))))
		}
		g.Reaped = with(g.Reaped, id, h.N)
	}
	return g, nil
}

// Adopt makes the grant belong to a later epoch; an earlier one is an error.
func (g Grant) Adopt(epoch uint64) (Grant, error) {
	if epoch < g.Epoch {
		return g, ErrEpoch
	}
	g.Epoch = epoch
	return g, nil
}

// Newer returns the later of two readings; either may be nil.
func Newer(a, b *pipeline.Reading) *pipeline.Reading {
	if a == nil || b != nil && Later(*b, *a) {
		return b
	}
	return a
}

// staleAfter is the largest age difference between the newest reading and a valid one:
// calls overlap, but each is closed as soon as it ends. Beyond it the clock has jumped.
const staleAfter = 30 * time.Second

// WentBack reports whether a reading that arrived after newest is so much older that the
// server's clock must have gone back: then the order of readings is meaningless.
func WentBack(newest, r pipeline.Reading) bool {
	return End(newest)-End(r) >= staleAfter.Milliseconds()
}

// shows reports whether the newer of two readings includes what r's call cost.
func shows(newest, r *pipeline.Reading) bool {
	return r != nil && (newest == nil || !WentBack(*newest, *r))
}

func with[K comparable, V any](m map[K]V, id K, v V) map[K]V {
	out := maps.Clone(m)
	if out == nil {
		out = map[K]V{}
	}
	out[id] = v
	return out
}

func without[V any](m map[string]V, id string) map[string]V {
	if _, ok := m[id]; !ok {
		return m
	}
	out := maps.Clone(m)
	delete(out, id)
	return out
}
