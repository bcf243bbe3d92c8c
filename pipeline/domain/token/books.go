package token

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"time"

	"ratchet/pipeline"
)

// Books are the basis of the ledger's totals. They are stored with the
// balance, so a successor resumes at the last reading that was explained.
type Books struct {
	Reading *pipeline.Reading `json:"reading,omitempty"` // up to which every token is explained
	Closed  time.Time         `json:"closed,omitzero"`   // pipeline time at which that reading was received
	Settled int               `json:"settled"`           // the total cost of closed claims at that time
	Drift   int               `json:"drift"`             // tokens that no claim explains, in total
	Expired int               `json:"expired"`           // tokens that vanished at a full bucket, in total
	Count   int               `json:"count"`             // lines ever written, which numbers them
	Lines   []Line            `json:"lines,omitempty"`   // the last ones: stored here before the ledger has them

	Opened time.Time `json:"opened,omitzero"`  // discovery's part is counted from here
	Start  int       `json:"start"`            // the balance at Opened
	Listed int       `json:"listed"`           // what discovery had used at Opened
	Refill int       `json:"refill,omitempty"` // what a refill has brought since Opened
	Issued time.Time `json:"issued,omitzero"`  // when something was last issued
}

// onGrantsRead takes over the stored grants and the readings that workers left in them.
func (i Issuer) onGrantsRead(e GrantsRead, m Moment) (Issuer, []Effect) {
	same := reflect.DeepEqual(e.Grants, i.Grants)
	for _, stage := range pipeline.Stages() {
		i = i.observe(i.Grants[stage], e.Grants[stage], m.Now)
	}
	i.Grants = maps.Clone(e.Grants)
	if e.Rebuilt {
		i.Books.Reading = nil
	}
	return i.closeBooks(e.Again, same, m.Now)
}

// observe learns from the difference between two reads of a grant. What was there at the
// take-over is outdated: until the first answer of our own, nothing is known.
func (i Issuer) observe(before, after Grant, now time.Time) Issuer {
	owed := after.Unsure - before.Unsure
	if r := after.API; r != nil && (before.API == nil || *before.API != *r) && i.Bucket.Known {
		if WentBack(i.Bucket.Reading, *r) {
			owed += after.Settled - before.Settled
		} else {
			i.Bucket = i.Bucket.Reported(*r, now)
		}
	}
	if owed > 0 {
		i.Bucket = i.Bucket.Owe(owed, now)
		i.question.wanted = true
	}
	return i
}

// closeBooks explains the newest reading while no claim is open and nothing is in doubt: what the balance
// lost beyond refills and settled calls has vanished at the full bucket, or was spent by another program.
// The grants are read one after the other and a call may end in between, so a difference counts only if a
// second read equals the first. Lines that are not written yet are not replaced by newer ones.
func (i Issuer) closeBooks(again, same bool, now time.Time) (Issuer, []Effect) {
	settled, quiet := i.settled()
	b := i.Bucket
	if !b.RateConfirmed() || !quiet || b.Owed > 0 || i.forced || len(i.pending) > 0 {
		return i, nil
	}
	last, r := i.Books.Reading, b.Reading
	if last == nil {
		return i.openBooks(), nil
	}
	if *last == r {
		return i, nil
	}
	expired, drift := Reconcile(*last, r, b.Period(), settled-i.Books.Settled)
	if expired != 0 || drift != 0 {
		if !again {
			return i, []Effect{Reread{}}
		}
		if !same {
			return i, nil
		}
		i.Books.Lines = nil
		i = i.withLine(pipeline.Entry{Event: pipeline.EventExpired, Tokens: expired, API: &r, At: now})
		i = i.withLine(pipeline.Entry{Event: pipeline.EventDrift, Tokens: drift, API: &r, At: now, Note: NoteDrift(i.Books.Closed)})
		i.Books.Drift += drift
		i.Books.Expired += expired
		i.forced = true
	}
	i.Books.Reading, i.Books.Settled, i.Books.Closed = &r, settled, b.At
	return i, nil
}

// openBooks starts the books at the first known balance, before anything is
// issued against it; spending before that is not explained.
func (i Issuer) openBooks() Issuer {
	settled, quiet := i.settled()
	if i.Books.Reading != nil || !i.Bucket.Known || !quiet {
		return i
	}
	r := i.Bucket.Reading
	i.Books.Reading, i.Books.Settled, i.Books.Closed, i.forced = &r, settled, i.Bucket.At, true
	return i
}

// withLine adds a line to the books.
func (i Issuer) withLine(e pipeline.Entry) Issuer {
	if e.Tokens == 0 {
		return i
	}
	i.Books.Count++
	l := i.line(e, "books:%d:%d:%s", i.Epoch, i.Books.Count, e.Event)
	i.Books.Lines = append(i.Books.Lines[:len(i.Books.Lines):len(i.Books.Lines)], l)
	return i
}

// line returns an entry with the id that its repeats share.
func (Issuer) line(e pipeline.Entry, id string, args ...any) Line {
	e.Stage = cmp.Or(e.Stage, "tokend")
	return Line{ID: fmt.Sprintf(id, args...), Entry: e}
}

// settled returns the total cost of all closed claims; quiet reports that no claim is open.
func (i Issuer) settled() (n int, quiet bool) {
	quiet = true
	for _, g := range i.Grants {
		n += g.Settled
		quiet = quiet && len(g.Open) == 0
	}
	return n, quiet
}
