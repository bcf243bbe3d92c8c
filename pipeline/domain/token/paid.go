package token

import (
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
)

// Call is a call that was begun for a unit of work, under the claim that pays for it.
type Call struct {
	Claim string
	At    time.Time
}

// Attempts is the outcome of the calls for one unit of work.
type Attempts struct {
	Calls    int
	Paid     int // calls that cost tokens: as Keepa reported, or as the reconciled balance shows
	Answered int // calls that Keepa answered, whatever they cost
	Doubtful int // calls that may have cost tokens: the books were not closed since
	Rejected int // calls for nothing else that Keepa rejects as they are, while it answers others of the kind
}

// Waits reports whether the books must be closed before the work may be paid for again or given up.
func (t Attempts) Waits() bool { return !t.Spent() && t.Paid+t.Doubtful >= pipeline.MaxPaid }

// Spent reports whether the work was paid for as often as is allowed.
func (t Attempts) Spent() bool { return t.Paid >= pipeline.MaxPaid }

// Over reports whether no further call is made for the work.
func (t Attempts) Over() bool { return t.Spent() || t.Rejected >= pipeline.MaxPaid }

// AttemptsOf derives the outcome of calls from the ledger; calls are in the order in which they began.
// For a call without an answer only the balance shows the cost: a drift that was found when the
// books were closed next. If there are several such calls between two closings, all of them count,
// because they cannot be distinguished. closed is the instant up to which the books are closed: a
// call that nothing explains by then cost nothing, and a later one is in doubt.
//
//	begun ─▶ close, n tokens          paid if n > 0, answered
//	      ─▶ close, failed            paid if n > 0; rejected if it was for this work alone
//	      ─▶ close, outcome unknown ─▶ books closed: paid if there is a drift; else in doubt
//	      ─▶ lost, or nothing       ─▶ books closed: paid if there is a drift; else in doubt
func AttemptsOf(calls []Call, ledger []pipeline.Entry, closed time.Time) Attempts {
	t := Attempts{Calls: len(calls)}
	closes := map[string]pipeline.Entry{}
	var drifts []drift
	for _, e := range ledger {
		switch {
		case e.Event == pipeline.EventClose:
			closes[e.Claim] = e
		case e.Event == pipeline.EventDrift && e.Tokens > 0:
			drifts = append(drifts, drift{e.At, driftSince(e.Note)})
		}
	}
	for i, c := range calls {
		e, known := closes[c.Claim]
		switch {
		case known && !strings.HasPrefix(e.Note, NoteUnknown):
			if e.Tokens > 0 {
				t.Paid++
			}
			if e.Note == "" {
				t.Answered++
			}
			if e.Note == NoteRejected && e.Items == 1 && answers(ledger, e.PriceKind, calls[0].At) {
				t.Rejected++
			}
		case drifted(drifts, calls, i):
			t.Paid++
		case c.At.After(closed):
			t.Doubtful++
		}
	}
	return t
}

// answers reports whether Keepa has answered a call of a kind since then: it does not reject all of them.
func answers(ledger []pipeline.Entry, kind pipeline.Kind, since time.Time) bool {
	return slices.ContainsFunc(ledger, func(e pipeline.Entry) bool {
		return e.Event == pipeline.EventClose && e.Note == "" && e.PriceKind == kind && e.API != nil && !e.At.Before(since)
	})
}

// NoteUnknown is the first part of the note of a close at an unknown price.
const NoteUnknown = "outcome unknown"

// NoteRejected is the note of a close after a request that Keepa rejects as it is.
const NoteRejected = "failed: rejected"

// noteSince is the first part of the note of a drift, before the time of the previous closing.
const noteSince = "since "

// NoteDrift returns the note of a drift that was found at the first closing after an instant.
func NoteDrift(since time.Time) string { return noteSince + since.UTC().Format(pipeline.TimeFormat) }

// drift is when the balance was found to have moved, and the earliest time at
// which it may have moved; zero when an earlier build did not record it.
type drift struct{ at, since time.Time }

func driftSince(note string) time.Time {
	text, _ := strings.CutPrefix(note, noteSince)
	at, err := time.Parse(pipeline.TimeFormat, text)
	if err != nil {
		return time.Time{}
	}
	return at
}

// drifted reports whether the balance moved after a call, between the two closings of the books around it.
func drifted(all []drift, calls []Call, i int) bool {
	for _, d := range all {
		switch {
		case d.at.Before(calls[i].At):
		case d.since.IsZero() && (i+1 == len(calls) || d.at.Before(calls[i+1].At)), !d.since.IsZero() && !calls[i].At.Before(d.since):
			return true
		}
	}
	return false
}
