package refresh

import (
	"encoding/json"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
)

// State is the state of a deal that we hold, as a user sees it.
type State string

// The states.
const (
	Held    State = "held"    // confirmed within the plan
	Stale   State = "stale"   // not confirmed in time; shown, with the reason
	Expired State = "expired" // given up, although no look has rejected it
	Gone    State = "gone"    // a look rejected it
)

// Shown reports whether users still see the deal.
func (s State) Shown() bool { return s == Held || s == Stale }

// Holding is a deal that we hold: one ASIN and price type, and the newest price at which it was accepted.
type Holding struct {
	pipeline.Identity
	State State     `json:"state"`
	Why   string    `json:"why,omitempty"` // the reason for the state; empty when held
	Since time.Time `json:"since"`         // of the state

	Found     time.Time `json:"found"`     // first accepted for this price
	Confirmed time.Time `json:"confirmed"` // the last look that confirmed the deal
	Checked   time.Time `json:"checked"`   // the last look that ended, whatever its outcome
	Cents     int64     `json:"cents"`     // its value

	Due     time.Time     `json:"due,omitzero"`     // the due hour of a refresh that is under way; zero without one
	Offered time.Time     `json:"offered,omitzero"` // when it was offered
	Failed  int           `json:"failed,omitempty"` // failed looks since the last confirmation
	Ran     time.Duration `json:"ran"`              // Clock.Ran at the confirmation

	Missing  []string  `json:"missing,omitempty"`  // inputs that were unknown when the deal was made
	Attempt  int       `json:"attempt,omitempty"`  // repairs offered so far
	Repaired time.Time `json:"repaired,omitzero"`  // when the last was offered
	GaveUp   string    `json:"gave_up,omitempty"`  // why no further repair follows
	Seq      uint64    `json:"seq"`                // in VERDICTS, of the last verdict applied
	Queries  []string  `json:"queries"`            // the deal queries that want it
	ListedAt time.Time `json:"listed_at,omitzero"` // when the deal was last listed

	Row json.RawMessage `json:"row"` // Keepa's list row, unchanged
}

// farAhead is more than any two clocks differ.
const farAhead = 48 * time.Hour

// Validate returns an error for a value that this package cannot have written: a time in the future would keep a
// deal fresh that is never looked at. Only the price's own date may: it is Keepa's, and decides nothing here.
func (h Holding) Validate(now time.Time) error {
	ahead := now.Add(farAhead)
	switch {
	case h.CreationDate < 0 || h.CreationDate > keepa.LatestPrice:
		return fmt.Errorf("creation_date %d: want 0 to %d", h.CreationDate, keepa.LatestPrice)
	case h.Failed < 0 || h.Attempt < 0 || h.Ran < 0 || h.Ran > longestRun:
		return fmt.Errorf("failed %d, attempt %d, ran %d: want no negative number, nor more than %s", h.Failed, h.Attempt, h.Ran, longestRun)
	}
	for _, t := range []time.Time{h.Since, h.Found, h.Confirmed, h.Checked, h.Due, h.Offered, h.Repaired} {
		if t.After(ahead) {
			return fmt.Errorf("%s lies ahead", t.Format(time.RFC3339))
		}
	}
	if !h.State.known() {
		return fmt.Errorf("state %q: want held, stale, expired or gone", h.State)
	}
	return nil
}

func (s State) known() bool { return s == Held || s == Stale || s == Expired || s == Gone }

// Event is a verdict about an ASIN, as far as it concerns the holding.
type Event struct {
	pipeline.Identity
	Seq     uint64 // in VERDICTS
	Outcome pipeline.Outcome
	Reason  string
	At      time.Time
	Source  pipeline.Source
	Deal    *Deal  // on accept
	Cents   *int64 // on confirm: the deal's value by today's numbers; nil unknown
}

// Deal is the part of an accepted deal that a holding keeps.
type Deal struct {
	Cents    int64
	Missing  []string
	Queries  []string
	ListedAt time.Time
	Row      json.RawMessage
}

// After returns the holding after a verdict, and whether it changed. A verdict that was applied before, or concerns an
// older price, changes nothing. The zero holding is not a deal yet: only an accept makes it one. ran is Clock.Ran.
func (h Holding) After(v Event, ran time.Duration) (Holding, bool) {
	known := h.State != ""
	later := keepa.Minute(h.CreationDate).Follows(keepa.Minute(v.CreationDate), h.Checked)
	if known && (v.Seq <= h.Seq || later) || !known && v.Deal == nil {
		return h, false
	}
	was := h.CreationDate
	h.Seq, h.Checked, h.Due, h.Offered = v.Seq, v.At, time.Time{}, time.Time{}
	switch v.Outcome {
	case pipeline.Accept:
		h.accept(v, was)
		h.confirm(v.At, ran)
	case pipeline.Confirm:
		h.confirm(v.At, ran)
		if v.Cents != nil {
			h.Cents = *v.Cents
		}
	case pipeline.Reject:
		h.CreationDate = v.CreationDate
		h = h.to(Gone, v.Reason, v.At)
	case pipeline.Fail:
		h.Failed++
	case pipeline.Survive, pipeline.Shed:
	}
	return h, true
}

// accept takes over the values of a deal. A new price starts again, its repairs included.
func (h *Holding) accept(v Event, was int64) {
	if h.State == "" || v.CreationDate != was {
		h.Found, h.Attempt, h.Repaired, h.GaveUp = v.At, 0, time.Time{}, ""
	}
	h.Identity = v.Identity
	if v.Deal == nil {
		return
	}
	h.Cents, h.Missing, h.Queries, h.ListedAt, h.Row = v.Deal.Cents, v.Deal.Missing, v.Deal.Queries, v.Deal.ListedAt, v.Deal.Row
	if len(h.Missing) == 0 {
		h.GaveUp = ""
	}
}

func (h *Holding) confirm(at time.Time, ran time.Duration) {
	h.Confirmed, h.Ran, h.Failed = at, ran, 0
	*h = h.to(Held, "", at)
}

// to returns the holding in a state since at.
func (h Holding) to(s State, why string, at time.Time) Holding {
	if h.State != s {
		h.Since = at
	}
	h.State, h.Why = s, why
	return h
}
