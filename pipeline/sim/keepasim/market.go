package keepasim

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// standardShipping is what a merchant charges for one book.
const standardShipping = 399

// market is the used copies of one book on offer, as they come and go. Every move writes
// Keepa's record of it, so that prices, counts, conditions, Buy Box and offers agree.
//
//	move ─▶ copies on offer ─▶ USED (least price) · COUNT_USED · conditions and used Buy Box (least landed)
type market struct {
	k    *book
	r    *source
	zipf *rand.Zipf
	live []offer
	gone []offer // the last that were sold or withdrawn, oldest first
	hide int     // copies that Keepa misses for now
	wild bool    // some copies are not for sale to every buyer
}

// trade is an event of a market at an instant.
type trade struct {
	at int64
	do func(m *market, at int64)
	// lag is how much later than the count Keepa sees the price.
	lag int64
}

func (k *book) newMarket(r *source) *market {
	return &market{k: k, r: r, zipf: rand.NewZipf(r.Rand, 1.25, 6, sellerCount-1)}
}

// run applies the trades in their order.
func (m *market) run(trades []trade) {
	slices.SortStableFunc(trades, func(a, b trade) int { return cmp.Compare(a.at, b.at) })
	for _, t := range trades {
		t.do(m, t.at)
		m.write(t.at, t.lag)
	}
}

// write records what is on offer.
func (m *market) write(at, lag int64) {
	k := m.k
	k.prices[pCountUsed].add(at, max(0, len(m.live)-m.hide))
	price := -1
	if i := m.cheapest(); i >= 0 {
		price = m.live[i].price
	}
	k.prices[pUsed].add(at+lag, price)
	m.writeLanded(func(t, price, shipping int) { k.prices[t].addLanded(at, price, shipping) })
}

// writeLanded records the least landed price of each condition and of the used Buy Box.
func (m *market) writeLanded(set func(t, price, shipping int)) {
	var best [len(landedTypes)]*offer
	for i := range m.live {
		o := &m.live[i]
		for _, at := range [2]int{o.condition - 2, len(best) - 1} {
			if best[at] == nil || o.landed() < best[at].landed() {
				best[at] = o
			}
		}
	}
	for i, t := range landedTypes {
		if o := best[i]; o != nil {
			set(t, o.price, o.shipping)
		} else {
			set(t, -1, 0)
		}
	}
}

// landedTypes are the histories that only a look at the offers knows: like new to acceptable, and the used Buy Box.
var landedTypes = [...]int{pUsedLikeNew, pUsedVeryGood, pUsedGood, pUsedAcceptable, pBuyBoxUsed}

// cheapest returns the copy with the least price without shipping, the first of equals; -1 without any.
func (m *market) cheapest() int {
	best := -1
	for i := range m.live {
		if best < 0 || m.live[i].price < m.live[best].price {
			best = i
		}
	}
	return best
}

// conditionOf draws a seller's condition; few merchants list copies as like new.
func conditionOf(r *source) int { return pick(r, []int{2, 3, 3, 4, 4, 4, 5}) }

// comes puts a copy on offer.
func (m *market) comes(at int64, o offer) {
	if o.condition == 0 {
		o.condition = conditionOf(m.r)
	}
	o.comment = pick(m.r, comments)
	o.stock = 1 + int(m.r.exp(0.7))
	if o.seller == "" {
		o.seller = sellerID(int(m.zipf.Uint64()))
	}
	o.history.addLanded(at, o.price, o.shipping)
	m.live = append(m.live, o)
}

// dear returns a copy that is not meant to sell soon: at the asking level or above it.
func (m *market) dear(ask float64) offer {
	o := offer{price: int(ask * m.r.between(1.02, 1.55)), shipping: pick(m.r, []int{standardShipping, standardShipping, standardShipping, 0, -1, 450})}
	o.fba = o.shipping == 0 && m.r.chance(0.6)
	if m.wild && m.r.chance(0.04) {
		pick(m.r, faults)(&o)
	}
	return o
}

// faults are the reasons why not every buyer can have one copy of an offer.
var faults = []func(*offer){
	func(o *offer) { o.unshippable = true }, func(o *offer) { o.preorder = true },
	func(o *offer) { o.primeOnly = true }, func(o *offer) { o.minOrder = 5 },
}

// goes takes copy i off the market.
func (m *market) goes(i int, at int64) {
	if i < 0 || i >= len(m.live) {
		return
	}
	o := m.live[i]
	o.lastSeen = at - m.r.minutes(5, 5*60)
	if len(m.gone) == keptOffers {
		m.gone = m.gone[:copy(m.gone, m.gone[1:])]
	}
	m.gone = append(m.gone, o)
	m.live = slices.Delete(m.live, i, i+1)
}

// priced changes the price of copy i.
func (m *market) priced(i int, at int64, price int) {
	o := &m.live[i]
	o.price = max(price, 1)
	o.history.addLanded(at, o.price, o.shipping)
}

// The trades.

func comes(at int64, o func(m *market) offer) trade {
	return trade{at: at, do: func(m *market, at int64) { m.comes(at, o(m)) }}
}

// sells: the cheapest copy is sold.
func sells(at, lag int64) trade {
	return trade{at: at, lag: lag, do: func(m *market, at int64) { m.goes(m.cheapest(), at) }}
}

// withdrawn: an expensive copy is withdrawn, or the cheapest if there is no other.
func withdrawn(at int64, any bool) trade {
	return trade{at: at, do: func(m *market, at int64) {
		i := m.r.int(0, max(0, len(m.live)-1))
		if !any && len(m.live) > 1 {
			for i == m.cheapest() {
				i = m.r.int(0, len(m.live)-1)
			}
		}
		m.goes(i, at)
	}}
}

// missed: Keepa misses one copy for a while.
func missed(at, until int64) []trade {
	return []trade{
		{at: at, do: func(m *market, _ int64) { m.hide++ }},
		{at: until, do: func(m *market, _ int64) { m.hide-- }},
	}
}

// repriced: the cheapest copy is repriced to about the asking level.
func repriced(at int64, ask float64) trade {
	return trade{at: at, do: func(m *market, at int64) {
		if i := m.cheapest(); i >= 0 {
			m.priced(i, at, int(ask*m.r.between(0.97, 1.05)))
		}
	}}
}
