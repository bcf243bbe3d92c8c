package keepasim

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"time"
)

// LivingOptions size a living world.
type LivingOptions struct {
	Rows  int     // listed at any time; 0 is 750
	Good  float64 // share of good books; 0 is 0.05
	Other int     // rows of other categories among them; 0 is 24, negative none
}

// World is a living list: rows come, change their price and leave, at the rates that were measured on a
// real query of used books. It is a pure function of (seed, instant): a restart finds the same world.
//
//	slot   ├── life 0 ──┤├─ life 1 ─┤├────── life 2 ──────┤   one row is listed at a time
//	price        ▲   ▲                     ▲       ▲           each change starts a new creationDate
type World struct {
	seed uint64
	o    LivingOptions

	mu    sync.Mutex
	slots []slot
}

// slot is one place in the list and its current row.
type slot struct {
	life  *life
	row   *row
	rowAt int64 // the visit that row shows
	till  int64 // how long row is valid
}

// life is one row's time in the list.
type life struct {
	number     int64 // of the book
	birth      birth
	begin, end int64 // listed from, until (exclusive), Keepa minutes

	built *book
	made  int // changes that built includes
}

// The measured churn: 22 % of the rows stay for six hours on average, the others
// for two weeks; 38 % change their price every six hours, the others rarely. One
// in five enters the list with an old price.
const (
	shortShare, shortStay = 0.22, 6 * 60.0
	longStay              = 15 * 24 * 60.0
	busyShare, busyGap    = 0.38, 6.2 * 60.0
	calmGap               = 40 * 24 * 60.0
	oldEntry              = 0.20

	block     = 60 * day // lives are drawn again in each block, so that any instant is found quickly
	maxBlocks = 200
	maxLives  = 1000
)

// livingOrigin is the start of the first block, in Keepa minutes: 2020.
var livingOrigin = minute(time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))

// Living returns the living world of a seed.
func Living(seed uint64, o LivingOptions) *World {
	if o.Rows <= 0 {
		o.Rows = 750
	}
	if o.Good <= 0 {
		o.Good = 0.05
	}
	o.Other = cmp.Or(o.Other, min(24, o.Rows/30))
	o.Rows, o.Other = min(o.Rows, isbnSpace/(maxBlocks*maxLives)), max(o.Other, 0)
	return &World{seed: seed, o: o, slots: make([]slot, o.Rows)}
}

// Truth returns the class of a book; Unknown for any other ASIN.
func (w *World) Truth(asin string) Class {
	if _, ok := isbnNumber(w.seed, asin); !ok {
		return Unknown
	}
	return w.class(asin)
}

// Sells returns the actual sale of the cheapest copy of a book, at now.
func (w *World) Sells(asin string, now time.Time) (Sale, bool) {
	if p, ok := w.find(asin, now); ok {
		return p.(*book).sells(w.seed)
	}
	return Sale{}, false
}

// Listed returns the ASINs in the list at an instant.
func (w *World) Listed(now time.Time) []string {
	var out []string
	for _, r := range w.list(now) {
		out = append(out, r.ASIN)
	}
	return out
}

// class draws a class in the proportions of the mix, with the good share on top.
func (w *World) class(asin string) Class {
	r := newSource(w.seed, "class/"+asin)
	if r.chance(w.o.Good) {
		return Good
	}
	bad := 0
	for _, m := range livingMix {
		bad += m.n
	}
	x := r.IntN(bad)
	for _, m := range livingMix {
		if x -= m.n; x < 0 {
			return m.class
		}
	}
	return NoProfit
}

// livingMix is the number of bad ones of each class: those of the backlog, and traps. Books that look good
// until their offers are known are as frequent as in the backlog, counting the traps of that kind.
var livingMix = append(slices.DeleteFunc(slices.Clone(backlogMix), func(s share) bool { return s.class == Good || s.class == LandedPrice }),
	share{LandedPrice, 6}, share{Flicker, 3}, share{Spike, 16}, share{Undercut, 18}, share{Unbuyable, 4})

func (w *World) begin(time.Time) {}

func (w *World) list(now time.Time) []*row {
	at := minute(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]*row, 0, len(w.slots))
	for i := range w.slots {
		out = append(out, w.rowAt(i, at))
	}
	return out
}

// rowAt moves a slot to an instant and returns its row.
func (w *World) rowAt(i int, at int64) *row {
	s := &w.slots[i]
	if s.life == nil || at < s.life.begin || at >= s.life.end {
		*s = slot{life: w.lifeAt(int64(i), at)}
	}
	if s.row != nil && at >= s.rowAt && at < s.till {
		return s.row
	}
	k, n := s.life.book(at)
	// The product is visited every few hours; a price change is a visit too.
	period := int64(100 + i%7*60)
	visit := max(at-(at+int64(i)*37)%period, k.created, s.life.begin)
	s.till = visit - (visit+int64(i)*37)%period + period
	if n < len(s.life.birth.changes) {
		s.till = min(s.till, s.life.birth.changes[n].at)
	}
	s.row, s.rowAt = k.row(visit), visit
	return s.row
}

// book returns the book at a minute, and how many of its price changes have happened.
func (l *life) book(at int64) (*book, int) {
	n := 0
	for n < len(l.birth.changes) && l.birth.changes[n].at <= at {
		n++
	}
	if l.built == nil || l.made != n {
		b := l.birth
		b.changes = b.changes[:n]
		l.built, l.made = newBook(b), n
	}
	return l.built, n
}

// lifeAt returns the life in a slot at a minute.
func (w *World) lifeAt(i, at int64) *life {
	n := (at - livingOrigin + w.phase(i)) / block
	return w.walk(i, n, func(l *life) bool { return at < l.end })
}

// walk draws the lives of one block until stop; nil if it never stops.
func (w *World) walk(i, n int64, stop func(*life) bool) *life {
	from := livingOrigin - w.phase(i) + n*block
	end := from + block
	r := newSource(w.seed, fmt.Sprintf("lives/%d/%d", i, n))
	quiet := newSource(w.seed, fmt.Sprintf("slot/%d", i))
	stay := longStay
	if quiet.chance(shortShare) {
		stay = shortStay
	}
	gap := calmGap
	if quiet.chance(busyShare) {
		gap = busyGap
	}
	for j := range int64(maxLives) {
		l := &life{number: (i*maxBlocks+n%maxBlocks)*maxLives + j, begin: from}
		l.end = from + 15 + int64(r.exp(stay))
		if l.end > end || j == maxLives-1 {
			l.end = end
		}
		if stop(l) {
			w.fill(l, i, gap)
			return l
		}
		if from = l.end; from >= end {
			return nil
		}
	}
	return nil
}

// phase returns where a slot's blocks begin, so that they do not all end together.
func (w *World) phase(i int64) int64 {
	return newSource(w.seed, fmt.Sprintf("phase/%d", i)).minutes(0, block-1)
}

// fill chooses the book of a life.
func (w *World) fill(l *life, i int64, gap float64) {
	asin := isbn(w.seed, l.number)
	r := newSource(w.seed, "life/"+asin)
	b := birth{seed: w.seed, asin: asin, class: w.class(asin), root: booksRoot, created: l.begin, wild: true}
	if i < int64(w.o.Other) {
		roots := []int64{unknownRoot, 5174, 2625373011, 165793011, 1064954, 1055398, 3375251, 172282}
		b.root = roots[i%int64(len(roots))]
	}
	if r.chance(oldEntry) {
		b.created -= r.minutes(12*60, 10*day)
	}
	switch x := r.float(); {
	case x < 0.05:
		b.large = true
	case x < 0.15:
		b.extra = 2
	}
	factor := 1.0
	for at := l.begin + 10 + int64(r.exp(gap)); at < l.end; at += 10 + int64(r.exp(gap)) {
		step := r.between(0.01, 0.03)
		if factor > 1.04 || factor > 0.95 && r.chance(0.5) {
			step = -step
		}
		factor += step
		b.changes = append(b.changes, change{at: at, factor: factor})
	}
	l.birth = b
}

// find returns a book that is or was listed, at now.
func (w *World) find(asin string, now time.Time) (product, bool) {
	number, ok := isbnNumber(w.seed, asin)
	if !ok {
		return nil, false
	}
	i, n, j := number/(maxBlocks*maxLives), number/maxLives%maxBlocks, number%maxLives
	if i >= int64(w.o.Rows) {
		return nil, false
	}
	at := minute(now)
	w.mu.Lock()
	defer w.mu.Unlock()
	if l := w.slots[i].life; l != nil && l.number == number && at >= l.begin {
		k, _ := l.book(at)
		return k, true
	}
	l := w.walk(i, n, func(l *life) bool { return l.number%maxLives == j })
	if l == nil || l.begin > at {
		return nil, false
	}
	k, _ := l.book(at)
	return k, true
}
