package keepasim

import (
	"sync"
	"time"
)

// Backlog is a fixed world: rows that were all listed in the six hours before the
// start. Nothing is added or removed, so several simulations that start at the same instant may share one.
type Backlog struct {
	seed uint64
	plan []birth // by position in the list, newest first

	mu    sync.Mutex
	begun time.Time
	rows  []*row
	books map[string]*book
	class map[string]Class
}

// share is the number of books of a class.
type share struct {
	class Class
	n     int
}

// backlogMix is the number of books of each class.
var backlogMix = []share{
	{AmazonCaps, 60},
	{NoRankDrop, 60},
	{NoUsedPrice, 70},
	{NoInferredSale, 70},
	{NoProfit, 75},
	{NoRecentSale, 30},
	{LandedPrice, 15},
	{Good, 20},
}

// backlogSpan is the age of the oldest listing; backlogYoungest of the newest.
const (
	backlogSpan     = 355 // minutes
	backlogYoungest = 4
)

// Backlog400 is the world of the scenario backlog400: 380 bad rows and 20 good
// ones, spread over the pages. Commits cost 6 tokens for 85 %, 8 for 10 % and
// 12 for 5 % of them.
func Backlog400(seed uint64) *Backlog { return BacklogOf(seed, backlogRows) }

// backlogRows is the size of Backlog400.
const backlogRows = 400

// BacklogOf is the same mix at another size: rows is rounded up to a multiple of
// 400.
func BacklogOf(seed uint64, rows int) *Backlog {
	times := max(1, (rows+backlogRows-1)/backlogRows)
	b := &Backlog{seed: seed, books: map[string]*book{}, class: map[string]Class{}}
	r := newSource(seed, "backlog400")
	var bad []Class
	good := 0
	for _, m := range backlogMix {
		if m.class == Good {
			good = times * m.n
			continue
		}
		for range times * m.n {
			bad = append(bad, m.class)
		}
	}
	r.Shuffle(len(bad), func(i, j int) { bad[i], bad[j] = bad[j], bad[i] })
	all := make([]Class, 0, len(bad)+good)
	each := (len(bad) + good) / good // one good row in every stretch of this many
	for i := range good {
		at := r.int(0, each-1)
		stretch := bad[i*(each-1) : (i+1)*(each-1)]
		all = append(all, stretch[:at]...)
		all = append(all, Good)
		all = append(all, stretch[at:]...)
	}
	prices := make([]int, len(all))
	for i := range prices {
		prices[i] = i * 100 / len(prices)
	}
	r.Shuffle(len(prices), func(i, j int) { prices[i], prices[j] = prices[j], prices[i] })
	for i, c := range all {
		p := birth{seed: seed, asin: isbn(seed, int64(i)), class: c, root: booksRoot}
		switch {
		case prices[i] >= 95:
			p.large = true
		case prices[i] >= 85:
			p.extra = 2
		}
		b.plan = append(b.plan, p)
		b.class[p.asin] = c
	}
	return b
}

// Truth returns the class of a row; Unknown for any other ASIN.
func (b *Backlog) Truth(asin string) Class { return b.class[asin] }

// Sells returns the actual sale of the cheapest copy of a row.
func (b *Backlog) Sells(asin string, _ time.Time) (Sale, bool) {
	if k := b.books[asin]; k != nil {
		return k.sells(b.seed)
	}
	return Sale{}, false
}

// First leaves out all rows but the n newest.
func (b *Backlog) First(n int) *Backlog {
	b.plan = b.plan[:n]
	return b
}

// ASINs returns all rows, newest first.
func (b *Backlog) ASINs() []string {
	out := make([]string, len(b.plan))
	for i, p := range b.plan {
		out[i] = p.asin
	}
	return out
}

func (b *Backlog) begin(t0 time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.begun.Equal(t0) {
		return
	}
	b.begun, b.rows = t0, nil
	at := minute(t0)
	for i, p := range b.plan {
		p.created = at - backlogYoungest - int64(i*(backlogSpan-backlogYoungest)/len(b.plan))
		k := newBook(p)
		b.books[p.asin] = k
		b.rows = append(b.rows, k.row(at-1))
	}
}

func (b *Backlog) list(time.Time) []*row { return append([]*row(nil), b.rows...) }

func (b *Backlog) find(asin string, _ time.Time) (product, bool) {
	k, ok := b.books[asin]
	return k, ok
}
