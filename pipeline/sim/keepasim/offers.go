package keepasim

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
)

// offer is one seller's copy.
type offer struct {
	id        int
	seller    string
	condition int // 1 new, 2 like new .. 5 acceptable
	comment   string
	price     int
	shipping  int // -1 not stated
	fba       bool
	amazon    bool
	history   series
	lastSeen  int64 // 0: live, seen at every look
	stock     int

	unshippable, preorder, primeOnly bool
	minOrder                         int // 0 is 1
}

func (o offer) landed() int { return o.price + max(o.shipping, 0) }

// unbuyable reports that not every buyer can have one copy of it.
func (o offer) unbuyable() bool { return o.unshippable || o.preorder || o.primeOnly || o.minOrder > 1 }

// sellerCount is the size of the seller population; a few sell most books.
const sellerCount = 2500

func sellerID(n int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	x := (uint64(n) + 1) * 0x9e3779b97f4a7c15
	var b strings.Builder
	b.WriteByte('A')
	for range 12 {
		b.WriteByte(digits[x%36])
		x = x/36 ^ x<<40
	}
	b.WriteByte(digits[n%36])
	return b.String()
}

const amazonSeller = "ATVPDKIKX0DER"

var comments = []string{
	"", "", "Pages are clean and intact. Cover shows minor fetcher wear.", "Former library book with usual stamps & stickers.",
	"Some underlining and notes in the margins.", "Spine creased, text unaffected.", "May not include supplementary materials.",
}

// listBargain lists the copy that puts the book on the list, or removes all of them.
func (k *book) listBargain(m *market, p *plan) {
	if k.class == NoUsedPrice {
		m.live = nil
		m.write(k.created, 0)
		return
	}
	for i := range p.near {
		if i < len(m.live) {
			m.priced(i, k.created-m.r.minutes(60, 20*60), int(float64(p.buy)*m.r.between(1.1, 1.25)))
		}
	}
	o := offer{condition: p.condition, price: p.buy, shipping: p.shipping, seller: k.sellerFor(m)}
	o.fba = o.shipping == 0 && m.r.chance(0.6)
	if p.fault != nil {
		p.fault(&o)
	}
	m.comes(k.created, o)
	k.prices[pUsed].add(k.created, p.buy)
	k.prices[pCountUsed].add(k.created, len(m.live))
	k.writeLate(m, k.created)
}

// sellerFor returns the seller of the cheapest copy: for a good one, not one with many complaints.
func (k *book) sellerFor(m *market) string {
	id := sellerID(int(m.zipf.Uint64()))
	for k.class == Good && ratingOf(id) < leastRating {
		id = sellerID(int(m.zipf.Uint64()))
	}
	return id
}

// leastRating is the share of positive ratings that buyers expect, in percent.
const leastRating = 85

// keptOffers is the number of past offers that Keepa still lists.
const keptOffers = 6

// makeOffers puts the used copies, new ones, Amazon's and some past ones into the answer.
func (k *book) makeOffers(m *market, p plan) {
	r := m.r
	for i, o := range m.live {
		k.take(o)
		if i == len(m.live)-1 {
			k.bargain = len(k.offers) - 1
		}
	}
	for i := range p.fresh {
		last, _ := k.prices[pNew].last()
		o := offer{condition: 1, price: last.value + i*r.int(50, 300), shipping: standardShipping}
		if i == 1 {
			o.shipping, o.fba = 0, true
		}
		k.list(r, m.zipf, o)
	}
	if p.amazon > 0 {
		k.list(r, m.zipf, offer{condition: 1, price: p.amazon, fba: true, amazon: true, seller: amazonSeller})
	}
	k.newBuyBox(m)
	for _, o := range m.gone {
		k.take(o)
	}
	k.order(r)
}

// newBuyBox follows the lowest new price, and ends at the lowest landed price of the new offers.
func (k *book) newBuyBox(m *market) {
	h := &k.prices[pBuyBox]
	for _, p := range k.prices[pNew] {
		h.addLanded(p.at, p.value, standardShipping*b2i(p.value >= 0))
	}
	best := offer{price: -1}
	for _, o := range k.offers {
		if o.condition == 1 && (best.price < 0 || o.landed() < best.landed()) {
			best = o
		}
	}
	h.addLanded(k.created-m.r.minutes(60, day), best.price, best.shipping)
}

// order shuffles the offers and lists the live ones, used ones first, the cheapest first.
func (k *book) order(r *source) {
	bought := 0
	if k.bargain >= 0 {
		bought = k.offers[k.bargain].id
	}
	r.Shuffle(len(k.offers), func(i, j int) { k.offers[i], k.offers[j] = k.offers[j], k.offers[i] })
	for i, o := range k.offers {
		if o.lastSeen == 0 {
			k.live = append(k.live, i)
		}
		if o.id == bought {
			k.bargain = i
		}
	}
	slices.SortStableFunc(k.live, func(a, b int) int {
		x, y := k.offers[a], k.offers[b]
		return cmp.Or(cmp.Compare(b2i(x.condition == 1), b2i(y.condition == 1)), cmp.Compare(x.price, y.price))
	})
}

// take stores an offer with its own history.
func (k *book) take(o offer) {
	o.id = len(k.offers) + 1
	k.offers = append(k.offers, o)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// list completes an offer and stores it.
func (k *book) list(r *source, zipf *rand.Zipf, o offer) {
	o.id = len(k.offers) + 1
	if o.seller == "" {
		o.seller = sellerID(int(zipf.Uint64()))
	}
	if o.condition > 1 {
		o.comment = pick(r, comments)
	}
	o.stock = 1 + int(r.exp(0.7))
	until := k.created
	if o.lastSeen > 0 {
		until = o.lastSeen
	}
	n := r.int(0, 4)
	at := until - int64(n+1)*r.minutes(3*day, 25*day)
	for range n {
		o.history.addLanded(at, int(float64(o.price)*r.between(1.1, 2.2)), o.shipping)
		at += r.minutes(2*day, 3*day)
	}
	o.history.addLanded(max(at, until-r.minutes(0, 1)), o.price, o.shipping)
	k.offers = append(k.offers, o)
}
