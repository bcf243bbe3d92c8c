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
}

// TallyOf reads off the ledger what became of calls, which are in the order in which they began. Of a call whose answer
// never arrived only the balance tells what it cost: a drift that was found before the next call began. A call that
// nothing explains cost nothing.
//
//	begun ─▶ close, n tokens          paid if n > 0, answered
//	      ─▶ close, failed            paid if n > 0
//	      ─▶ close, outcome unknown ─▶ drift?  paid
//	      ─▶ lost, or nothing       ─▶ drift?  paid
func TallyOf(calls []Call, ledger []pipeline.Entry) Tally {
	t := Tally{Calls: len(calls)}
	closes := map[string]pipeline.Entry{}
	var drifts []time.Time
	for _, e := range ledger {
		switch {
		case e.Event == pipeline.EventClose:
			closes[e.Claim] = e
		case e.Event == pipeline.EventDrift && e.Tokens > 0:
			drifts = append(drifts, e.At)
		}
	}
	for i, c := range calls {
		e, closed := closes[c.Claim]
		switch {
		case closed && !strings.HasPrefix(e.Note, NoteUnknown):
			if e.Tokens > 0 {
				t.Paid++
			}
			if e.Note == "" {
				t.Answered++
			}
		case drifted(drifts, calls, i):
			t.Paid++
		}
	}
	return t
}

// NoteUnknown begins the note of a close whose price nobody knows.
const NoteUnknown = "outcome unknown"

// drifted reports whether the balance moved after a call and before the next.
func drifted(at []time.Time, calls []Call, i int) bool {
	for _, t := range at {
		if !t.Before(calls[i].At) && (i+1 == len(calls) || t.Before(calls[i+1].At)) {
			return true
		}
	}
	return false
}
