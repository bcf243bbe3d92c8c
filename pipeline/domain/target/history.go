package target

import (
	"slices"
	"time"

	"ratchet/pipeline/domain/keepa"
)

const (
	day  = keepa.Minute(24 * 60)
	year = 365 * day

	// CreditCents is the shipping that a used price of amazon.com leaves out, unless the user sets another.
	CreditCents = 399
)

// announced is when Keepa began to change what its prices include.
var announced = keepa.FromTime(time.Date(2026, time.February, 16, 0, 0, 0, 0, time.UTC))

// History is the part of a product that the target needs. Prices are cents; 0 or less means no price.
type History struct {
	Used, New, Amazon, Count, Rank keepa.Series
	BuyBox                         keepa.Series
	End                            keepa.Minute // Keepa's last visit: nothing is known after it

	CreditCents, LaterCreditCents int64 // the ship credit before 2026-02-16, and from then on
}

// Read decodes what the target needs. A product without histories has an empty one.
func Read(p *keepa.Product, creditCents int64) (History, error) {
	h := History{End: p.LastUpdate, CreditCents: creditCents, LaterCreditCents: creditCents}
	for t, s := range map[keepa.PriceType]*keepa.Series{
		keepa.Used: &h.Used, keepa.New: &h.New, keepa.Amazon: &h.Amazon,
		keepa.CountUsed: &h.Count, keepa.Sales: &h.Rank, keepa.BuyBox: &h.BuyBox,
	} {
		var err error
		if *s, err = p.Series(t); err != nil {
			return h, err
		}
	}
	h.Rank = above(h.Rank)
	if h.End == 0 {
		for _, s := range []keepa.Series{h.Used, h.Count, h.Rank} {
			if last, ok := s.Last(); ok {
				h.End = max(h.End, last.At)
			}
		}
	}
	if includesShipping(p) {
		h.LaterCreditCents = 0
	}
	return h, nil
}

// includesShipping reports whether the used price of this answer is that of a live offer with its shipping.
func includesShipping(p *keepa.Product) bool {
	if p.Stats == nil {
		return false
	}
	used, ok := p.Stats.Current.Price(keepa.Used)
	if !ok {
		return false
	}
	live, _ := p.LiveOffers()
	return slices.ContainsFunc(live, func(o keepa.Offer) bool {
		return o.Price != nil && o.Shipping != nil && *o.Shipping > 0 && int64(*o.Price+*o.Shipping) == used
	})
}

// above returns the points with a value.
func above(s keepa.Series) keepa.Series {
	var out keepa.Series
	for _, p := range s {
		if p.Value > 0 {
			out = append(out, p)
		}
	}
	return out
}

// Credit returns the shipping to add to a used price of that minute.
func (h *History) Credit(at keepa.Minute) int64 {
	if at < announced {
		return h.CreditCents
	}
	return h.LaterCreditCents
}

// Cut returns the history as it was at the minute.
func (h *History) Cut(at keepa.Minute) History {
	c := *h
	for _, s := range []*keepa.Series{&c.Used, &c.New, &c.Amazon, &c.Count, &c.Rank, &c.BuyBox} {
		*s = (*s)[:s.Search(at+1)]
	}
	c.End = min(h.End, at)
	return c
}

// Mean returns the time-weighted mean of the used price from a minute up to another, over
// the time in which there was one, and how long that was; false without any price.
func (h *History) Mean(from, to keepa.Minute) (cents float64, priced keepa.Minute, ok bool) {
	sum := 0.0
	for i := max(h.Used.Search(from+1)-1, 0); i < len(h.Used) && h.Used[i].At < to; i++ {
		end := to
		if i+1 < len(h.Used) {
			end = min(to, h.Used[i+1].At)
		}
		if held := end - max(from, h.Used[i].At); h.Used[i].Value > 0 && held > 0 {
			sum += float64(h.Used[i].Value) * float64(held)
			priced += held
		}
	}
	if priced == 0 {
		return 0, 0, false
	}
	return sum / float64(priced), priced, true
}

// lastUsed returns the last used price before the minute, without shipping; false without one.
func (h *History) lastUsed(before keepa.Minute) (int64, bool) {
	for i := h.Used.Search(before) - 1; i >= 0; i-- {
		if h.Used[i].Value > 0 {
			return int64(h.Used[i].Value), true
		}
	}
	return 0, false
}
