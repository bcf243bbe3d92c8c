package tokend

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/token"
)

// State is the balance key: what tokend knows, for people, other programs and its
// successor. Only tokend writes it.
type State struct {
	Epoch    uint64                        `json:"epoch"`
	Est      int                           `json:"est"` // projected balance, tokens
	At       time.Time                     `json:"at"`  // pipeline time of the projection
	API      *pipeline.Reading             `json:"api,omitempty"`
	Heard    time.Time                     `json:"heard,omitzero"` // pipeline time at which api arrived
	Owed     int                           `json:"owed,omitempty"` // tokens that may be gone and that api does not show
	Rate     int                           `json:"rate"`           // tokens a minute
	Cap      int                           `json:"cap"`
	Next     time.Time                     `json:"next_refill,omitzero"`
	State    string                        `json:"state"` // burst, recharge, paused, nospend, unknown
	Since    time.Time                     `json:"since,omitzero"`
	Target   int                           `json:"target,omitempty"`   // balance that is waited for
	ETA      time.Time                     `json:"eta,omitzero"`       // when the projection reaches it
	Deadline time.Time                     `json:"deadline,omitzero"`  // when the wait ends whatever the balance
	EndedBy  string                        `json:"ended_by,omitempty"` // what ended the last pause
	Stages   map[pipeline.Stage]StageState `json:"stages"`
	Drift    int                           `json:"drift"`   // tokens that no claim of ours explains, ever
	Expired  int                           `json:"expired"` // tokens that vanished at a full bucket, ever
	Note     string                        `json:"note,omitempty"`
	Wish     token.Wish                    `json:"wish,omitempty"`    // the operator's last that could be read
	Rules    token.Rules                   `json:"rules,omitzero"`    // and the last policy that could be
	Refused  string                        `json:"refused,omitempty"` // why what the operator wrote since does not hold
	Phase    token.Phase                   `json:"phase"`
	Books    Books                         `json:"books"`
	Told     *Line                         `json:"told,omitempty"` // the ledger's line about state: stored here before the ledger has it
}

// StageState is a stage's part of the balance, in tokens.
type StageState struct {
	Credit int `json:"credit"` // granted and not claimed
	Open   int `json:"open"`   // in open claims
	Demand int `json:"demand"` // worst price of what waits
	// Price is what one item of the stage's kind cost on average, in tokens, and Worst
	// the most; 0 before the first call.
	Price float64 `json:"price,omitempty"`
	Worst int     `json:"worst,omitempty"`
}

// How often the balance is written, on the machine's clock: when nothing changed,
// and when only figures did.
const (
	balanceEvery = 15 * time.Second
	figuresEvery = 250 * time.Millisecond
)

// publish writes the balance when it says something new. Lines of the books are
// stored in it before the ledger gets them: dying in between repeats them under
// the same ids.
func (t *tokend) publish(ctx context.Context, wish token.Wish, wait pipeline.Stage, need int, now time.Time) error {
	if err := t.tellMode(ctx); err != nil {
		return err // the next change would take the place of this one
	}
	next := t.describe(wish, wait, need, now)
	t.tell(func(h *pipeline.Heartbeat) {
		h.State = idleOr(next)
		h.Detail = map[string]any{"balance": next.Est, "rate": next.Rate, "state": next.State, "epoch": t.epoch, "drift": next.Drift, "note": next.Note, "refused": next.Refused}
	})
	switch news := t.state.differs(next); {
	case t.forced || news > figures:
	case news == figures && daemon.MachineSince(t.wrote) >= figuresEvery:
	case daemon.MachineSince(t.wrote) >= balanceEvery:
	default:
		return nil
	}
	_, err := bus.ChangeOwn(ctx, bus.NewCell(t.kv, pipeline.KeyBalance), func(s State) (State, bool, error) {
		if s.Epoch > t.epoch {
			return s, false, token.ErrEpoch
		}
		return next, true, nil
	})
	if err != nil {
		return fmt.Errorf("write the balance: %w", err)
	}
	t.untold = t.untold || next.State != t.state.State
	t.state, t.wrote = next, daemon.MachineNow()
	if t.forced {
		if err := t.writeLines(ctx); err != nil {
			return err
		}
		t.forced = false
	}
	return t.tellMode(ctx)
}

// told is the line about a state that another follows.
func (t *tokend) told(next State) *Line {
	if t.state.State == next.State {
		return t.state.Told
	}
	e := pipeline.Entry{Event: pipeline.EventMode, Stage: "tokend", At: next.Since, Note: t.state.State + " to " + next.State, API: next.API}
	if t.state.State == string(token.Recharge) {
		e.Note += ", ended by " + next.EndedBy
	}
	return &Line{ID: fmt.Sprintf("mode:%d:%s:%d", t.epoch, next.State, next.Since.UnixMilli()), Entry: e}
}

// tellMode writes the line about the state until the ledger has it: what operators paused is left out of the stalls by it.
func (t *tokend) tellMode(ctx context.Context) error {
	if !t.untold || t.state.Told == nil {
		return nil
	}
	if err := t.entry(ctx, t.state.Told.Entry, t.state.Told.ID); err != nil {
		return err
	}
	t.untold = false
	return nil
}

// noted joins what is to be said.
func noted(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), "; ")
}

func idleOr(s State) string {
	for _, stage := range s.Stages {
		switch {
		case stage.Open > 0 || stage.Credit > 0:
			return "working"
		case stage.Demand > 0:
			return "waiting_for_tokens"
		}
	}
	return "idle"
}

// How much a change matters to those who read the balance.
const (
	nothing = iota
	figures // a number moved
	news    // a state did
)

// differs says how much n tells beyond s; the clock alone is no news.
func (s State) differs(n State) int {
	if s.State != n.State || s.Note != n.Note || s.Rate != n.Rate || s.Drift != n.Drift || s.EndedBy != n.EndedBy || s.Epoch != n.Epoch {
		return news
	}
	if s.Est != n.Est || s.Target != n.Target || s.Owed != n.Owed || len(s.Stages) != len(n.Stages) {
		return figures
	}
	for stage, a := range n.Stages {
		if s.Stages[stage] != a {
			return figures
		}
	}
	return nothing
}

func (t *tokend) describe(wish token.Wish, wait pipeline.Stage, need int, now time.Time) State {
	b := t.pos.Bucket
	s := State{
		Epoch: t.epoch, At: now, Est: b.Balance(now), Owed: b.Owed, Rate: b.Rate(), Cap: b.Capacity(),
		Drift: t.books.Drift, Expired: t.books.Expired, Note: noted(t.denied, token.Starved(b.Reading), t.note, t.stopped), Wish: t.wish, Rules: t.rules, Refused: t.denied, EndedBy: t.phase.EndedBy,
		Phase: t.phase, Books: t.books, Stages: map[pipeline.Stage]StageState{},
	}
	if b.Known {
		r := b.Reading
		s.API, s.Heard, s.Next = &r, b.At, b.Next(now)
	} else {
		s.API, s.Heard, s.Owed = t.state.API, t.state.Heard, t.state.Owed // what a successor may need
	}
	for stage, g := range t.grants {
		l := g.Learned[token.KindOf(stage)]
		s.Stages[stage] = StageState{
			Credit: g.Credit(), Open: g.Held(), Demand: t.pos.Demand[stage].Tokens,
			Price: math.Round(100*l.Mean()) / 100, Worst: l.Worst,
		}
	}
	switch {
	case wish == token.Paused || wish == token.Nospend:
		s.State = string(wish)
	case !b.Known:
		s.State = "unknown"
	default:
		s.State = string(t.phase.Mode)
	}
	s.Since = t.state.Since
	if s.State != t.state.State || s.Since.IsZero() {
		s.Since = now
	}
	t.expect(&s, wait, need, now)
	s.Told = t.told(s)
	return s
}

// expect fills in what is waited for and until when.
func (t *tokend) expect(s *State, wait pipeline.Stage, need int, now time.Time) {
	b := t.pos.Bucket
	switch {
	case s.State == string(token.Recharge):
		s.Target, s.Deadline = t.phase.Target, t.phase.Deadline
	case s.State == string(token.Burst) && wait != "":
		s.Target = b.Balance(now) + need - t.pos.Head(now)
	default:
		return
	}
	if at, ok := b.Affordable(s.Target, now); ok {
		s.ETA = at
	}
}
