package deal

import (
	"time"

	"ratchet/pipeline/domain/keepa"
)

// Walk is a product's whole history, which can be viewed from any instant of it as if the rest had not happened yet.
type Walk struct {
	s           Settings
	h           Histories
	sales       Sales
	new, amazon keepa.Series
	buyBox      keepa.Series
	fees        Fees
	kind, root  *int64
}

// NewWalk decodes a product's histories once. An unreadable series is an error.
func (s Settings) NewWalk(p *keepa.Product) (*Walk, error) {
	w := &Walk{s: s, fees: s.Selling().FeesOf(p, p.RootCategory), kind: widen(p.ProductType)}
	if p.RootCategory != 0 {
		w.root = &p.RootCategory
	}
	var err error
	if w.h, err = new(Scratch).histories(p); err != nil {
		return nil, err
	}
	for t, into := range map[keepa.PriceType]*keepa.Series{keepa.New: &w.new, keepa.Amazon: &w.amazon, keepa.BuyBox: &w.buyBox} {
		if *into, err = p.Series(t); err != nil {
			return nil, err
		}
	}
	// A fall is settled a day later at every instant, so the sales of every instant are a subset of these.
	w.sales = InferSales(w.h, Credit{Cents: s.ShippingCents}, w.end())
	return w, nil
}

func (w *Walk) end() time.Time {
	var last keepa.Minute
	for _, h := range []keepa.Series{w.h.Rank, w.h.Used, w.h.CountUsed} {
		if p, ok := h.Last(); ok {
			last = max(last, p.At)
		}
	}
	return (last + flicker).Time()
}

// At returns the view of a commit at the instant if the copy had been the cheapest on
// offer. Statistics that only Keepa has (drops and averages of the rank) are unknown.
func (w *Walk) At(now time.Time, c Copy) View {
	at := keepa.FromTime(now)
	v := View{
		Used: &c.PriceCents, Amazon: inForce(w.amazon, at), New: inForce(w.new, at), Rank: inForce(w.h.Rank, at),
		Fees: w.fees, ProductType: w.kind, RootCategory: w.root,
	}
	v.NewLanded = w.s.Selling().NewLanded(v.New, now)
	has := true
	v.HasUsed, v.buyBox = &has, buyBoxOf(w.buyBox, at)
	if w.h.Known {
		v.Evidence = evidence(w.until(at), w.h.Used, Credit{Cents: w.s.ShippingCents}, now)
	}
	return v.With(w.s, c, nil)
}

// until returns the sales that are settled at the minute.
func (w *Walk) until(at keepa.Minute) Sales {
	n := 0
	for n < len(w.sales.All) && w.sales.All[n].At+flicker <= at {
		n++
	}
	return Sales{All: w.sales.All[:n]}
}

func inForce(h keepa.Series, at keepa.Minute) *int64 {
	p, ok := h.At(at)
	if !ok || p.Value <= 0 {
		return nil
	}
	cents := int64(p.Value)
	return &cents
}
