package shedding

import (
	"cmp"
	"slices"
	"time"
)

// Waiting is a piece of work that no worker has taken yet.
type Waiting struct {
	Seq   uint64 // in the stream
	Cents *int64 // its expected value; nil is unknown
}

// Draw returns the line below which the least valuable waiting work is shed; false when all of it can
// be decided. Of equal value the older part is shed: it is more likely to have left the list.
func Draw(waiting []Waiting, m Means, now time.Time) (Line, bool) {
	if !m.Exceeded(len(waiting)) {
		return Line{}, false
	}
	l := Line{
		UnknownCents: median(waiting), At: now, Waiting: len(waiting), Decidable: m.Decidable(),
		PatienceS: int(m.Patience / time.Second), Price: m.Price, Income: m.PerHour, Hand: m.Hand,
	}
	worth := func(w Waiting) int64 {
		if w.Cents != nil {
			return *w.Cents
		}
		return l.UnknownCents
	}
	best := slices.Clone(waiting)
	slices.SortFunc(best, func(a, b Waiting) int {
		return cmp.Or(-cmp.Compare(worth(a), worth(b)), -cmp.Compare(a.Seq, b.Seq))
	})
	for _, w := range best {
		l.UpTo = max(l.UpTo, w.Seq)
	}
	last := best[max(1, l.Decidable)-1] // at least one is decided: a line never ends all work
	l.BelowCents, l.TieBefore = worth(last), last.Seq
	return l, true
}

// median returns the value assumed for work of unknown value: the median of the known values.
func median(waiting []Waiting) int64 {
	var known []int64
	for _, w := range waiting {
		if w.Cents != nil {
			known = append(known, *w.Cents)
		}
	}
	if len(known) == 0 {
		return 0
	}
	slices.Sort(known)
	return known[len(known)/2]
}
