package token

import (
	"errors"
	"fmt"
	"strings"

	"ratchet/pipeline"
)

// mostTokens is more tokens than any account counts in its life; beyondTime is an epoch of the year 2200.
const (
	mostTokens = 1 << 40
	beyondTime = 7_258_118_400
)

// Validate returns an error for a value that no grant can have.
func (g Grant) Validate() error {
	var errs []error
	for _, n := range []struct {
		name string
		n    int
	}{
		{"issued", g.Issued}, {"claimed", g.Claimed}, {"settled", g.Settled}, {"unsure", g.Unsure},
	} {
		if n.n < 0 || n.n > mostTokens {
			errs = append(errs, fmt.Errorf("%s: want 0 to %d tokens, got %d", n.name, mostTokens, n.n))
		}
	}
	errs = append(errs, ValidEpoch(g.Epoch))
	for id, h := range g.Open {
		if h.N < 0 || h.N > mostTokens {
			errs = append(errs, fmt.Errorf("claim %s: want 0 to %d tokens, got %d", cut(id), mostTokens, h.N))
		}
	}
	return errors.Join(errs...)
}

// ValidEpoch returns an error for an epoch that no tokend can have.
func ValidEpoch(epoch uint64) error {
	if epoch > beyondTime {
		return fmt.Errorf("epoch %d is beyond the year 2200", epoch)
	}
	return nil
}

// ValidFigures returns an error if one of these cannot be a number of tokens, of a balance, a rate or a price.
func ValidFigures(all ...int) error {
	for _, n := range all {
		if n < -mostTokens || n > mostTokens {
			return fmt.Errorf("%d is not a number of tokens", n)
		}
	}
	return nil
}

// Account is the state of all stages by the ledger: the source for a grant that cannot be read.
type Account struct {
	grants  map[pipeline.Stage]Grant
	Drift   int
	Expired int
	Wish    Wish // by the last change of state in the ledger; empty without one
}

// Add applies the next line, in the ledger's order.
func (a *Account) Add(e pipeline.Entry) {
	if a.grants == nil {
		a.grants = map[pipeline.Stage]Grant{}
	}
	switch e.Event {
	case pipeline.EventDrift:
		a.Drift += e.Tokens
	case pipeline.EventExpired:
		a.Expired += e.Tokens
	case pipeline.EventMode:
		a.mode(e.Note)
	default:
		a.grants[e.Stage] = a.grants[e.Stage].after(e)
	}
}

// mode reads "FROM to TO", which may be followed by the reason for the end of a recharge.
func (a *Account) mode(note string) {
	_, to, changed := strings.Cut(note, " to ")
	if !changed {
		return
	}
	to, _, _ = strings.Cut(to, ",")
	switch w := Wish(to); w {
	case Paused, Nospend:
		a.Wish = w
	default:
		a.Wish = Run
	}
}

// Grant returns the stage's grant by the ledger, without credit: unclaimed tokens are issued again.
func (a *Account) Grant(stage pipeline.Stage) Grant {
	g := a.grants[stage]
	g.Issued = g.Claimed
	return g
}

// after returns the grant after a line about it.
func (g Grant) after(e pipeline.Entry) Grant {
	switch e.Event {
	case pipeline.EventClaim:
		g.Claimed += e.Tokens
		worker, _, _ := strings.Cut(e.Claim, ".")
		g.Open = with(g.Open, e.Claim, Hold{N: e.Tokens, Kind: e.PriceKind, Items: e.Items, Worker: worker, At: e.At})
	case pipeline.EventClose:
		if strings.HasPrefix(e.Note, NoteUnknown) {
			return g.SettleUnknown(e.Claim)
		}
		return g.Settle(e.Claim, e.Tokens, e.API)
	case pipeline.EventLost:
		if next, err := g.Reap(g.Epoch, e.Claim); err == nil {
			return next
		}
	default: // issues are not needed, and the rest is not about a grant
	}
	return g
}
