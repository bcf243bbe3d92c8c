package watermark

import (
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
)

// Effect is an output of the reader, for the interpreter to carry out.
type Effect interface{ effect() }

// The effects. An effect that no event answers needs no answer event.
type (
	// CountBacklog counts the candidates that wait.
	CountBacklog struct{}
	// ReadFunds reads from the grant how many pages the credit pays for, and the income.
	ReadFunds struct{}
	// Replay reads the answers to this query that are stored after a sequence.
	Replay struct{ Since uint64 }
	// Locate reads the last sequence of RESPONSES.
	Locate struct{}
	// Claim claims the tokens of one page, if the query is in force.
	Claim struct{}
	// Wait waits for a change of the grant, at most for a short while, and renews the lease.
	Wait struct{}
	// CountAttempts reads the outcomes of the earlier calls for a page of this read.
	CountAttempts struct{ Work string }
	// Attempt stores that a call for the page follows.
	Attempt struct{ Work string }
	// Buy makes the paid call, stores the answer, and closes the claim even if it fails.
	Buy struct{ Index int }
	// Release closes the claim without a call.
	Release struct{}
	// Offer publishes the rows that were neither decided nor offered before as candidates, and writes a dead letter
	// for each row of the page that cannot be one.
	Offer struct {
		Call string // of the page
		Rows []LanedRow
		At   time.Time
		Odd  bool // the page has a strange shape
	}
	// DeadLetterRows writes a dead letter for each row of a stale page that cannot be a candidate.
	DeadLetterRows struct{ Call string }
	// DeadLetter writes the dead letter of a page: of an answer that cannot be read, or of Work if every allowed
	// call was paid for and none brought a complete answer.
	DeadLetter struct {
		Index  int
		Work   string
		Answer *Answer
	}
	// Append adds a line to the ledger, which deduplicates by id.
	Append struct{ Line token.Line }
	// Reload reads the stored state and the income.
	Reload struct{}
	// Swap changes the stored state by compare-and-swap.
	Swap struct{ Edit Edit }
	// BuyLater reports that a page must be bought later. Failed answers it: the read ends, and the list backs off.
	BuyLater struct {
		Index int
		Err   error // of its answer; nil while the price of an earlier call is unknown
	}
	// Show sets the state in the heartbeat.
	Show struct{ State string }
	// ReportDue reports that a poll is due, and whether there are tokens for it.
	ReportDue struct{ Tokens bool }
	// Stepped reports that a read has ended well.
	Stepped struct{}
	// Warn logs a warning about the query.
	Warn struct {
		Text string
		Args []any // keys and values
	}
)

func (CountBacklog) effect()   {}
func (ReadFunds) effect()      {}
func (Replay) effect()         {}
func (Locate) effect()         {}
func (Claim) effect()          {}
func (Wait) effect()           {}
func (CountAttempts) effect()  {}
func (Attempt) effect()        {}
func (Buy) effect()            {}
func (Release) effect()        {}
func (Offer) effect()          {}
func (DeadLetterRows) effect() {}
func (DeadLetter) effect()     {}
func (Append) effect()         {}
func (Reload) effect()         {}
func (Swap) effect()           {}
func (BuyLater) effect()       {}
func (Show) effect()           {}
func (ReportDue) effect()      {}
func (Stepped) effect()        {}
func (Warn) effect()           {}

// LanedRow is a row and its lane.
type LanedRow struct {
	Row
	Source pipeline.Source
}

// Edit is a change of the stored state, recomputed against it: another instance may have changed it.
type Edit interface {
	// Apply returns the state after the change, and whether it must be written.
	Apply(s State) (next State, write bool)
}

// The edits.
type (
	// Introduce makes the list of a query that comes into force due.
	Introduce struct {
		Query string
		Now   time.Time
	}
	// Retire makes the list of a query that is not in force due never.
	Retire struct{}
	// Postpone puts a poll off because the backlog is full.
	Postpone struct {
		Plan Plan
		Now  time.Time
	}
	// Correct makes a list due whose next poll was set by a clock that was ahead of ours.
	Correct struct {
		Plan Plan
		Now  time.Time
	}
	// Start begins a read.
	Start struct {
		Query string
		Since uint64 // sequence in RESPONSES
		Plan  Plan
		Now   time.Time
	}
	// Finish ends a read, if it is the one under way.
	Finish struct {
		ID   string // of the read
		Read *Read
		Plan Plan
		Now  time.Time
	}
	// CutShort lets a list rest after a read that failed.
	CutShort struct {
		Before int // reads in a row that failed before it
		Plan   Plan
		Now    time.Time
	}
)

// Apply implements Edit.
func (e Introduce) Apply(s State) (State, bool) { return s.Introduce(e.Query, e.Now) }

// Apply implements Edit.
func (Retire) Apply(s State) (State, bool) { return s.Retire() }

// Apply implements Edit.
func (e Postpone) Apply(s State) (State, bool) { return s.BacklogFull(e.Plan, e.Now), true }

// Apply implements Edit.
func (e Correct) Apply(s State) (State, bool) { return s.Corrected(e.Plan, e.Now) }

// Apply implements Edit.
func (e Start) Apply(s State) (State, bool) { return s.Begin(e.Query, e.Since, e.Plan, e.Now), true }

// Apply implements Edit.
func (e Finish) Apply(s State) (State, bool) {
	if !s.reads(e.ID) {
		return s, false
	}
	s, _ = s.End(e.Read, e.Plan, e.Now)
	if s.Gaps == nil {
		s.Gaps = []Gap{} // stored as a list, not as null
	}
	return s, true
}

// Apply implements Edit.
func (e CutShort) Apply(s State) (State, bool) { return s.CutShort(e.Before, e.Plan, e.Now) }

// reads reports whether a read is the one under way.
func (s State) reads(id string) bool { return s.Read != nil && s.Read.ID == id }
