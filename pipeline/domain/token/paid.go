package token

import (
	"strings"
	"time"

	"ratchet/pipeline"
)

// Call is a call that was begun for a unit of work, under the claim that pays for it.
type Call struct {
	Claim string
	At    time.Time
}

// Tally is what became of the calls for one unit of work.
type Tally struct {
	Calls    int
	Paid     int // calls that cost tokens: what Keepa reported, or the reconciled balance shows
	Answered int // calls that Keepa answered, whatever they cost
	Doubtful int // calls that may have cost tokens: the books were not closed since
}

// Waits reports whether the work may neither be paid for nor be given up before the books tell what its calls cost.
func (t Tally) Waits() bool { return !t.Spent() && t.Paid+t.Doubtful >= pipeline.MaxPaid }

// Spent reports whether the work was paid for as often as work may be.
func (t Tally) Spent() bool { return t.Paid >= pipeline.MaxPaid }

// TallyOf reads off the ledger what became of calls, which are in the order in which they began. Of a call whose answer
// never arrived only the balance tells what it cost: a drift that was found when the books were closed next. Several such
// calls between two closings count all, because nobody can tell which of them it was. closed is up to when the books are
// closed: a call that nothing explains by then cost nothing, and a later one is in doubt.
//
//	begun ─▶ close, n tokens          paid if n > 0, answered
//	      ─▶ close, failed            paid if n > 0
//	      ─▶ close, outcome unknown ─▶ books closed: paid if there is a drift; else in doubt
//	      ─▶ lost, or nothing       ─▶ books closed: paid if there is a drift; else in doubt
func TallyOf(calls []Call, ledger []pipeline.Entry, closed time.Time) Tally {
	t := Tally{Calls: len(calls)}
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
		case drifted(drifts, calls, i):
			t.Paid++
		case c.At.After(closed):
			t.Doubtful++
		}
	}
	return t
}

// NoteUnknown begins the note of a close whose price nobody knows.
const NoteUnknown = "outcome unknown"

// noteSince begins the note of a drift: the books had been closed then.
const noteSince = "since "

// NoteDrift is the note of a drift that was found at the first closing after an instant.
func NoteDrift(since time.Time) string { return noteSince + since.UTC().Format(pipeline.TimeFormat) }

// drift is when the balance was found to have moved, and since when it may have; zero where an earlier build did not say.
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
