package shedding

import (
	"cmp"
	"slices"
	"time"

	"ratchet/pipeline"
)

// Waiting is a piece of work that no worker has taken yet.
type Waiting struct {
	Seq    uint64          // in the stream
	Source pipeline.Source // its lane
	Cents  *int64          // its expected value; nil is unknown
}

// Draw returns the lines below which the least valuable waiting work is shed; none when all of it can be decided in
// time. The first line is drawn through the new rows, whose prices change soonest, and the second through what it
// keeps together with the backfill, which may wait longer.
func Draw(waiting []Waiting, m Means, now time.Time) []Line {
	var lines []Line
	if l, drawn := draw(only(waiting, func(w Waiting) bool { return w.Source != pipeline.SourceBackfill }), m, now); drawn {
		l.Spares = pipeline.SourceBackfill
		lines = append(lines, l)
		waiting = only(waiting, func(w Waiting) bool { return !l.Covers(w) })
	}
	if l, drawn := draw(waiting, m.forBackfill(), now); drawn {
		lines = append(lines, l)
	}
	return lines
}

// draw returns the line through all of the work. Of equal value the older
// part is shed: it is more likely to have left the list.
func draw(waiting []Waiting, m Means, now time.Time) (Line, bool) {
	if !m.exceeded(len(waiting)) {
		return Line{}, false
	}
	l := Line{
		UnknownCents: median(waiting), At: now, Waiting: len(waiting), Decidable: m.Decidable(),
		PatienceS: int(m.Patience / time.Second), Price: m.Price, Income: m.PerHour, Hand: m.Hand,
	}
	best := slices.Clone(waiting)
	slices.SortFunc(best, func(a, b Waiting) int {
		return cmp.Or(-cmp.Compare(l.worth(a), l.worth(b)), -cmp.Compare(a.Seq, b.Seq))
	})
	for _, w := range best {
		l.UpTo = max(l.UpTo, w.Seq)
	}
	last := best[max(1, l.Decidable)-1] // at least one is decided: a line never ends all work
	l.BelowCents, l.TieBefore = l.worth(last), last.Seq
	return l, true
}

func only(all []Waiting, is func(Waiting) bool) []Waiting {
	var out []Waiting
	for _, w := range all {
		if is(w) {
			out = append(out, w)
		}
	}
	return out
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
