package visibility

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
)

// State is the state of a deal: a row of the view deal_states, under its names.
type State struct {
	DealKey
	FirstSeen     time.Time `json:"first_seen_at"`     // of its versions
	LastSeen      time.Time `json:"last_seen_at"`      // of its versions
	LastConfirmed time.Time `json:"last_confirmed_at"` // the last accept or confirm; zero without one
	HiddenBecause string    `json:"hidden_because"`    // empty: it is visible
	StaleBecause  string    `json:"stale_because"`     // why it was not confirmed in time; a stale deal is visible
}

// Shown is a visible deal and its values.
type Shown struct {
	State
	WorkID  string                     // of the newest version
	Members map[string]json.RawMessage // the merged values of its versions, by name
}

// The reasons why a deal is hidden whatever its verdicts are.
const (
	NoProfit    = "no_profit"
	OldEstimate = "old_estimate" // decided before sale prices were estimated, and not again since
)

// Counts are the numbers of deals by state. Every stored deal is visible, expired, invalid or set aside. A Fold that
// is found again, at whatever price, is the same deal.
type Counts struct {
	Found   int `json:"found"`   // of the stored, accepted by a look; a deal is published before its verdict is
	Stored  int `json:"stored"`  // of which DEALS has a version
	Visible int `json:"visible"` // shown now
	Stale   int `json:"stale"`   // of the visible, marked as not confirmed in time
	Expired int `json:"expired"` // hidden by a later look that rejected them, or by the refresher
	Invalid int `json:"invalid"` // hidden because it has no profit, or none by the present estimate

	SetAside int `json:"set_aside"` // hidden because the user bought or ignored it
}

// Count counts the states.
func Count(states []State) Counts {
	c := Counts{Stored: len(states)}
	for _, s := range states {
		if !s.LastConfirmed.IsZero() {
			c.Found++
		}
		switch s.HiddenBecause {
		case "":
			c.Visible++
			if s.StaleBecause != "" {
				c.Stale++
			}
		case NoProfit, OldEstimate:
			c.Invalid++
		default:
			if slices.Contains(action.Reasons(), s.HiddenBecause) {
				c.SetAside++
				continue
			}
			c.Expired++
		}
	}
	return c
}

func (r *record) state(p DealKey, rules action.Rules) State {
	versions := r.byAge()
	s := State{DealKey: p, FirstSeen: versions[0].at, LastSeen: versions[0].at, LastConfirmed: r.confirmed()}
	for _, v := range versions {
		if v.at.Before(s.FirstSeen) {
			s.FirstSeen = v.at
		}
		if v.at.After(s.LastSeen) {
			s.LastSeen = v.at
		}
	}
	s.HiddenBecause, s.StaleBecause = r.hidden(p, versions, rules), r.stale()
	return s
}

// decisive are the members on which states depend.
var decisive = []string{"sale_price_cents", "profit_cents", "seller_id", "brand", "title"}

func (r *record) hidden(p DealKey, versions []version, rules action.Rules) string {
	for _, need := range []struct{ name, reason string }{
		{"sale_price_cents", OldEstimate}, {"profit_cents", NoProfit},
	} {
		if c := cents(versions, need.name); c == nil || *c <= 0 {
			return need.reason
		}
	}
	said := action.Product{
		Domain: p.Domain, ASIN: p.ASIN, Seller: text(versions, "seller_id"), Brand: text(versions, "brand"), Title: text(versions, "title"),
	}
	if why := rules.Hides(said); why != "" {
		return why
	}
	if yes, no := r.newest(); no.id > yes.id {
		return no.reason
	}
	return ""
}

// confirmed returns when a look last accepted or confirmed the deal; zero without one.
func (r *record) confirmed() time.Time {
	var at time.Time
	for _, h := range r.verdicts {
		if (h.outcome == pipeline.Accept || h.outcome == pipeline.Confirm) && h.at.After(at) {
			at = h.at
		}
	}
	return at
}

// IsStaleReason reports whether a fail of the look list for that reason marks a deal as
// stale. The refresher uses other reasons too, with another meaning.
func IsStaleReason(reason string) bool { return strings.HasPrefix(reason, "stale_") }

// stale returns the newest mark, unless a look has confirmed the deal since.
func (r *record) stale() string {
	if mark := r.mark(); mark.at.After(r.confirmed()) {
		return mark.reason
	}
	return ""
}

// mark returns the newest verdict that marks the deal as stale.
func (r *record) mark() dealVerdict {
	var mark dealVerdict
	for _, h := range r.verdicts {
		if h.look == pipeline.LookList && h.outcome == pipeline.Fail && IsStaleReason(h.reason) {
			mark = later(mark, h)
		}
	}
	return mark
}
