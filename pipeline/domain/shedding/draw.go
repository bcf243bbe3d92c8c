package shedding

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Waiting is a piece of work that nobody has taken yet.
type Waiting struct {
	Seq   uint64 // its place in the stream
	Cents *int64 // what it is expected to be worth; nil is unknown
}

// Means are what deciding can spend.
type Means struct {
	PerHour  float64       // tokens that come in for deciding
	Hand     int           // tokens that are there, less what other waiting looks will take
	Price    float64       // tokens that one decision costs, all looks together
	Patience time.Duration // how long a row may wait before its look is worth nothing; 0: for ever
}

// slack is by how much more than decidable may wait before a line is drawn, so
// that a little too much every hour does not draw a line every minute.
const slack = 1.25

// Decidable is how much of what waits can be decided within the patience.
func (m Means) Decidable() int {
	if m.Patience <= 0 || m.Price <= 0 {
		return math.MaxInt
	}
	return max(0, int((m.PerHour*m.Patience.Hours()+float64(m.Hand))/m.Price))
}

// Exceeded reports whether so many are too many.
func (m Means) Exceeded(waiting int) bool {
	n := m.Decidable()
	return n < math.MaxInt && float64(waiting) > slack*float64(max(1, n))
}

// Draw is the line below which the least valuable of what waits is shed; false
// when all of it can be decided. Of equal worth the older part goes: it is likelier
// to have left the list.
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
	last := best[max(1, l.Decidable)-1] // one is decided whatever the means: a line never ends all work
	l.BelowCents, l.TieBefore = worth(last), last.Seq
	return l, true
}

// median is what work of unknown worth is taken for: the middle of what is known.
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

// Price is what a decision costs, all looks together: a peek, and for the share of
// peeks that survive a commit. looked and survived are what was seen so far; a few
// looks of the usual share stand in for the first.
func Price(peek, commit float64, looked, survived int) float64 {
	const usual, weight = 0.2, 50
	share := (float64(survived) + usual*weight) / (float64(looked) + weight)
	return peek + share*commit
}
