package token

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
)

// Balance is the key balance of TOKENS: what the issuer knows, for people, other
// programs and its successor. Only the issuer writes it.
type Balance struct {
	Epoch    uint64                          `json:"epoch"`
	Est      int                             `json:"est"` // projected balance, tokens
	At       time.Time                       `json:"at"`  // pipeline time of the projection
	API      *pipeline.Reading               `json:"api,omitempty"`
	Heard    time.Time                       `json:"heard,omitzero"` // pipeline time at which api arrived
	Owed     int                             `json:"owed,omitempty"` // tokens that may be gone and that api does not show
	Rate     int                             `json:"rate"`           // tokens a minute
	Cap      int                             `json:"cap"`
	Next     time.Time                       `json:"next_refill,omitzero"`
	State    string                          `json:"state"` // burst, recharge, paused, nospend, unknown
	Since    time.Time                       `json:"since,omitzero"`
	Target   int                             `json:"target,omitempty"`   // balance that is waited for
	ETA      time.Time                       `json:"eta,omitzero"`       // when the projection reaches it
	Deadline time.Time                       `json:"deadline,omitzero"`  // when the wait ends whatever the balance
	EndedBy  string                          `json:"ended_by,omitempty"` // what ended the last pause
	Stages   map[pipeline.Stage]StageBalance `json:"stages"`
	Drift    int                             `json:"drift"`   // tokens that no claim of ours explains, ever
	Expired  int                             `json:"expired"` // tokens that vanished at a full bucket, ever
	Note     string                          `json:"note,omitempty"`
	Wish     Wish                            `json:"wish,omitempty"`    // the operator's last that could be read
	Rules    Rules                           `json:"rules,omitzero"`    // and the last policy that could be
	Refused  string                          `json:"refused,omitempty"` // why what the operator wrote since does not hold
	Phase    Phase                           `json:"phase"`
	Books    Books                           `json:"books"`
	Told     *Line                           `json:"told,omitempty"` // the ledger's line about state: stored here before the ledger has it
}

// StageBalance is a stage's part of the balance, in tokens.
type StageBalance struct {
	Credit int `json:"credit"` // granted and not claimed
	Open   int `json:"open"`   // in open claims
	Demand int `json:"demand"` // worst price of what waits
	// Price is what one item of the stage's kind cost on average, in tokens, and Worst
	// the most; 0 before the first call.
	Price float64 `json:"price,omitempty"`
	Worst int     `json:"worst,omitempty"`
}

// Sane reports what cannot be in a balance, whoever wrote it.
func (b Balance) Sane() error {
	k := b.Books
	return errors.Join(SaneEpoch(b.Epoch), SaneFigures(b.Est, b.Rate, b.Cap, b.Drift, b.Expired, b.Owed,
		k.Settled, k.Drift, k.Expired, k.Count, k.Start, k.Listed))
}

// How often the balance is written, on the machine's clock: when nothing changed,
// and when only figures did.
const (
	writeEvery   = 15 * time.Second
	figuresEvery = 250 * time.Millisecond
)

// publish is what must be written now. The balance is stored before the ledger
// gets the lines that are in it, and no next one takes its place before: dying in
// between repeats them under the same ids.
func (i Issuer) publish(m Moment) (Issuer, []Effect) {
	if out := i.lines(); len(out) > 0 {
		return i, out
	}
	next := i.Balance(m.Now)
	switch matters, age := i.written.differs(next), m.Machine.Sub(i.wrote); {
	case i.forced || matters > figures || age >= writeEvery:
	case matters == figures && age >= figuresEvery:
	default:
		return i, nil
	}
	return i, []Effect{Write{next}}
}

// lines are those that the ledger may not have.
func (i Issuer) lines() []Effect {
	var out []Effect
	for _, l := range i.pending {
		out = append(out, Append{l})
	}
	if i.untold && i.written.Told != nil {
		out = append(out, Append{*i.written.Told})
	}
	return out
}

// stored is the issuer after its balance was written.
func (i Issuer) stored(b Balance, m Moment) Issuer {
	i.untold = i.untold || b.State != i.written.State
	if i.forced {
		i.pending, i.forced = b.Books.Lines, false
	}
	i.written, i.wrote = b, m.Machine
	return i
}

// appended is the issuer after the ledger took a line.
func (i Issuer) appended(l Line) (Issuer, []Effect) {
	if l.Entry.Event == pipeline.EventMode && l.Entry.PriceKind != "" {
		return i.alarmedOf(l.Entry)
	}
	if t := i.written.Told; t != nil && t.ID == l.ID {
		i.untold = false
	}
	i.pending = slices.DeleteFunc(slices.Clone(i.pending), func(p Line) bool { return p.ID == l.ID })
	return i, nil
}

// How much a change matters to those who read the balance.
const (
	nothing = iota
	figures // a number moved
	news    // a state did
)

// differs says how much n tells beyond b; the clock alone is no news.
func (b Balance) differs(n Balance) int {
	if b.State != n.State || b.Note != n.Note || b.Rate != n.Rate || b.Drift != n.Drift || b.EndedBy != n.EndedBy || b.Epoch != n.Epoch {
		return news
	}
	if b.Est != n.Est || b.Target != n.Target || b.Owed != n.Owed || len(b.Stages) != len(n.Stages) {
		return figures
	}
	for stage, a := range n.Stages {
		if b.Stages[stage] != a {
			return figures
		}
	}
	return nothing
}

// Balance is what there is to tell now.
func (i Issuer) Balance(now time.Time) Balance {
	b := i.Bucket
	s := Balance{
		Epoch: i.Epoch, At: now, Est: b.Balance(now), Owed: b.Owed, Rate: b.Rate(), Cap: b.Capacity(),
		Drift: i.Books.Drift, Expired: i.Books.Expired, Note: noted(i.Refused, Starved(b.Reading), i.Note, i.Stopped),
		Wish: i.Wish, Rules: i.Rules, Refused: i.Refused, EndedBy: i.Phase.EndedBy,
		Phase: i.Phase, Books: i.Books, Stages: map[pipeline.Stage]StageBalance{},
	}
	if b.Known {
		r := b.Reading
		s.API, s.Heard, s.Next = &r, b.At, b.Next(now)
	} else {
		s.API, s.Heard, s.Owed, s.Rate = i.written.API, i.written.Heard, i.written.Owed, i.written.Rate // what a successor may need
	}
	for stage, g := range i.Grants {
		l := g.Learned[KindOf(stage)]
		s.Stages[stage] = StageBalance{
			Credit: g.Credit(), Open: g.Held(), Demand: i.Demand[stage].Tokens,
			Price: math.Round(100*l.Mean()) / 100, Worst: l.Worst,
		}
	}
	s.State = i.state()
	s.Since = i.written.Since
	if s.State != i.written.State || s.Since.IsZero() {
		s.Since = now
	}
	i.expect(&s, now)
	s.Told = i.told(s)
	return s
}

// state is the word for what the issuer does.
func (i Issuer) state() string {
	switch {
	case i.Wish == Paused || i.Wish == Nospend:
		return string(i.Wish)
	case !i.Bucket.Known:
		return "unknown"
	}
	return string(i.Phase.Mode)
}

// expect fills in what is waited for and until when.
func (i Issuer) expect(s *Balance, now time.Time) {
	switch {
	case s.State == string(Recharge):
		s.Target, s.Deadline = i.Phase.Target, i.Phase.Deadline
	case s.State == string(Burst) && i.Saving != "":
		s.Target = i.Bucket.Balance(now) + i.Need - i.Head(now)
	default:
		return
	}
	if at, ok := i.Bucket.Affordable(s.Target, now); ok {
		s.ETA = at
	}
}

// told is the line about the state of a balance that follows the one that was written.
func (i Issuer) told(next Balance) *Line {
	if i.written.State == next.State {
		return i.written.Told
	}
	e := pipeline.Entry{Event: pipeline.EventMode, Stage: "tokend", At: next.Since, Note: i.written.State + " to " + next.State, API: next.API}
	if i.written.State == string(Recharge) {
		e.Note += ", ended by " + next.EndedBy
	}
	return &Line{ID: fmt.Sprintf("mode:%d:%s:%d", i.Epoch, next.State, next.Since.UnixMilli()), Entry: e}
}

// noted joins what is to be said.
func noted(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), "; ")
}
