package shedding

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Waiting is a piece of work that no worker has taken yet.
type Waiting struct {
	Seq   uint64 // in the stream
	Cents *int64 // its expected value; nil is unknown
}

// Means are the tokens for deciding.
type Means struct {
	PerHour  float64       // income for deciding
	Hand     int           // balance, less what other waiting looks will take
	Price    float64       // tokens for one decision, all looks together
	Patience time.Duration // how long a row may wait before its look is worthless; 0: for ever
}

// slack is how many times the decidable work may wait before a line is drawn,
// so that a small hourly excess does not draw a line every minute.
const slack = 1.25

// Decidable returns how much of the waiting work can be decided within the patience.
func (m Means) Decidable() int {
	if m.Patience <= 0 || m.Price <= 0 {
		return math.MaxInt
	}
	return max(0, int((m.PerHour*m.Patience.Hours()+float64(m.Hand))/m.Price))
}

// Exceeded reports whether that many are too many.
func (m Means) Exceeded(waiting int) bool {
	n := m.Decidable()
	return n < math.MaxInt && float64(waiting) > slack*float64(max(1, n))
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

// Price returns the price of a decision, all looks together: a peek, and a commit for the share of peeks that
// survive. looked and survived are the counts so far; a few looks of the usual share are added to begin with.
func Price(peek, commit float64, looked, survived int) float64 {
	const usual, weight = 0.2, 50
	share := (float64(survived) + usual*weight) / (float64(looked) + weight)
	return peek + share*commit
}
