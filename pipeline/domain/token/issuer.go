package token

import (
	"maps"
	"time"

	"ratchet/pipeline"
)

// Moment is one instant on both clocks.
type Moment struct {
	Now     time.Time // pipeline time, which a simulation scales
	Machine time.Time // never scaled: questions to Keepa, lives of claims, writes
}

// Setup is what the configuration fixes.
type Setup struct {
	Shares  Shares
	Reserve int           // balance below which nothing is issued, where the policy names no other
	Life    time.Duration // of a claim, from when the issuer first saw it, machine time
}

// Issuer is what the sole issuer of tokens knows and has decided. It is a value:
// Step makes the next one and says what to do. Whoever interprets it carries the
// effects out in their order, answers each with its event, and ends the turn at
// the first that fails; until its event comes, an effect has not happened.
//
//	Succeed ──▶ GrantsRead ─▶ Check ─▶ WishRead ─▶ DemandRead ─▶ Spend ─▶ Publish ──▶ and again
//
//	effect   answered by              lost, or landed and reported lost
//	Ask      Answered, Unanswered     asked again; the projection stands
//	Reread   GrantsRead, Again        the books stay open
//	Append   Appended                 written again under the same id
//	Swap     Swapped                  the next GrantsRead shows which; a void Issue or Revoke is planned anew
//	Write    Written                  written again; a successor starts from whichever is stored
type Issuer struct {
	Setup
	Position

	Epoch   uint64
	Wish    Wish   // the operator's last that could be read
	Rules   Rules  // and the last policy
	Refused string // why what the operator wrote since does not hold
	Phase   Phase
	Books   Books
	Need    int    // the head that the stage in Saving waits for
	Note    string // why Keepa does not tell the balance
	Stopped string // the kinds that broke their ceiling, and what to do
	// NextPoll is the earliest poll that is not due; zero for none.
	NextPoll time.Time

	question question
	first    map[string]time.Time         // open claims, by id: when they were first seen, machine time
	alarmed  map[pipeline.Kind]int        // prices that were told of
	orphaned map[pipeline.Stage]time.Time // since when more is unsettled than open claims explain, machine time
	written  Balance                      // as last written
	wrote    time.Time                    // machine time of that
	forced   bool                         // the next balance is written although it looks the same
	untold   bool                         // the ledger may not have the line about the mode
	pending  []Line                       // lines of the books that the ledger may not have
}

// Event is what has happened.
type Event interface{ event() }

// The events.
type (
	// GrantsRead are all grants as they are stored.
	GrantsRead struct {
		Grants  map[pipeline.Stage]Grant
		Again   bool // it answers a Reread
		Rebuilt bool // one was made anew from the ledger, so the books begin again
	}
	// Check asks whether Keepa must be asked, and which claims are dead.
	Check struct{}
	// Answered is the balance, in answer to an Ask.
	Answered struct{ Reading pipeline.Reading }
	// Unanswered is an Ask without an answer.
	Unanswered struct {
		Note  string
		Final bool // the operator must act first
	}
	// WishRead are the operator's keys as they are stored; empty for absent.
	WishRead struct{ Mode, Policy []byte }
	// DemandRead is what waits.
	DemandRead struct {
		Lanes map[pipeline.Stage]Lane // of the stages that work on products
		Polls []time.Time             // when each query wants its next page, pipeline time
	}
	// Spend asks for a plan.
	Spend struct{}
	// Publish asks for what must be written; until it has no effect, more is to be.
	Publish struct{}
	// Swapped is a grant after a Swap, which may have found nothing to change.
	Swapped struct {
		Swap  Swap
		Grant Grant
	}
	// Appended is a line that the ledger has.
	Appended struct{ Line Line }
	// Written is a balance that is stored.
	Written struct{ Balance Balance }
)

func (GrantsRead) event() {}
func (Check) event()      {}
func (Answered) event()   {}
func (Unanswered) event() {}
func (WishRead) event()   {}
func (DemandRead) event() {}
func (Spend) event()      {}
func (Publish) event()    {}
func (Swapped) event()    {}
func (Appended) event()   {}
func (Written) event()    {}

// Effect is what is to be done.
type Effect interface{ effect() }

// The effects.
type (
	// Ask is the free question for the balance.
	Ask struct{}
	// Reread reads all grants once more.
	Reread struct{}
	// Append adds a line to the ledger, which drops one under an id that it has.
	Append struct{ Line Line }
	// Swap changes a grant by compare-and-swap.
	Swap struct {
		Stage  pipeline.Stage
		Change Change
	}
	// Write stores the balance, unless a later epoch has.
	Write struct{ Balance Balance }
	// Warn tells people. It is answered by nothing.
	Warn struct {
		Text  string
		Err   string
		Error bool // it stops something
	}
)

func (Ask) effect()    {}
func (Reread) effect() {}
func (Append) effect() {}
func (Swap) effect()   {}
func (Write) effect()  {}
func (Warn) effect()   {}

// Line is one line of the ledger with its identity.
type Line struct {
	ID    string         `json:"id"`
	Entry pipeline.Entry `json:"entry"`
}

// Succession is the balance with which a new issuer takes over. No epoch is used
// twice, not even where the bucket was made anew beside an old ledger: the ids of
// its lines bear it, and a line under an id that was recorded is not recorded again.
func Succession(last Balance, now time.Time) Balance {
	least := uint64(max(0, now.Unix())) //nolint:gosec // not negative
	last.Epoch = max(last.Epoch+1, least)
	return last
}

// Succeed is the issuer that took over with a balance and the grants that it
// adopted. Nothing that its predecessor believed survives: the balance is unknown
// until Keepa is asked. Its first effects repeat the lines that the predecessor
// may have died before writing.
func Succeed(s Setup, b Balance, grants map[pipeline.Stage]Grant, m Moment) (Issuer, []Effect) {
	i := Issuer{
		Setup: s, Epoch: b.Epoch, Wish: b.Wish, Rules: b.Rules, Phase: b.Phase, Books: b.Books,
		Position: Position{
			Grants: grants, Base: map[pipeline.Stage]int{},
			Opened: b.Books.Opened, Start: b.Books.Start, Listed: b.Books.Listed, Issued: b.Books.Issued,
		},
		question: question{silent: m.Machine},
		written:  b, forced: true, untold: true, pending: b.Books.Lines,
	}
	if i.Wish == "" {
		i.Wish = Run
	}
	for stage, g := range grants {
		i.Base[stage] = Used(g)
	}
	lead := i.line(pipeline.Entry{Event: pipeline.EventMode, Note: "tokend leads", At: m.Now}, "mode:lead:%d", i.Epoch)
	return i, append(i.lines(), Append{lead})
}

// Step is the issuer after an event, and what is to be done.
func (i Issuer) Step(e Event, m Moment) (Issuer, []Effect) {
	switch e := e.(type) {
	case GrantsRead:
		return i.read(e, m)
	case Check:
		return i.check(m)
	case Answered:
		return i.answered(e.Reading, m)
	case Unanswered:
		return i.unanswered(e, m)
	case WishRead:
		return i.wished(e)
	case DemandRead:
		return i.demanded(e, m).restrain(m.Now)
	case Spend:
		return i.spend(m.Now)
	case Publish:
		return i.publish(m)
	case Swapped:
		return i.swapped(e, m.Now)
	case Appended:
		return i.appended(e.Line)
	case Written:
		return i.stored(e.Balance, m), nil
	}
	return i, nil
}

// Do carries an effect out and returns the event that answers it; nil for one that nothing answers.
type Do func(Effect) (Event, error)

// Run is the issuer after an event and everything that it led to.
func (i Issuer) Run(e Event, now func() Moment, do Do) (Issuer, error) {
	next, effects := i.Step(e, now())
	return next.CarryOut(effects, now, do)
}

// CarryOut is the issuer after effects and what they led to. It ends at the first
// that fails: what follows rests on it.
func (i Issuer) CarryOut(effects []Effect, now func() Moment, do Do) (Issuer, error) {
	for _, effect := range effects {
		event, err := do(effect)
		if err != nil {
			return i, err
		}
		if event == nil {
			continue
		}
		if i, err = i.Run(event, now, do); err != nil {
			return i, err
		}
	}
	return i, nil
}

// Flush is the issuer after everything that must be written is.
func (i Issuer) Flush(now func() Moment, do Do) (Issuer, error) {
	for {
		next, effects := i.Step(Publish{}, now())
		if len(effects) == 0 {
			return next, nil
		}
		var err error
		if i, err = next.CarryOut(effects, now, do); err != nil {
			return i, err
		}
	}
}

// Shared is how the income is divided now: the configured shares under the
// operator's policy.
func (i Issuer) shared() Shares { return i.Rules.Over(i.Shares) }

// swapped is the issuer after a grant was changed, or was found not to need it.
func (i Issuer) swapped(e Swapped, now time.Time) (Issuer, []Effect) {
	stage := e.Swap.Stage
	before := i.Grants[stage]
	i = i.took(stage, e.Grant, now)
	switch c := e.Swap.Change.(type) {
	case Issue:
		if e.Grant.Issued == before.Issued {
			return i, nil
		}
		i.Position.Issued, i.Books.Issued = now, now
		return i, []Effect{Append{i.line(
			pipeline.Entry{Event: pipeline.EventIssue, Stage: stage, Tokens: c.Tokens, At: now},
			"issue:%d:%s:%d", i.Epoch, stage, e.Grant.Issued)}}
	case Reap:
		if c.Owed > 0 {
			i.Bucket = i.Bucket.Owe(c.Owed, now)
			i.question.wanted = true
		}
		i.first = without(i.first, c.Claim)
	}
	return i, nil
}

// took is the issuer with a grant as it now is, and with what that tells.
func (i Issuer) took(stage pipeline.Stage, g Grant, now time.Time) Issuer {
	i = i.hear(i.Grants[stage], g, now)
	i.Grants = maps.Clone(i.Grants)
	i.Grants[stage] = g
	return i
}

// Claimed is what all stages ever claimed, in tokens.
func (i Issuer) Claimed() int {
	n := 0
	for _, g := range i.Grants {
		n += g.Claimed
	}
	return n
}

// Wake is the earliest instant of pipeline time at which something falls due by
// itself; zero for none.
func (i Issuer) Wake(now time.Time) time.Time {
	var next time.Time
	due := func(at time.Time) {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	if i.Saving != "" {
		if at, ok := i.Bucket.Affordable(i.Bucket.Balance(now)+i.Need-i.Head(now), now); ok {
			due(at)
		}
		due(i.Bucket.Announced().Add(refillGuard))
	}
	due(i.Phase.Deadline)
	due(i.NextPoll)
	return next
}
