package deal

import (
	"math"
	"time"

	"ratchet/pipeline/keepa"
)

// Purchase is the offer to buy.
type Purchase struct {
	PriceCents    int64 // without shipping
	ShippingCents int64
	LandedCents   int64 // price and shipping
	ShippingKnown bool  // false: the default stands in
	Matched       bool  // a live offer carries the price; false: the current used price, and nobody knows whose
	Condition     keepa.Condition
	SellerID      string // "" unknown
	FBA           bool
	SeenAt        keepa.Minute // when the offer was last seen; 0 unknown
}

// offerMaxAge is how long ago an offer may have been seen at most.
const offerMaxAge = 365 * 24 * time.Hour

// Buy is the cheapest landed used offer; false where nothing used is on sale.
//
// Keepa's current used price is the lowest that can be bought: an offer below it is not (any more) for
// everybody, so it is left out. Shipping that the seller does not state is free when Amazon ships, else
// the default. Where no live offer is left, the used price with default shipping stands, unmatched.
func (s Settings) Buy(p *keepa.Product, now time.Time) (Purchase, bool) {
	base, known := usedPrice(p)
	if !known {
		return Purchase{}, false
	}
	offers, _ := p.LiveOffers()
	oldest := keepa.FromTime(now).Add(-offerMaxAge)
	best, found := Purchase{}, false
	for _, o := range offers {
		if !buyable(o, base, oldest) {
			continue
		}
		if c := s.landed(o); !found || c.LandedCents < best.LandedCents {
			best, found = c, true
		}
	}
	if !found {
		return Purchase{
			PriceCents: base, ShippingCents: s.ShippingCents, LandedCents: base + s.ShippingCents,
		}, true
	}
	return best, true
}

func buyable(o keepa.Offer, base int64, oldest keepa.Minute) bool {
	return o.Condition.Used() && o.Price != nil && *o.Price > 0 && int64(*o.Price) >= base &&
		!o.Scam && o.LastSeen >= oldest
}

// landed is the price of an offer at the door.
func (s Settings) landed(o keepa.Offer) Purchase {
	c := Purchase{
		PriceCents: int64(*o.Price), Matched: true, Condition: o.Condition,
		SellerID: o.SellerID, FBA: o.FBA, SeenAt: o.LastSeen,
	}
	switch {
	case o.Shipping != nil:
		c.ShippingCents, c.ShippingKnown = int64(*o.Shipping), true
	case !o.FBA:
		c.ShippingCents = s.ShippingCents
	}
	c.LandedCents = c.PriceCents + c.ShippingCents
	return c
}

// usedPrice is the product's current used price: Keepa's statistics, or without them the end of its history.
func usedPrice(p *keepa.Product) (int64, bool) {
	cents, presence := currentPrice(p, keepa.Used)
	return cents, presence == keepa.Present
}

// currentPrice is a product's current price of a type, above zero where Present.
func currentPrice(p *keepa.Product, t keepa.PriceType) (int64, keepa.Presence) {
	if p.Stats != nil && p.Stats.Current.Presence(t) != keepa.NoData {
		cents, ok := p.Stats.Current.Price(t)
		if !ok {
			return 0, keepa.NoOffer
		}
		return cents, keepa.Present
	}
	h, err := p.Series(t)
	last, ok := h.Last()
	switch {
	case err != nil || !ok:
		return 0, keepa.NoData
	case last.Value <= 0:
		return 0, keepa.NoOffer
	}
	return int64(last.Value), keepa.Present
}

// SellerQuality is the lower end of the 95 % Wilson interval of a seller's share of positive ratings, 0 to 1:
// what the share is at least, given how few ratings it rests on. False where nothing is known.
//
//	98 % of 1,000 ratings: 0.969; 100 % of 3: 0.438
func SellerQuality(seller keepa.Seller) (float64, bool) {
	if seller.Rating == nil || seller.Ratings == nil || *seller.Ratings <= 0 {
		return 0, false
	}
	const z = 1.96
	n := float64(*seller.Ratings)
	p := min(float64(*seller.Rating)/100, 1)
	centre := p + z*z/(2*n)
	spread := z * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	return math.Round((centre-spread)/(1+z*z/n)*1000) / 1000, true
}
