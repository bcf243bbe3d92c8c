package keepasim

// book is one product of the synthetic world with its whole history. It is a
// pure function of (seed, ASIN, class, creation, changes).
type book struct {
	id       string
	class    Class
	root     int64
	cats     []int64
	created  int64 // start of the current price, Keepa minutes
	start    int64 // first data
	prices   [priceTypes]series
	late     map[int]point // what only an answer with offers shows
	offers   []offer
	live     []int // indexes of the live offers, cheapest first
	bargain  int   // index of the offer that was listed last; -1 without one
	sub      series
	fba      int
	weight   int
	pages    int
	title    string
	author   string
	binding  string
	brand    string
	extra    int // tokens on top of the commit's price
	released int
	counted  *[4]int // rank drops in 30, 90, 180 and 365 days, if set from a row
	truth    truth
	sold     []sold // actual sales

	coincided []int64 // when a copy was withdrawn while the rank jumped
}

// change is a change of the used price after the first listing.
type change struct {
	at     int64
	factor float64 // of the first price
}

// birth is a catalogue's choice for a book.
type birth struct {
	seed    uint64
	asin    string
	class   Class
	root    int64
	created int64
	changes []change
	large   bool // more than ten live offers
	extra   int  // tokens on top
	wild    bool // as uncertain as in reality, instead of far from every threshold
}

// newBook returns the book.
func newBook(b birth) *book {
	r := newSource(b.seed, "book/"+b.asin)
	k := &book{id: b.asin, class: b.class, root: b.root, extra: b.extra, created: b.created, late: map[int]point{}, bargain: -1}
	days := int64(r.int(760, 1200))
	if b.class == NoRecentSale || b.class == NoRankDrop {
		days = int64(r.int(860, 1200))
	}
	k.start = b.created - days*day - r.minutes(0, day)
	k.describe(r)
	p := k.plan(r, b)
	s := k.script(r, &p)
	k.truth = truth{level: p.levelAt(0), noise: p.noise, ask: p.askAt(0), rate: p.rate}
	m := k.usedHistory(r, &p, s)
	k.rankHistory(r, s)
	k.otherHistories(r, p)
	k.listBargain(m, &p)
	k.makeOffers(m, p)
	k.applyChanges(b.changes, p, m)
	return k
}

// applyChanges appends the later price changes of the cheapest offer.
func (k *book) applyChanges(changes []change, p plan, m *market) {
	for _, c := range changes {
		k.created = c.at
		if k.bargain < 0 {
			continue // still nothing used for sale; the list shows a later visit
		}
		o := &k.offers[k.bargain]
		o.price = int(float64(p.buy) * c.factor)
		o.history.addLanded(c.at, o.price, o.shipping)
		m.live[len(m.live)-1].price = o.price
		k.prices[pUsed].add(c.at, o.price)
		k.writeLate(m, c.at)
	}
	if k.class == NoUsedPrice && len(changes) > 0 {
		// the price went up and down again between two visits of the list
		k.prices[pUsed].add(k.created-1, p.buy)
		k.prices[pUsed].add(k.created, -1)
	}
}

// writeLate records the prices by condition; if the offers were not
// visited since the price fell, only an answer with offers has them.
func (k *book) writeLate(m *market, at int64) {
	m.writeLanded(func(t, price, shipping int) {
		if k.class == LandedPrice {
			k.late[t] = point{at: at + 1, value: price, ship: shipping}
			return
		}
		k.prices[t].addLanded(at, price, shipping)
	})
}
