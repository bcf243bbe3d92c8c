package shedding

import (
	"fmt"
	"slices"
	"time"

	"ratchet/pipeline"
)

// Line is drawn through everything that waited at one moment.
type Line struct {
	UpTo         uint64    `json:"up_to"`                   // the last sequence that it may cover
	BelowCents   int64     `json:"below_cents"`             // work worth less is shed
	TieBefore    uint64    `json:"tie_before,omitempty"`    // work of equal value before this sequence is shed too
	UnknownCents int64     `json:"unknown_cents"`           // the value assumed for work of unknown value
	At           time.Time `json:"at"`                      // when it was drawn, pipeline time
	Waiting      int       `json:"waiting"`                 // how much waited then
	Decidable    int       `json:"decidable"`               // how much of it tokens can decide
	PatienceS    int       `json:"patience_s"`              // within this time
	Price        float64   `json:"tokens_for_a_decision"`   // at this price
	Income       float64   `json:"tokens_an_hour"`          // with this income
	Hand         int       `json:"tokens_in_hand,omitzero"` // and this balance

	// Spares is the source whose work it does not cover; empty: it covers all.
	Spares pipeline.Source `json:"spares,omitempty"`
}

// Values that no line can have: a sequence behind every stream's end would shed
// work that is yet to come, and a value that no deal has would shed everything.
const (
	farEnd    = 1 << 48
	mostCents = 1e10
)

// Validate returns an error for lines that this package cannot have drawn.
func (ls Lines) Validate() error {
	for _, l := range ls.Lines {
		switch {
		case l.UpTo > farEnd:
			return fmt.Errorf("up_to %d: want a sequence", l.UpTo)
		case max(l.BelowCents, -l.BelowCents, l.UnknownCents, -l.UnknownCents) > mostCents:
			return fmt.Errorf("below_cents %d, unknown_cents %d: want what a deal can be worth", l.BelowCents, l.UnknownCents)
		case l.Waiting < 0 || l.Decidable < 0 || l.PatienceS < 0:
			return fmt.Errorf("waiting %d, decidable %d, patience_s %d: want no negative number", l.Waiting, l.Decidable, l.PatienceS)
		}
	}
	return nil
}

// Covers reports whether the line sheds the work.
func (l Line) Covers(w Waiting) bool {
	worth, spared := l.worth(w), l.Spares != "" && w.Source == l.Spares
	return !spared && w.Seq <= l.UpTo && (worth < l.BelowCents || worth == l.BelowCents && w.Seq < l.TieBefore)
}

// worth returns the expected value of the work; unknown is not 0.
func (l Line) worth(w Waiting) int64 {
	if w.Cents == nil {
		return l.UnknownCents
	}
	return *w.Cents
}

// Lines are the lines in force, oldest first. The zero value sheds nothing.
type Lines struct {
	Lines []Line `json:"lines"`
}

// Find returns the first line that covers the work; false when the work is to be decided.
func (ls Lines) Find(w Waiting) (Line, bool) {
	for _, l := range ls.Lines {
		if l.Covers(w) {
			return l, true
		}
	}
	return Line{}, false
}

// With returns the lines and one more. It drops lines below the floor, up to which everything is
// settled, because they have nothing left to cover, and lines that the new one includes.
func (ls Lines) With(l Line, floor uint64) Lines {
	kept := slices.DeleteFunc(slices.Clone(ls.Lines), func(old Line) bool { return old.UpTo <= floor || l.includes(old) })
	return Lines{Lines: append(kept, l)}
}

// includes reports whether l covers everything that old covers.
func (l Line) includes(old Line) bool {
	higher := l.BelowCents > old.BelowCents || l.BelowCents == old.BelowCents && l.TieBefore >= old.TieBefore
	unknown := old.UnknownCents >= old.BelowCents && (old.UnknownCents > old.BelowCents || old.TieBefore == 0) ||
		l.UnknownCents < l.BelowCents // or l sheds all of it
	return l.UpTo >= old.UpTo && higher && unknown && (l.Spares == "" || l.Spares == old.Spares)
}
