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
}

func (o offer) landed() int { return o.price + max(o.shipping, 0) }

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
	"", "", "Pages are clean and intact. Cover shows minor shelf wear.", "Former library book with usual stamps & stickers.",
	"Some underlining and notes in the margins.", "Spine creased, text unaffected.", "May not include supplementary materials.",
}

// makeOffers puts the live offers beside the counts: the cheapest used one at
// the current used price, every other dearer at the door.
func (k *book) makeOffers(r *source, p plan) {
	zipf := rand.NewZipf(r.Rand, 1.25, 6, sellerCount-1)
	used := p.used
	if k.class == NoUsedPrice {
		used = 0
	}
	for i := range used {
		o := offer{condition: r.int(3, 5), price: p.buy, shipping: p.shipping}
		if i > 0 {
			floor := p.buy + max(p.shipping, 399)
			o.condition = r.int(2, 5)
			o.price = int(float64(floor) * r.between(1.05, 1.2+0.15*float64(i)))
			o.shipping = pick(r, []int{399, 399, 0, -1, 450})
			if k.class == LandedPrice {
				o.shipping = 399
			}
		}
		o.fba = o.shipping == 0 && r.chance(0.6)
		k.list(r, zipf, o)
	}
	for i := range p.fresh {
		last, _ := k.prices[pNew].last()
		o := offer{condition: 1, price: last.value + i*r.int(50, 300), shipping: 399}
		if i == 1 {
			o.shipping, o.fba = 0, true
		}
		k.list(r, zipf, o)
	}
	if p.amazon > 0 {
		k.list(r, zipf, offer{condition: 1, price: p.amazon, fba: true, amazon: true, seller: amazonSeller})
	}
	for range r.int(3, 9) { // gone long ago
		o := offer{condition: r.int(2, 5), price: p.ask, shipping: 399, lastSeen: k.created - r.minutes(20*day, 500*day)}
		k.list(r, zipf, o)
	}
	r.Shuffle(len(k.offers), func(i, j int) { k.offers[i], k.offers[j] = k.offers[j], k.offers[i] })
	for i, o := range k.offers {
		if o.lastSeen == 0 {
			k.live = append(k.live, i)
		}
	}
	slices.SortStableFunc(k.live, func(a, b int) int {
		x, y := k.offers[a], k.offers[b]
		return cmp.Or(cmp.Compare(b2i(x.condition == 1), b2i(y.condition == 1)), cmp.Compare(x.price, y.price))
	})
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
	if o.lastSeen == 0 && o.condition > 1 && o.price == k.currentUsed() {
		o.history[len(o.history)-1].at = k.created
	}
	k.offers = append(k.offers, o)
}

func (k *book) currentUsed() int { return k.prices[pUsed].current(false) }

// conditions writes the landed histories of the used conditions and of the used
// Buy Box from the live offers.
func (k *book) conditions(r *source, p plan) {
	best := map[int]offer{}
	for _, i := range k.live {
		o := k.offers[i]
		if o.condition < 2 {
			continue
		}
		for _, t := range []int{pUsedLikeNew + o.condition - 2, pBuyBoxUsed} {
			if b, ok := best[t]; !ok || o.landed() < b.landed() {
				best[t] = o
			}
		}
	}
	for _, t := range []int{pUsedLikeNew, pUsedVeryGood, pUsedGood, pUsedAcceptable, pBuyBoxUsed} {
		h := &k.prices[t]
		h.addLanded(k.start, -1, 0)
		for at := k.start + r.minutes(20*day, 200*day); at < k.created-day; at += r.minutes(40*day, 150*day) {
			h.addLanded(at, int(float64(p.ask)*r.between(1, 1.1)), 399)
		}
		o, ok := best[t]
		switch {
		case !ok:
			h.addLanded(k.created, -1, 0)
		case k.class == LandedPrice: // nobody looked at the offers since the price fell
			h.addLanded(k.created, -1, 0)
			k.late[t] = point{at: k.created + 1, value: o.price, ship: o.shipping}
		default:
			h.addLanded(k.created, o.price, o.shipping)
		}
	}
}
