package token

import (
	"maps"

	"ratchet/pipeline"
)

// Change is a change of a grant, recomputed against the stored grant: workers change it too.
type Change interface {
	// Apply returns the grant after the change, and whether it must be written.
	Apply(g Grant) (next Grant, write bool, err error)
}

// Issue adds credit to a grant that had From tokens issued. If the stored grant has another
// total (our own write landed although it was reported as failed), the plan is void.
type Issue struct {
	Epoch        uint64
	From, Tokens int
}

// Apply implements Change.
func (c Issue) Apply(g Grant) (Grant, bool, error) {
	if g.Epoch == c.Epoch && g.Issued != c.From {
		return g, false, nil
	}
	next, err := g.Issue(c.Epoch, c.Tokens)
	return next, err == nil && next.Issued != g.Issued, err
}

// Revoke takes back unclaimed credit, leaving Keep, from a grant that had From tokens issued.
type Revoke struct {
	Epoch      uint64
	From, Keep int
}

// Apply implements Change.
func (c Revoke) Apply(g Grant) (Grant, bool, error) {
	if g.Epoch == c.Epoch && g.Issued != c.From {
		return g, false, nil
	}
	next, err := g.Revoke(c.Epoch, c.Keep)
	return next, err == nil && next.Issued != g.Issued, err
}

// Reap gives a claim up. Owed are its tokens when no answer has shown since whether they were spent.
type Reap struct {
	Epoch uint64
	Claim string
	Owed  int
}

// Apply implements Change.
func (c Reap) Apply(g Grant) (Grant, bool, error) {
	next, err := g.Reap(c.Epoch, c.Claim)
	return next, err == nil, err
}

// Reprice writes the operator's worst prices into the grant, where workers read them when they claim.
type Reprice struct {
	Epoch    uint64
	Ceilings map[pipeline.Kind]int
}

// Apply implements Change.
func (c Reprice) Apply(g Grant) (Grant, bool, error) {
	if g.Epoch != c.Epoch {
		return g, false, ErrEpoch
	}
	write := !maps.Equal(g.Ceilings, c.Ceilings)
	g.Ceilings = c.Ceilings
	return g, write, nil
}
