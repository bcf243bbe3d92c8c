package watermark

import (
	"errors"
	"time"

	"ratchet/pipeline/domain/token"
)

// Setup is the configuration of a reader.
type Setup struct {
	Query   string // NAME@VERSION
	Plan    Plan   // the grant's income replaces its Income
	Backlog int    // candidates that may wait before polling stops
}

// Reader reads the list of one query. It is a value: Step returns the next one and the effects to carry out.
// The interpreter carries the effects out in their order and answers each that has an answer with its event.
// After an effect that failed it drops the rest, and passes Failed.
//
//	          Look: due, not blocked, backlog not full, tokens for a page
//	idle ─────────────────▶ measuring ─▶ resuming: the stored pages of a read under way ──┐
//	 ▲                          │           │ it is too old: it ends, the rest is owed     │
//	 │                          └───────────┴─▶ beginning: Start ─▶ reading ◀─────────────┘
//	 │   [ Claim ─▶ CountAttempts ─▶ Attempt ─▶ Buy ─▶ Offer ─▶ Append poll ]…  │
//	 ├──────────────── ending: Append gaps, sweep ─▶ Finish ◀───────────────────┤ done, or failed
//	 └──────────────── resting: CutShort ◀──────────────────────────────────────┘ failed
//
// The process may die between any two effects, and an effect that was reported as failed may be stored:
//
//	stored        the next instance finds    then
//	Start         a read without pages       it resumes at the first page
//	Claim         nothing                    tokend gives the claim up; no page is lost
//	Attempt       an attempt without answer  it counts as paid only if the balance shows it
//	Buy           the page                   it takes the page from RESPONSES and does not buy it again
//	Buy, unstored an attempt that was paid   it buys the page again, at most until MaxPaid
//	Offer         the candidates             they are known, and it offers none again
//	Append        the line                   it appends the same line with the same id, which is dropped
//	Finish        the state after the read   nothing is left to do; before that, it computes the same end
//	CutShort      a list that rests          it reads the list when that is due
type Reader struct {
	Setup
	State    State // as last read, or as the read began
	Failures int   // reads that failed in a row
	Busy     bool  // the turn had tokens and a list to read

	phase   phase
	outcome outcome // of the read that is ending
	read    *Read
	page    Answer    // whose rows are being offered
	stored  []Answer  // that the resumed read has not taken
	last    time.Time // when the newest page of the resumed read came
	offered set[Row]  // by this read: the list moves while it is read
	bought  bool      // a page, by this read
	holds   bool      // a claim without a call
}

// phase is what the reader does in its turn.
type phase int

const (
	idle phase = iota
	measuring
	resuming
	beginning
	reading
	ending
	resting
)

// outcome is why a read ends.
type outcome int

const (
	finished outcome = iota
	failed
	removed // its query is no longer in force
	stale   // it is too old to be resumed
)

// NewReader returns a reader between two turns.
func NewReader(s Setup) Reader { return Reader{Setup: s} }

// Step returns the reader after an event, and the effects to carry out.
func (r Reader) Step(e Event, now time.Time) (Reader, []Effect) {
	switch e := e.(type) {
	case Admit:
		return r.admit(e.State, now)
	case Look:
		return r.look(e, now)
	case Failed:
		return r.fail(e.Effect, now)
	}
	switch r.phase {
	case measuring:
		return r.measure(e, now)
	case resuming, reading:
		return r.move(e, now)
	case beginning:
		return r.begin(e, now)
	case ending:
		return r.end(e, now)
	case resting, idle:
		if e, ok := e.(Swapped); ok {
			r.State = e.State
		}
		return r.stop(), nil
	}
	return r, nil
}

// Do carries an effect out and returns the event that answers it; nil for an effect without an answer.
type Do func(Effect) (Event, error)

// Run applies an event and everything that follows from it, and returns the errors of all effects that failed.
func (r Reader) Run(e Event, now func() time.Time, do Do) (Reader, error) {
	var errs error
	r, queue := r.Step(e, now())
	for len(queue) > 0 {
		effect := queue[0]
		event, err := do(effect)
		queue = queue[1:]
		if err != nil {
			errs = errors.Join(errs, err)
			event, queue = Failed{effect}, nil
		}
		if event == nil {
			continue
		}
		var first []Effect
		r, first = r.Step(event, now())
		queue = append(first, queue...)
	}
	return r, errs
}

// Answer is an answer to a call for a page.
type Answer struct {
	Page Page   // of an unreadable answer only the index
	Call string // the claim that paid for it
	ID   string // in RESPONSES
	At   time.Time
	Flaw Flaw
	Err  error // what is wrong with it
}

// Flaw is what an answer lacks.
type Flaw int

// The flaws.
const (
	NoFlaw     Flaw = iota
	Partial         // it came in part, or without a list: it is bought again
	Unreadable      // it is complete and cannot be read, and another would be the same
)

// Event is an input of the reader.
type Event interface{ event() }

// The events.
type (
	// Admit carries the stored state of a query that is in force.
	Admit struct{ State State }
	// Look begins a turn with the stored state. Blocked reports an open circuit breaker.
	Look struct {
		State   State
		Blocked bool
	}
	// Counted answers CountBacklog.
	Counted struct{ Candidates int }
	// Funds answers ReadFunds: tokens, and tokens a minute; 0 unknown.
	Funds struct {
		Pages  int // that the credit pays for
		Income float64
	}
	// Replayed answers Replay, in the order of storage.
	Replayed struct{ Answers []Answer }
	// Located answers Locate.
	Located struct{ Sequence uint64 }
	// Claimed answers Claim: the tokens of a page are held.
	Claimed struct{}
	// Short answers Claim: there are too few tokens, or the operator's mode permits no spending.
	Short struct{}
	// Removed answers Claim: the query is no longer in force.
	Removed struct{}
	// Woke answers Wait.
	Woke struct{ Leads bool } // this instance still leads
	// Tried answers CountAttempts.
	Tried struct{ Attempts token.Attempts }
	// Bought answers Buy.
	Bought struct{ Answer Answer }
	// Offered answers Offer and DeadLetterRows, with the rows that became candidates.
	Offered struct{ Rows []Row }
	// Reloaded answers Reload.
	Reloaded struct {
		State  State
		Income float64
	}
	// Swapped answers Swap with the state after it.
	Swapped struct{ State State }
	// Failed takes the place of an answer.
	Failed struct{ Effect Effect }
)

func (Admit) event()    {}
func (Look) event()     {}
func (Counted) event()  {}
func (Funds) event()    {}
func (Replayed) event() {}
func (Located) event()  {}
func (Claimed) event()  {}
func (Short) event()    {}
func (Removed) event()  {}
func (Woke) event()     {}
func (Tried) event()    {}
func (Bought) event()   {}
func (Offered) event()  {}
func (Reloaded) event() {}
func (Swapped) event()  {}
func (Failed) event()   {}
