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

// Balance is the key balance of TOKENS: the issuer's state for people,
// other programs and its successor. Only the issuer writes it.
type Balance struct {
	Epoch     uint64                          `json:"epoch"`
	Est       int                             `json:"est"` // projected balance, tokens
	At        time.Time                       `json:"at"`  // pipeline time of the projection
	API       *pipeline.Reading               `json:"api,omitempty"`
	Received  time.Time                       `json:"heard,omitzero"` // pipeline time at which api arrived
	Owed      int                             `json:"owed,omitempty"` // tokens perhaps spent that api does not show
	Rate      int                             `json:"rate"`           // tokens a minute
	Cap       int                             `json:"cap"`
	Next      time.Time                       `json:"next_refill,omitzero"`
	State     string                          `json:"state"` // burst, recharge, paused, nospend, unknown
	Since     time.Time                       `json:"since,omitzero"`
	Target    int                             `json:"target,omitempty"`   // balance to wait for
	ETA       time.Time                       `json:"eta,omitzero"`       // when the projection reaches it
	Deadline  time.Time                       `json:"deadline,omitzero"`  // when the wait ends at any balance
	EndedBy   string                          `json:"ended_by,omitempty"` // what ended the last pause
	Stages    map[pipeline.Stage]StageBalance `json:"stages"`
	Drift     int                             `json:"drift"`   // tokens that no claim explains, in total
	Expired   int                             `json:"expired"` // tokens that vanished at a full bucket, in total
	Note      string                          `json:"note,omitempty"`
	Stopped   map[pipeline.Stage]string       `json:"stopped,omitempty"` // what cost more than its ceiling, and what to do
	Wish      Wish                            `json:"wish,omitempty"`    // the operator's last valid mode
	Rules     Rules                           `json:"rules,omitzero"`    // and last valid policy
	Refused   string                          `json:"refused,omitempty"` // why a newer value is not in force
	Phase     Phase                           `json:"phase"`
	Books     Books                           `json:"books"`
	StateLine *Line                           `json:"told,omitempty"` // the ledger's line about state, stored here first
}

// StageBalance is a stage's part of the balance, in tokens.
type StageBalance struct {
	Credit int `json:"credit"` // granted and not claimed
	Open   int `json:"open"`   // in open claims
	Demand int `json:"demand"` // worst price of the waiting work
	// Price is the average cost of one item of the stage's kind, in
	// tokens, and Worst the highest; 0 before the first call.
	Price float64 `json:"price,omitempty"`
	Worst int     `json:"worst,omitempty"`
}

// Validate returns an error for a value that no balance can have.
func (b Balance) Validate() error {
	k := b.Books
	return errors.Join(ValidEpoch(b.Epoch), ValidFigures(b.Est, b.Rate, b.Cap, b.Drift, b.Expired, b.Owed,
		k.Settled, k.Drift, k.Expired, k.Count, k.Start, k.Listed, k.Refill))
}

// How often the balance is written, on the machine's clock: when nothing changed, and when only figures did.
const (
	writeEvery   = 20 * time.Second
	figuresEvery = 250 * time.Millisecond
)

// publish writes what is due. The balance is stored before the ledger gets the lines that it contains, and
// is not replaced until the ledger has them: a crash in between repeats them under the same ids.
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

// lines appends the lines that the ledger may not have.
func (i Issuer) lines() []Effect {
	var out []Effect
	for _, l := range i.pending {
		out = append(out, Append{l})
	}
	if i.unlogged && i.written.StateLine != nil {
		out = append(out, Append{*i.written.StateLine})
	}
	return out
}

// onWritten returns the issuer after the balance was written.
func (i Issuer) onWritten(b Balance, m Moment) Issuer {
	i.unlogged = i.unlogged || b.State != i.written.State
	if i.forced {
		i.pending, i.forced = b.Books.Lines, false
	}
	i.written, i.wrote = b, m.Machine
	return i
}

// onAppended records that the ledger has a line.
func (i Issuer) onAppended(l Line) (Issuer, []Effect) {
	if l.Entry.Event == pipeline.EventMode && l.Entry.PriceKind != "" {
		return i.alarmedOf(l.Entry)
	}
	if t := i.written.StateLine; t != nil && t.ID == l.ID {
		i.unlogged = false
	}
	i.pending = slices.DeleteFunc(slices.Clone(i.pending), func(p Line) bool { return p.ID == l.ID })
	return i, nil
}

// How much a change matters to readers of the balance.
const (
	nothing = iota
	figures // a number moved
	news    // a state did
)

// differs reports how much n differs from b; the time alone does not count.
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

// Balance returns the balance to publish at now.
func (i Issuer) Balance(now time.Time) Balance {
	b := i.Bucket
	s := Balance{
		Epoch: i.Epoch, At: now, Est: b.Balance(now), Owed: b.Owed, Rate: b.Rate(), Cap: b.Capacity(),
		Drift: i.Books.Drift, Expired: i.Books.Expired, Note: noted(append([]string{i.Refused, Starved(b.Reading), i.Note}, i.stopped()...)...), Stopped: i.Stopped,
		Wish: i.Wish, Rules: i.Rules, Refused: i.Refused, EndedBy: i.Phase.EndedBy,
		Phase: i.Phase, Books: i.Books, Stages: map[pipeline.Stage]StageBalance{},
	}
	if b.Known {
		r := b.Reading
		s.API, s.Received, s.Next = &r, b.At, b.Next(now)
	} else {
		s.API, s.Received, s.Owed, s.Rate = i.written.API, i.written.Received, i.written.Owed, i.written.Rate
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
	s.StateLine = i.stateLine(s)
	return s
}

// stopped returns what is stopped, by stage.
func (i Issuer) stopped() []string {
	var out []string
	for _, stage := range pipeline.Stages() {
		out = append(out, i.Stopped[stage])
	}
	return out
}

// state names what the issuer is doing.
func (i Issuer) state() string {
	switch {
	case i.Wish == Paused || i.Wish == Nospend:
		return string(i.Wish)
	case !i.Bucket.Known:
		return "unknown"
	}
	return string(i.Phase.Mode)
}

// expect sets the awaited balance and the deadline.
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

// stateLine returns the ledger's line for the change of state since the last written balance; nil without one.
func (i Issuer) stateLine(next Balance) *Line {
	if i.written.State == next.State {
		return i.written.StateLine
	}
	e := pipeline.Entry{Event: pipeline.EventMode, Stage: "tokend", At: next.Since, Note: i.written.State + " to " + next.State, API: next.API}
	if i.written.State == string(Recharge) {
		e.Note += ", ended by " + next.EndedBy
	}
	return &Line{ID: fmt.Sprintf("mode:%d:%s:%d", i.Epoch, next.State, next.Since.UnixMilli()), Entry: e}
}

// noted joins notes.
func noted(all ...string) string {
	return strings.Join(slices.DeleteFunc(all, func(s string) bool { return s == "" }), "; ")
}
