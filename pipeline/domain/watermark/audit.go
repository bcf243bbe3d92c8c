package watermark

import (
	"slices"
	"time"
)

// Proof is what one read proves to have seen: every row of these dates that was listed from its beginning to its end.
type Proof struct {
	Begun, Ended time.Time
	Covered      Spans
}

// ProofOf returns the proof that the step from one state to the next
// gives; false when no read ended or was cut short in between.
func ProofOf(before, after State, at time.Time) (Proof, bool) {
	ended := before.Read != nil && (after.Read == nil || after.Read.Cut && !before.Read.Cut)
	if !ended || len(after.Covered) == 0 {
		return Proof{}, false
	}
	return Proof{Begun: before.Read.Begun, Ended: at, Covered: after.Covered}, true
}

// Sighting is a row as the list actually held it.
type Sighting struct {
	Row
	First, Last time.Time
	Listed      bool // it still is
}

// Fate is what happened to a row that was listed.
type Fate string

// The fates. The first four are of rows that were found.
const (
	Decided Fate = "decided"
	Waiting Fate = "waiting"
	Shed    Fate = "shed"
	Lost    Fate = "lost" // found, and no longer anywhere

	Owed        Fate = "owed"        // in a gap
	Gone        Fate = "expired"     // left the list while it was owed in a gap
	Coming      Fate = "coming"      // listed, and no read has had the chance yet
	Unseen      Fate = "unseen"      // came and went between two reads; no read proves it
	Unaccounted Fate = "unaccounted" // a read proves to have seen it, and it is nowhere
)

// Audit is the input of the row by row balance.
type Audit struct {
	Proofs []Proof
	Owed   []Gap
	Gone   []Gap // that have expired
	Found  func(Row) (Fate, bool)
}

// Balance returns how many rows met each fate, and the rows that are
// nowhere: the sum of the fates is the number of rows that were listed.
func (b Audit) Balance(rows []Sighting) (map[Fate]int, []Sighting) {
	sum := map[Fate]int{}
	var missing []Sighting
	for _, r := range rows {
		f := b.fate(r)
		sum[f]++
		if f == Unaccounted || f == Lost {
			missing = append(missing, r)
		}
	}
	return sum, missing
}

func (b Audit) fate(r Sighting) Fate {
	if f, found := b.Found(r.Row); found {
		return f
	}
	had := func(gs []Gap) bool {
		return slices.ContainsFunc(gs, func(g Gap) bool { return g.span().Has(r.At) && (r.Listed || !r.Last.Before(g.Opened)) })
	}
	switch {
	case slices.ContainsFunc(b.Proofs, func(p Proof) bool { return p.saw(r) }):
		return Unaccounted
	case had(b.Owed):
		return Owed
	case had(b.Gone):
		return Gone
	case r.Listed:
		return Coming
	}
	return Unseen
}

// saw reports whether the proof covers a row: its date, and its whole stay on the list while the read was under way.
func (p Proof) saw(r Sighting) bool {
	return p.Covered.Has(r.At) && !r.First.After(p.Begun) && (r.Listed || r.Last.After(p.Ended))
}
