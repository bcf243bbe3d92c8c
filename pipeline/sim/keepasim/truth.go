package keepasim

import (
	"math"
	"time"
)

// worth returns the actual sale price of a copy in a condition relative to the median one.
func worth(condition int) float64 {
	switch condition {
	case 2:
		return 1.12
	case 3:
		return 1.05
	case 5:
		return 0.91
	}
	return 1
}

// The costs of buying a book and selling it on, as resellers report them.
const (
	costTax      = 0.05 // of the landed price
	costPrep     = 275 + 50
	costClosing  = 180
	costReferral = 0.15 // of the sale price
)

// sold is an actual sale of a used copy.
type sold struct {
	at    int64
	cents int // landed
}

// Sale is the actual sale of the cheapest copy, by the target of the estimates: the price of
// the next sale at least 21 days later; after a year without one, 0.7 of the price then.
type Sale struct {
	Cents  int  // the price that the buyer pays, landed
	Profit int  // cents, after all costs
	Sold   bool // within the year
}

// The target's times.
const (
	soonestSale = 21 * 24 * time.Hour
	latestSale  = 365 * 24 * time.Hour
	unsoldShare = 0.7
)

// profit returns the profit of a copy that was bought for landed and sold for price.
func (k *book) profit(price, landed int) int {
	return int(float64(price)*(1-costReferral) - float64(landed)*(1+costTax) - costPrep - costClosing - float64(k.fba))
}

// needed returns the sale price that leaves this profit.
func (k *book) needed(profit float64, landed int) float64 {
	return (profit + float64(landed)*(1+costTax) + costPrep + costClosing + float64(k.fba)) / (1 - costReferral)
}

// sells draws the sale of the copy that was listed last. Buyers come as often as the history shows and pay
// about the actual level, never more than Amazon's price; the same book always draws the same sale.
func (k *book) sells(seed uint64) (Sale, bool) {
	if k.bargain < 0 {
		return Sale{}, false
	}
	o := k.offers[k.bargain]
	r := newSource(seed, "sale/"+k.id)
	level := k.truth.level
	if o.unbuyable() { // the next one is bought, at its asking price
		o.price, o.shipping = int(k.truth.ask), standardShipping
	}
	landed := o.price + o.shipping
	if o.shipping < 0 {
		landed = o.price + standardShipping
	}
	waits := latestSale
	if k.truth.rate > 0 {
		waits = soonestSale + time.Duration(r.exp(float64(365*24*time.Hour)/k.truth.rate))
	}
	price := level * worth(o.condition) * math.Exp(k.truth.noise*r.NormFloat64())
	s := Sale{Sold: waits < latestSale}
	if !s.Sold {
		price = unsoldShare * level
	}
	if a := k.prices[pAmazon].current(false); a > 0 {
		price = min(price, float64(a))
	}
	s.Cents = int(price)
	s.Profit = k.profit(s.Cents, landed)
	return s, true
}

// truth is what the generator knows of a book and no answer shows.
type truth struct {
	level float64 // sale price of the median copy now, landed
	noise float64 // of the logarithm of a sale price around it
	ask   float64 // asking price between sales
	rate  float64 // sales a year
}
