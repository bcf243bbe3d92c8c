package token

import (
	"cmp"
	"maps"
	"time"

	"ratchet/pipeline"
)

// Moment is one instant on both clocks.
type Moment struct {
	Now     time.Time // pipeline time, which a simulation scales
	Machine time.Time // never scaled: questions to Keepa, lives of claims, writes
}

// Setup is the configuration of an issuer.
type Setup struct {
	Shares  Shares
	Reserve int           // balance below which nothing is issued, unless the policy sets another
	Life    time.Duration // of a claim, from when the issuer first saw it, machine time
}

// Issuer is the state of the sole issuer of tokens. It is a value: Step returns the next one and the effects
// to carry out. The interpreter carries the effects out in their order, answers each with its event, and
// ends the turn at the first that fails; until its event arrives, an effect has not happened.
//
//	Succeed ──▶ GrantsRead ─▶ Check ─▶ WishRead ─▶ DemandRead ─▶ Spend ─▶ Publish ──▶ and again
//
//	effect   answered by              lost, or stored and reported lost
//	Ask      Answered, Unanswered     asked again; the projection is used
//	Reread   GrantsRead, Again        the books stay open
//	Append   Appended                 written again under the same id
//	Swap     Swapped                  the next GrantsRead shows which; a void Issue or Revoke is planned again
//	Write    Written                  written again; a successor starts from the stored one
type Issuer struct {
	Setup
	PlanInput

	Epoch   uint64
	Wish    Wish   // the operator's last valid mode
	Rules   Rules  // and last valid policy
	Refused string // why a newer value of the operator's is not in force
	Phase   Phase
	Books   Books
	Need    int                       // the head that the stage in Saving waits for
	Note    string                    // why Keepa does not report the balance
	Stopped map[pipeline.Stage]string // the kinds that exceeded their ceiling, and what to do
	// NextPoll is the earliest poll that is not due; zero without one.
	NextPoll time.Time

	question question
	first    map[string]time.Time         // open claims, by id: when they were first seen, machine time
	alarmed  map[pipeline.Kind]int        // prices that were reported
	orphaned map[pipeline.Stage]time.Time // since when more is unsettled than open claims explain, machine time
	written  Balance                      // as last written
	wrote    time.Time                    // machine time of that
	forced   bool                         // the next balance is written although it looks the same
	unlogged bool                         // the ledger may not have the line about the mode
	pending  []Line                       // lines of the books that the ledger may not have
}

// Event is an input of the issuer.
type Event interface{ event() }

// The events.
type (
	// GrantsRead carries all stored grants.
	GrantsRead struct {
		Grants  map[pipeline.Stage]Grant
		Again   bool // it answers a Reread
		Rebuilt bool // one was recreated from the ledger, so the books begin again
	}
	// Check decides whether to ask Keepa, and which claims are dead.
	Check struct{}
	// Answered carries the balance, in answer to an Ask.
	Answered struct{ Reading pipeline.Reading }
	// Unanswered reports an Ask without an answer.
	Unanswered struct {
		Note  string
		Final bool // it needs the operator
	}
	// WishRead carries the operator's keys as stored; empty for absent.
	WishRead struct{ Mode, Policy []byte }
	// DemandRead carries what waits.
	DemandRead struct {
		Backlogs map[pipeline.Stage]Backlog // of the stages that work on products
		Polls    []time.Time                // when each query wants its next page, pipeline time
	}
	// Spend plans what is issued.
	Spend struct{}
	// Publish writes what is due; repeat it until it has no effect.
	Publish struct{}
	// Swapped carries a grant after a Swap, which may have changed nothing.
	Swapped struct {
		Swap  Swap
		Grant Grant
	}
	// Appended reports a line that the ledger has.
	Appended struct{ Line Line }
	// Written reports a balance that is stored.
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

// Effect is an output of the issuer, for the interpreter to carry out.
type Effect interface{ effect() }

// The effects.
type (
	// Ask asks Keepa for the balance, for no token.
	Ask struct{}
	// Reread reads all grants once more.
	Reread struct{}
	// Append adds a line to the ledger, which deduplicates by id.
	Append struct{ Line Line }
	// Swap changes a grant by compare-and-swap.
	Swap struct {
		Stage  pipeline.Stage
		Change Change
	}
	// Write stores the balance, unless a later epoch has stored one.
	Write struct{ Balance Balance }
	// Warn logs a warning. It has no answer.
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

// Succession returns the balance with which a new issuer takes over. No epoch is
// used twice, even if the bucket was recreated beside an old ledger: the ids of its
// lines contain the epoch, and a line under a recorded id would be dropped.
func Succession(last Balance, now time.Time) Balance {
	least := uint64(max(0, now.Unix())) //nolint:gosec // not negative
	last.Epoch = max(last.Epoch+1, least)
	return last
}

// Succeed returns the issuer that took over a balance and adopted the grants. It keeps no
// belief of its predecessor's: the balance is unknown until Keepa answers. Its first
// effects repeat the lines that the predecessor may not have written before it died.
func Succeed(s Setup, b Balance, grants map[pipeline.Stage]Grant, m Moment) (Issuer, []Effect) {
	i := Issuer{
		Setup: s, Epoch: b.Epoch, Wish: b.Wish, Rules: b.Rules, Phase: b.Phase, Books: b.Books,
		PlanInput: PlanInput{
			Grants: grants, Base: map[pipeline.Stage]int{},
			Opened: b.Books.Opened, Start: b.Books.Start, Listed: b.Books.Listed, Issued: b.Books.Issued,
		},
		question: question{silent: m.Machine},
		written:  b, forced: true, unlogged: true, pending: b.Books.Lines,
	}
	i.Wish = cmp.Or(i.Wish, Run)
	for stage, g := range grants {
		i.Base[stage] = Used(g)
	}
	lead := i.line(pipeline.Entry{Event: pipeline.EventMode, Note: "tokend leads", At: m.Now}, "mode:lead:%d", i.Epoch)
	return i, append(i.lines(), Append{lead})
}

// Step returns the issuer after an event, and the effects to carry out.
func (i Issuer) Step(e Event, m Moment) (Issuer, []Effect) {
	i = i.corrected(m.Now)
	switch e := e.(type) {
	case GrantsRead:
		return i.onGrantsRead(e, m)
	case Check:
		return i.check(m)
	case Answered:
		return i.onAnswered(e.Reading, m)
	case Unanswered:
		return i.onUnanswered(e, m)
	case WishRead:
		return i.onWishRead(e)
	case DemandRead:
		i = i.onDemandRead(e, m).applyPolicy(m.Now)
		return i, i.revokeExcess(m.Now)
	case Spend:
		return i.spend(m.Now)
	case Publish:
		return i.publish(m)
	case Swapped:
		return i.onSwapped(e, m.Now)
	case Appended:
		return i.onAppended(e.Line)
	case Written:
		return i.onWritten(e.Balance, m), nil
	}
	return i, nil
}

// corrected returns the issuer after the pipeline's clock was set back: as if no time had passed since the last instant
// that it recorded. Otherwise nothing would be due until the clock has caught up.
func (i Issuer) corrected(now time.Time) Issuer {
	var last time.Time
	for _, at := range []time.Time{i.Bucket.At, i.PlanInput.Issued, i.Opened, i.Books.Closed, i.Phase.Since} {
		if at.After(last) {
			last = at
		}
	}
	back := last.Sub(now)
	if back <= 0 {
		return i
	}
	for _, at := range []*time.Time{
		&i.Bucket.At, &i.Bucket.OwedAt, &i.PlanInput.Issued, &i.Opened, &i.Phase.Since, &i.Phase.Deadline, &i.Phase.CallDue,
		&i.Books.Opened, &i.Books.Closed, &i.Books.Issued,
	} {
		if !at.IsZero() {
			*at = at.Add(-back)
		}
	}
	i.question.wanted = true
	return i
}

// Do carries an effect out and returns the event that answers it; nil for an effect without an answer.
type Do func(Effect) (Event, error)

// Run applies an event and everything that follows from it.
func (i Issuer) Run(e Event, now func() Moment, do Do) (Issuer, error) {
	next, effects := i.Step(e, now())
	return next.CarryOut(effects, now, do)
}

// CarryOut carries effects out and applies what follows from them.
// It ends at the first that fails: the rest depends on it.
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

// Flush carries out everything that must be written.
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

// effectiveShares returns how the income is divided now: the configured shares, as the operator's policy changes
// them.
func (i Issuer) effectiveShares() Shares { return i.Rules.Over(i.Shares) }

// onSwapped records that a grant was changed, or needed no change.
func (i Issuer) onSwapped(e Swapped, now time.Time) (Issuer, []Effect) {
	stage := e.Swap.Stage
	before := i.Grants[stage]
	i = i.withGrant(stage, e.Grant, now)
	switch c := e.Swap.Change.(type) {
	case Issue:
		if e.Grant.Issued == before.Issued {
			return i, nil
		}
		i.PlanInput.Issued, i.Books.Issued = now, now
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

// withGrant returns the issuer with a new value of a grant, from which it also learns.
func (i Issuer) withGrant(stage pipeline.Stage, g Grant, now time.Time) Issuer {
	i = i.observe(i.Grants[stage], g, now)
	i.Grants = maps.Clone(i.Grants)
	i.Grants[stage] = g
	return i
}

// Claimed returns what all stages have ever claimed, in tokens.
func (i Issuer) Claimed() int {
	n := 0
	for _, g := range i.Grants {
		n += g.Claimed
	}
	return n
}

// Wake returns the earliest instant of pipeline time at which something becomes due by itself; zero without one.
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
