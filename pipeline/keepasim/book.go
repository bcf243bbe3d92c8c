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
	late     map[int]point // what only a fresh look at the offers shows
	offers   []offer
	live     []int // indexes of the live offers, cheapest first
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
	counted  *[4]int // rank drops in 30, 90, 180 and 365 days where they are known otherwise
}

// change is a change of the used price after the first listing.
type change struct {
	at     int64
	factor float64 // of the first price
}

// plan are the numbers a class is made of.
type plan struct {
	buy      int // current used price
	shipping int // of the cheapest live offer
	sale     int // what sold offers cost
	ask      int // used price between sales
	amazon   int // 0 none
	sales    []int64
	drops    []int64 // rank improvements without a sale
	quiet    []int64 // offers that vanish without a sale, inside a span without improvements
	used     int     // live used offers
	fresh    int     // live new offers
}

// birth is what a catalogue decides about a book.
type birth struct {
	seed    uint64
	asin    string
	class   Class
	root    int64
	created int64
	changes []change
	large   bool // more than ten live offers
	extra   int  // tokens on top
}

// newBook makes the book.
func newBook(b birth) *book {
	r := newSource(b.seed, "book/"+b.asin)
	k := &book{id: b.asin, class: b.class, root: b.root, extra: b.extra, created: b.created, late: map[int]point{}}
	days := int64(r.int(760, 1400))
	if b.class == NoRecentSale || b.class == NoRankDrop {
		days = int64(r.int(900, 1400))
	}
	k.start = b.created - days*day - r.minutes(0, day)
	k.describe(r)
	p := k.plan(r, b)
	k.usedHistory(r, p)
	k.rankHistory(r, p)
	k.otherHistories(r, p)
	k.makeOffers(r, p)
	k.conditions(r, p)
	k.applyChanges(b.changes, p)
	return k
}

// plan decides the numbers. The margins keep every class away from its
// thresholds: by at least two dollars of profit, two months of time.
func (k *book) plan(r *source, b birth) plan {
	var p plan
	p.buy = 2400 + min(int(r.exp(1400)), 4600) + r.int(0, 199)
	p.buy -= p.buy % 5
	p.buy += pick(r, []int{0, -1, -1, 4})
	p.shipping = pick(r, []int{399, 399, 399, 0, 0, 350})
	k.fba = r.int(320, 540)
	// profitable is the sale price that leaves target with shipping of 3.99.
	profitable := func(target float64) int {
		cost := 1.05*float64(p.buy+399) + 275 + float64(k.fba) + 180
		return int((cost + target) / 0.85)
	}
	p.sale = profitable(float64(p.buy) * r.between(0.30, 0.50))
	switch b.class {
	case NoProfit:
		p.sale = int(float64(p.buy) * r.between(0.80, 1.0))
	case LandedPrice:
		target := 400 + 0.03*float64(p.sale)
		p.sale = profitable(target)
		p.shipping = 399 + int((target+0.04*float64(p.sale)+r.between(600, 1400))/1.05)
	}
	p.ask = max(int(float64(p.buy)*r.between(2.16, 2.30)), int(float64(p.sale)*r.between(1.03, 1.08)))
	switch {
	case b.class == AmazonCaps:
		p.amazon = int(float64(p.buy) * r.between(0.72, 0.97))
	case r.chance(0.28):
		p.amazon = int(float64(max(p.sale, p.buy)) * r.between(1.6, 2.0))
	}
	p.used, p.fresh = r.int(2, 6), r.int(0, 3)
	if b.large {
		p.used, p.fresh = r.int(9, 14), r.int(2, 5)
	}
	if b.class == NoUsedPrice {
		p.fresh = max(1, p.fresh)
		if b.large {
			p.fresh = r.int(11, 15)
		}
	}
	k.events(r, &p)
	return p
}

// events spreads sales and rank improvements over the history, at least eight
// days apart so that each belongs to one cause.
func (k *book) events(r *source, p *plan) {
	c, span := k.created, (k.created-k.start)/day
	spread := func(n int, youngest, oldest int64) []int64 {
		oldest = min(oldest, span-30)
		var at []int64
		step := (oldest - youngest) * day / int64(max(n, 1))
		if step < 8*day {
			n, step = int((oldest-youngest)/8), 8*day
		}
		for i := range n {
			age := youngest*day + int64(i)*step + r.minutes(0, max(1, step-7*day))
			at = append(at, c-age)
		}
		return at
	}
	perYear := func(rate int, youngest, oldest int64) int {
		return int(float64(rate) * float64(min(oldest, span-30)-youngest) / 365)
	}
	switch k.class {
	case NoRankDrop:
		p.sales = spread(r.int(3, 8), 430, 1000)
	case NoRecentSale:
		p.sales = spread(r.int(4, 10), 430, 1000)
		p.drops = spread(r.int(6, 16), 12, 400)
	case NoInferredSale:
		p.drops = spread(perYear(r.int(6, 14), 60, 1100), 60, 1100)
		if r.chance(0.5) {
			p.quiet = append(p.quiet, c-40*day) // nothing improves from day 60 on
		}
	default:
		p.sales = append(spread(r.int(5, 12), 8, 330), spread(perYear(r.int(4, 9), 340, 1090), 340, 1090)...)
	}
}

// applyChanges appends the later price changes of the cheapest offer.
func (k *book) applyChanges(changes []change, p plan) {
	for _, c := range changes {
		k.created = c.at
		if k.class == NoUsedPrice || len(k.live) == 0 {
			continue // still nothing used on sale; the list shows a later visit
		}
		price := int(float64(p.buy) * c.factor)
		k.prices[pUsed].add(c.at, price)
		o := &k.offers[k.live[0]]
		o.history.addLanded(c.at, price, o.shipping)
		o.price = price
		i := pUsedLikeNew + o.condition - 2
		for _, t := range []int{i, pBuyBoxUsed} {
			if l, ok := k.late[t]; ok {
				l.value, l.at = price, c.at
				k.late[t] = l
			} else if v, ok := k.prices[t].last(); ok && v.value >= 0 {
				k.prices[t].addLanded(c.at, price, o.shipping)
			}
		}
	}
	if p.buy > 0 && k.class == NoUsedPrice && len(changes) > 0 {
		// the price went up and down again between two visits of the list
		k.prices[pUsed].add(k.created-1, p.buy)
		k.prices[pUsed].add(k.created, -1)
	}
}
