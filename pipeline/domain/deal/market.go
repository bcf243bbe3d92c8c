package deal

import (
	"math"
	"time"

	"ratchet/pipeline/domain/keepa"
)

// Market is a product's histories as they are shown. Every price includes shipping, so that the landed price of a
// copy, the sales and the estimate compare with it. A value below 1 means that nothing was offered from then on.
type Market struct {
	Used, New, Amazon, BuyBox keepa.Series
	Rank                      keepa.Series
	Sales                     []Sale   // inferred, oldest first
	Unread                    []string // the histories that cannot be read: they are absent
}

// Market returns the histories of a product up to the instant. The finding is whether its used price includes shipping.
func (s Settings) Market(p *keepa.Product, f ShippingBasis, now time.Time) Market {
	var m Market
	read := func(t keepa.PriceType) keepa.Series {
		h, err := p.Series(t)
		if err != nil {
			m.Unread = append(m.Unread, t.String())
			return nil
		}
		return h
	}
	credit, used := Credit{Cents: s.ShippingCents, Basis: f}, read(keepa.Used)
	m.Used = credit.landed(used)
	m.New = Credit{Cents: s.ShippingCents, Basis: IncludesShipping}.landed(read(keepa.New))
	m.Amazon, m.Rank, m.BuyBox = read(keepa.Amazon), read(keepa.Sales), read(keepa.BuyBox)
	for i := range m.BuyBox {
		m.BuyBox[i] = Credit{Cents: int64(max(m.BuyBox[i].Shipping, 0))}.on(m.BuyBox[i])
	}
	m.Sales = InferSales(Histories{Rank: m.Rank, Used: used, CountUsed: read(keepa.CountUsed)}, credit, now).All
	return m
}

// landed returns a history of prices with their ship credit, which may end while a price is in force.
func (c Credit) landed(h keepa.Series) keepa.Series {
	out := make(keepa.Series, 0, len(h)+1)
	for i, p := range h {
		out = append(out, c.on(p))
		ends := p.At < newIncludesShipping && (i+1 == len(h) || h[i+1].At > newIncludesShipping)
		if ends && c.At(newIncludesShipping) != c.At(p.At) {
			p.At = newIncludesShipping
			out = append(out, c.on(p))
		}
	}
	return out
}

// on adds the ship credit of its instant to a price. A point without an offer, or with Keepa's placeholder for "no
// value", is unchanged.
func (c Credit) on(p keepa.Point) keepa.Point {
	if p.Value > 0 && p.Value < math.MaxInt32 {
		p.Value += int(c.At(p.At))
	}
	return p
}
