package tokend

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/token"
)

// Books are what the ledger's totals rest on. They are stored with the balance,
// so a successor goes on where the last reading was explained.
type Books struct {
	Reading *pipeline.Reading `json:"reading,omitempty"` // up to which every token is explained
	Closed  time.Time         `json:"closed,omitzero"`   // pipeline time at which that reading was received
	Settled int               `json:"settled"`           // what all closed claims had cost then
	Drift   int               `json:"drift"`             // tokens that no claim of ours explains, ever
	Expired int               `json:"expired"`           // tokens that vanished at a full bucket, ever
	Count   int               `json:"count"`             // lines ever written, which numbers them
	Lines   []Line            `json:"lines,omitempty"`   // the last ones: stored here before the ledger has them

	Opened time.Time `json:"opened,omitzero"` // discovery's part is counted from here
	Start  int       `json:"start"`           // the balance then
	Listed int       `json:"listed"`          // what discovery had used then
	Issued time.Time `json:"issued,omitzero"` // when something was last issued
}

// Line is one line of the ledger with its identity.
type Line struct {
	ID    string         `json:"id"`
	Entry pipeline.Entry `json:"entry"`
}

// closeBooks explains the newest reading while no claim is open and nothing is in
// doubt: what the balance lost beside refills and settled calls vanished at the
// full bucket, or is somebody else's.
func (t *tokend) closeBooks(ctx context.Context) error {
	b := t.pos.Bucket
	settled, quiet := t.settled()
	if !b.Settled() || !quiet || b.Owed > 0 {
		return nil
	}
	last, r := t.books.Reading, b.Reading
	if last != nil && *last == r {
		return nil
	}
	before := t.books.Settled
	if last == nil {
		t.openBooks()
		return nil
	}
	expired, drift := token.Reconcile(*last, r, b.Period(), settled-before)
	since := t.books.Closed
	if expired == 0 && drift == 0 {
		t.books.Reading, t.books.Settled, t.books.Closed = &r, settled, b.At
		return nil
	}
	// The grants were read one after the other: a call may have ended in between.
	// Only a second, equal look makes a difference believable.
	same, err := t.unchanged(ctx)
	if err != nil || !same {
		return err
	}
	t.books.Reading, t.books.Settled, t.books.Closed = &r, settled, b.At
	t.books.Drift += drift
	t.books.Expired += expired
	t.books.Lines = nil
	now := t.env.Now()
	t.line(pipeline.Entry{Event: pipeline.EventExpired, Tokens: expired, API: &r, At: now})
	t.line(pipeline.Entry{Event: pipeline.EventDrift, Tokens: drift, API: &r, At: now, Note: token.NoteDrift(since)})
	t.forced = true
	return nil
}

// openBooks begins with the first balance that was told, before anything is issued
// against it; what was spent earlier is nobody's to explain.
func (t *tokend) openBooks() {
	settled, quiet := t.settled()
	if t.books.Reading != nil || !t.pos.Bucket.Known || !quiet {
		return
	}
	r := t.pos.Bucket.Reading
	t.books.Reading, t.books.Settled, t.books.Closed, t.forced = &r, settled, t.pos.Bucket.At, true
}

func (t *tokend) line(e pipeline.Entry) {
	if e.Tokens == 0 {
		return
	}
	e.Stage = "tokend"
	t.books.Count++
	t.books.Lines = append(t.books.Lines, Line{ID: fmt.Sprintf("books:%d:%d:%s", t.epoch, t.books.Count, e.Event), Entry: e})
}

// writeLines repeats the last lines; the ledger drops those that it has.
func (t *tokend) writeLines(ctx context.Context) error {
	for _, l := range t.books.Lines {
		if err := t.entry(ctx, l.Entry, l.ID); err != nil {
			return err
		}
	}
	return nil
}

// settled is what all closed claims ever cost; quiet while none is open.
func (t *tokend) settled() (n int, quiet bool) {
	quiet = true
	for _, g := range t.grants {
		n += g.Settled
		quiet = quiet && len(g.Open) == 0
	}
	return n, quiet
}

func (t *tokend) unchanged(ctx context.Context) (bool, error) {
	for _, stage := range pipeline.Stages() {
		g, err := t.readGrant(ctx, stage)
		if err != nil {
			return false, err
		}
		if !reflect.DeepEqual(g, t.grants[stage]) {
			return false, nil
		}
	}
	return true, nil
}
