package deal

import (
	"cmp"
	"math"
	"slices"
	"time"

	"ratchet/pipeline/domain/keepa"
)

// UsedCopy is the buying side: one used copy from a marketplace seller, today.
type UsedCopy struct{ s Settings }

// Buying returns the buying side.
func (s Settings) Buying() UsedCopy { return UsedCopy{s} }

// Copy is an offer that can be bought.
type Copy struct {
	PriceCents    int64 // without shipping
	ShippingCents int64
	LandedCents   int64 // price and shipping
	ShippingKnown bool  // false: the default is used
	Matched       bool  // a live offer has this price; false: the current used price, of an unknown offer
	Condition     keepa.Condition
	SellerID      string // "" unknown
	FBA           *bool  // nil unknown
	SeenAt        keepa.Minute

	NextBestCents *int64 // landed price of the cheapest other live offer at least as good; nil without one
}

// offerMaxAge is the longest time since an offer was last seen.
const offerMaxAge = 365 * 24 * time.Hour

// offered returns the live used offers that have a price.
func (UsedCopy) offered(p *keepa.Product, now time.Time) []keepa.Offer {
	offers, _ := p.LiveOffers()
	oldest := keepa.FromTime(now).Add(-offerMaxAge)
	return slices.DeleteFunc(offers, func(o keepa.Offer) bool {
		return !o.Condition.Used() || o.Price == nil || *o.Price <= 0 || o.LastSeen < oldest || o.LastSeen <= 0
	})
}

// buyable reports whether any buyer can buy a single copy from an offer.
func buyable(o keepa.Offer) bool {
	return (o.Shippable == nil || *o.Shippable) && !o.Preorder && !o.PrimeExclusive && !o.Scam && o.MinOrderQuantity <= 1
}

// Copies returns the copies that can be bought, the cheapest landed one first; empty without any.
//
// Keepa's current used price is the lowest that can be bought: an offer below it is not (or no longer) available to
// every buyer, so it is not bought; buyers of ours may still find it, so it competes. Shipping that the seller does not
// state is free when Amazon ships, else the default. If no live used offer has the used price, that price counts with
// default shipping or more, unmatched: in the worst condition, beside whatever else Keepa knows to be on sale. If there
// are only offers that cannot be bought, the used price is theirs and does not count.
func (u UsedCopy) Copies(p *keepa.Product, f ShippingBasis, now time.Time) []Copy {
	base, known := usedPrice(p)
	if !known {
		return nil
	}
	offers := u.offered(p, now)
	if len(offers) == 0 {
		return []Copy{u.unmatched(p, base, f, nil)}
	}
	var copies []Copy
	forSale := false
	for i, o := range offers {
		if !buyable(o) {
			continue
		}
		forSale = true
		if c := u.landed(o); c.atLeast(base, f) {
			c.NextBestCents = u.nextBest(offers, i)
			copies = append(copies, c)
		}
	}
	if forSale && len(copies) == 0 {
		return []Copy{u.unmatched(p, base, f, offers)}
	}
	slices.SortStableFunc(copies, func(a, b Copy) int { return cmp.Compare(a.LandedCents, b.LandedCents) })
	return copies
}

// atLeast reports whether a copy costs no less than Keepa's used price, which includes shipping or not.
func (c Copy) atLeast(base int64, f ShippingBasis) bool {
	if f == IncludesShipping {
		return c.LandedCents >= base
	}
	return c.PriceCents >= base
}

// usedConditions are the price types with the lowest landed price of each used condition.
var usedConditions = []keepa.PriceType{keepa.UsedLikeNew, keepa.UsedVeryGood, keepa.UsedGood, keepa.UsedAcceptable}

// unmatched returns the copy at Keepa's used price, of an unknown offer. Every live offer and every lowest price by
// condition competes with it, except the copy's own. What is known of its own shipping, it costs at least.
func (u UsedCopy) unmatched(p *keepa.Product, base int64, f ShippingBasis, offers []keepa.Offer) Copy {
	c := Copy{PriceCents: base}
	if f != IncludesShipping {
		c.ShippingCents = u.s.ShippingCents
	}
	c.LandedCents = base + c.ShippingCents
	var current keepa.Values
	if p.Stats != nil {
		current = p.Stats.Current
	}
	own, ownCondition := u.repriced(p, offers), noCondition
	if own >= 0 {
		o := offers[own]
		if o.Shipping != nil && f != IncludesShipping {
			c.LandedCents = max(c.LandedCents, base+int64(*o.Shipping))
		}
		t := usedConditions[o.Condition-keepa.ConditionLikeNew]
		if cents, ok := current.Price(t); ok && cents >= u.landed(o).LandedCents {
			ownCondition = t
		}
	} else if ownCondition = u.ownCondition(current, c); ownCondition != noCondition {
		cents, _ := current.Price(ownCondition)
		c.LandedCents = max(c.LandedCents, cents)
	}
	c.ShippingCents = c.LandedCents - base
	c.NextBestCents = u.cheapest(offers, func(i int, _ keepa.Offer) bool { return i != own })
	for _, t := range usedConditions {
		cents, ok := current.Price(t)
		if ok && t != ownCondition && (c.NextBestCents == nil || cents < *c.NextBestCents) {
			c.NextBestCents = &cents
		}
	}
	return c
}

// repriced returns the index of the offer that had the used price before or has it by now: the cheapest that can be
// bought. It is -1 without one, and if Keepa counts more used copies than offers: the copy may then be another.
func (u UsedCopy) repriced(p *keepa.Product, offers []keepa.Offer) int {
	if p.Stats != nil {
		if counted := count(p.Stats.Current, keepa.CountUsed); counted != nil && *counted > int64(len(offers)) {
			return -1
		}
	}
	own, lowest := -1, int64(math.MaxInt64)
	for i, o := range offers {
		if landed := u.landed(o).LandedCents; buyable(o) && landed < lowest {
			own, lowest = i, landed
		}
	}
	return own
}

// noCondition is a price type that no condition has.
const noCondition keepa.PriceType = -1

// ownCondition returns which lowest price by condition is the copy's own: the one that equals its assumed landed price,
// else the lowest, if it is the used price with free or plausible shipping. Any other lowest price is of another copy:
// one below the used price cannot have that price, nobody asks for a few cents of shipping, and hardly anybody for more
// than twice the usual.
func (u UsedCopy) ownCondition(current keepa.Values, c Copy) keepa.PriceType {
	own, lowest := noCondition, int64(math.MaxInt64)
	for _, t := range usedConditions {
		cents, ok := current.Price(t)
		if ok && cents == c.LandedCents {
			return t
		}
		if ok && cents < lowest {
			own, lowest = t, cents
		}
	}
	if shipping := lowest - c.PriceCents; shipping != 0 && shipping < u.s.ShippingCents/2 || shipping > 2*u.s.ShippingCents {
		return noCondition
	}
	return own
}

// landed returns an offer with its landed price.
func (u UsedCopy) landed(o keepa.Offer) Copy {
	c := Copy{PriceCents: int64(*o.Price), Matched: true, Condition: o.Condition, SellerID: o.SellerID, FBA: o.FBA, SeenAt: o.LastSeen}
	switch {
	case o.Shipping != nil:
		c.ShippingCents, c.ShippingKnown = int64(*o.Shipping), true
	case o.FBA == nil || !*o.FBA:
		c.ShippingCents = u.s.ShippingCents
	}
	c.LandedCents = c.PriceCents + c.ShippingCents
	return c
}

// nextBest returns the cheapest other offer that a buyer would take instead: in the same condition or a better one.
func (u UsedCopy) nextBest(offers []keepa.Offer, bought int) *int64 {
	return u.cheapest(offers, func(i int, o keepa.Offer) bool { return i != bought && o.Condition <= offers[bought].Condition })
}

// cheapest returns the lowest landed price of the honest offers that count and can be shipped; nil without one.
func (u UsedCopy) cheapest(offers []keepa.Offer, counts func(int, keepa.Offer) bool) *int64 {
	var best *int64
	for i, o := range offers {
		if !counts(i, o) || o.Shippable != nil && !*o.Shippable || o.Preorder || o.Scam {
			continue
		}
		if landed := u.landed(o).LandedCents; best == nil || landed < *best {
			best = &landed
		}
	}
	return best
}

// ShippingIn determines whether Keepa's current used price includes shipping: it equals the price of a
// live offer with its shipping, or without. Before the change that Keepa announced it never does.
func (u UsedCopy) ShippingIn(p *keepa.Product, now time.Time) ShippingBasis {
	if keepa.FromTime(now) < newIncludesShipping {
		return ExcludesShipping
	}
	base, known := usedPrice(p)
	if !known {
		return ShippingUnknown
	}
	found := ShippingUnknown
	for _, o := range u.offered(p, now) {
		switch price := int64(*o.Price); {
		case o.Shipping != nil && *o.Shipping > 0 && price+int64(*o.Shipping) == base:
			return IncludesShipping
		case price == base:
			found = ExcludesShipping
		}
	}
	return found
}

// usedPrice returns the product's current used price: from Keepa's statistics, or without them the end of its history.
func usedPrice(p *keepa.Product) (int64, bool) {
	cents, presence := currentPrice(p, keepa.Used)
	return cents, presence == keepa.Present
}

// currentPrice returns a product's current price of a type, above zero if Present.
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

// SellerQuality returns the lower end of the 95 % Wilson interval of a seller's share of positive
// ratings, 0 to 1: a lower bound of the share, given the number of ratings. False when unknown.
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
