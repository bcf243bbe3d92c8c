package deal

import (
	"time"

	"ratchet/pipeline/keepa"
)

// View is what is known of a candidate at some look. A nil pointer is unknown or absent; every amount is cents.
type View struct {
	HasUsed *bool  // a used offer is on sale; nil when Keepa does not say
	Used    *int64 // its lowest price without shipping
	Amazon  *int64 // Amazon's own price; nil when Amazon does not sell it
	New     *int64
	Rank    *int64
	Drops   Drops

	CountNew, CountUsed *int64
	UsedAvg90           *int64
	UsedAvg365          *int64

	// The most a sale can bring and the least a purchase can cost, whatever the commit finds.
	AmazonCeiling *int64 // share of Amazon's lowest price; nil where Amazon has none
	Fees          Fees   // the least possible at a glance, the product's own later

	// What the looks before the commit expect: default shipping, likely sale price, chance of selling.
	LikelySale   *int64
	LikelyLanded *int64
	LikelyProfit *int64
	ChanceOfSale *float64
	ProductType  *int64

	Evidence *Evidence // nil without histories
	Purchase *Purchase // the commit's; nil before, and where nothing can be bought
}

// Drops are improvements of the sales rank by window; nil unknown.
type Drops struct{ D30, D90, D180, D365 *int64 }

// Evidence is what the histories say of the sell side.
type Evidence struct {
	Sales        Sales
	Listing      *Listing // nil without a sale
	OneYear      *int64   // mean of the last year's sales; nil without one
	SalesInYear  int
	Trend        Direction // "" unknown
	LastSale     *Sale     // nil without one
	HistoryFrom  keepa.Minute
	SuspectRatio bool // the list price is suspiciously many times the used price
}

// BestLanded is the least that the book can cost at the door: the used price with free shipping.
func (v View) BestLanded() *int64 { return v.Used }

// ProfitAt is the most that a sale at the price can leave; nil where nothing used is on sale.
func (v View) ProfitAt(s Settings, sale *int64) *int64 {
	if v.Used == nil || sale == nil {
		return nil
	}
	profit := s.Profit(*sale, *v.Used, v.Fees)
	return &profit
}

// OfRow is the view of a deal-list row: only bounds and averages, for no token.
func (s Settings) OfRow(row *keepa.DealRow) View {
	v := View{Fees: s.LeastFees()}
	v.setUsed(priceIn(row.Current, keepa.Used))
	v.Amazon = price(row.Current, keepa.Amazon)
	v.New = price(row.Current, keepa.New)
	v.Rank = price(row.Current, keepa.Sales)
	v.CountNew, v.CountUsed = count(row.Current, keepa.CountNew), count(row.Current, keepa.CountUsed)
	v.Drops = Drops{
		D30: widen(row.SalesRankDrops30), D90: widen(row.SalesRankDrops90),
		D180: widen(row.SalesRankDrops180), D365: widen(row.SalesRankDrops365),
	}
	v.UsedAvg90 = price(row.Avg[keepa.NinetyDays], keepa.Used)
	v.AmazonCeiling = s.AmazonCeiling(orZero(v.Amazon))
	s.likelyOfRow(&v, row)
	return v
}

// likelyOfRow estimates profit and chance from averages: good enough to order survivors, not to reject.
func (s Settings) likelyOfRow(v *View, row *keepa.DealRow) {
	var sale int64
	for _, t := range []keepa.PriceType{keepa.Used, keepa.UsedVeryGood, keepa.UsedGood, keepa.BuyBoxUsed} {
		sale = max(sale, orZero(price(row.Avg[keepa.NinetyDays], t)))
	}
	if sale == 0 || v.Used == nil {
		return
	}
	if v.AmazonCeiling != nil {
		sale = min(sale, *v.AmazonCeiling)
	}
	sale = min(sale, s.HardCeilingCents)
	landed := *v.Used + s.ShippingCents
	for _, t := range []keepa.PriceType{keepa.UsedLikeNew, keepa.UsedVeryGood, keepa.UsedGood, keepa.UsedAcceptable} {
		if p := price(row.Current, t); p != nil && *p >= *v.Used {
			landed = min(landed, *p)
		}
	}
	profit := s.Profit(sale, landed, s.AssumedFees())
	v.LikelySale, v.LikelyLanded, v.LikelyProfit = &sale, &landed, &profit
	if v.Drops.D365 != nil {
		// One improvement of the rank a month is taken for an even chance.
		chance := float64(*v.Drops.D365) / float64(*v.Drops.D365+12)
		v.ChanceOfSale = &chance
	}
}

// OfProduct is the view of a product without offers. What the product does not say is taken from the row.
func (s Settings) OfProduct(row View, p *keepa.Product, now time.Time) (View, error) {
	return s.OfProductIn(new(Memory), row, p, now)
}

// OfProductIn is OfProduct with the histories read into mem.
func (s Settings) OfProductIn(mem *Memory, row View, p *keepa.Product, now time.Time) (View, error) {
	v := row
	v.Fees = s.FeesOf(p)
	v.ofStats(p)
	v.ProductType = widen(p.ProductType)
	ceilings := []int64{orZero(v.Amazon)}
	if p.Stats != nil {
		ceilings = append(ceilings, orZero(price(p.Stats.Avg180, keepa.Amazon)), orZero(price(p.Stats.Avg365, keepa.Amazon)))
	}
	v.AmazonCeiling = s.AmazonCeiling(ceilings...)
	h, err := mem.histories(p)
	if err != nil {
		return v, err
	}
	v.LikelySale, v.LikelyLanded, v.LikelyProfit, v.ChanceOfSale = nil, nil, nil, nil
	if h.Known {
		v.Evidence = s.evidence(h, mem, v, now)
		s.likelyOfEvidence(&v)
	}
	return v, nil
}

// ofStats replaces what the row said by what the newer statistics say.
func (v *View) ofStats(p *keepa.Product) {
	if cents, presence := currentPrice(p, keepa.Used); presence != keepa.NoData {
		v.setUsed(cents, presence)
	}
	if cents, presence := currentPrice(p, keepa.Amazon); presence != keepa.NoData {
		v.Amazon = present(cents, presence)
	}
	if cents, presence := currentPrice(p, keepa.New); presence != keepa.NoData {
		v.New = present(cents, presence)
	}
	if rank, presence := currentPrice(p, keepa.Sales); presence != keepa.NoData {
		v.Rank = present(rank, presence)
	}
	st := p.Stats
	if st == nil {
		return
	}
	newer(&v.Drops.D30, st.SalesRankDrops30)
	newer(&v.Drops.D90, st.SalesRankDrops90)
	newer(&v.Drops.D180, st.SalesRankDrops180)
	newer(&v.Drops.D365, st.SalesRankDrops365)
	v.CountNew, v.CountUsed = count(st.Current, keepa.CountNew), count(st.Current, keepa.CountUsed)
	v.UsedAvg90, v.UsedAvg365 = price(st.Avg90, keepa.Used), price(st.Avg365, keepa.Used)
}

func (s Settings) evidence(h Histories, mem *Memory, v View, now time.Time) *Evidence {
	e := &Evidence{Sales: s.inferSales(h, mem, now)}
	if len(h.Rank) > 0 {
		e.HistoryFrom = h.Rank[0].At
	}
	if l, ok := s.ListAt(e.Sales.Kept, v.AmazonCeiling); ok {
		e.Listing = &l
		e.SuspectRatio = v.Used != nil && float64(l.Cents) > s.SuspiciousRatio*float64(*v.Used)
	}
	if avg, ok := OneYearAverage(e.Sales, now); ok {
		e.OneYear = &avg
	}
	e.SalesInYear = len(e.Sales.Since(365*24*time.Hour, now))
	if n := len(e.Sales.Kept); n > 0 {
		e.LastSale = &e.Sales.Kept[n-1]
	}
	e.Trend, _ = Trend(h, v.Rank)
	return e
}

// likelyOfEvidence is the pessimistic view of a peek: the used price with default shipping.
func (s Settings) likelyOfEvidence(v *View) {
	e := v.Evidence
	if e.Listing == nil || v.Used == nil {
		return
	}
	sale, landed := e.Listing.Cents, *v.Used+s.ShippingCents
	profit := s.Profit(sale, landed, v.Fees)
	v.LikelySale, v.LikelyLanded, v.LikelyProfit = &sale, &landed, &profit
	if confidence, ok := e.Sales.Confidence(); ok {
		// Two sales a year are taken for an even chance that ours is among the next.
		chance := confidence / 100 * float64(e.SalesInYear) / float64(e.SalesInYear+2)
		v.ChanceOfSale = &chance
	}
}

// OfOffers is the view of a product with offers: OfProduct and the offer to buy.
func (s Settings) OfOffers(row View, p *keepa.Product, now time.Time) (View, error) {
	return s.OfOffersIn(new(Memory), row, p, now)
}

// OfOffersIn is OfOffers with the histories read into mem.
func (s Settings) OfOffersIn(mem *Memory, row View, p *keepa.Product, now time.Time) (View, error) {
	v, err := s.OfProductIn(mem, row, p, now)
	if err != nil {
		return v, err
	}
	if c, ok := s.Buy(p, now); ok {
		v.Purchase = &c
	}
	return v, nil
}

// Profit is what the purchase leaves when the book sells at the list price; nil where either is unknown.
func (v View) Profit(s Settings) *int64 {
	if v.Purchase == nil || v.Evidence == nil || v.Evidence.Listing == nil {
		return nil
	}
	profit := s.Profit(v.Evidence.Listing.Cents, v.Purchase.LandedCents, v.Fees)
	return &profit
}

// Expected is profit × chance of a sale, never below zero; nil where either is unknown. After the commit the
// real profit stands in for the likely one.
func (v View) Expected(s Settings) *int64 {
	profit := v.Profit(s)
	if profit == nil {
		profit = v.LikelyProfit
	}
	if profit == nil || v.ChanceOfSale == nil {
		return nil
	}
	e := int64(float64(max(*profit, 0)) * *v.ChanceOfSale)
	return &e
}

func (v *View) setUsed(cents int64, p keepa.Presence) {
	v.HasUsed, v.Used = nil, present(cents, p)
	if p != keepa.NoData {
		has := p == keepa.Present
		v.HasUsed = &has
	}
}

func present(n int64, p keepa.Presence) *int64 {
	if p != keepa.Present {
		return nil
	}
	return &n
}

// priceIn is a price with what Keepa says where it is missing; zero is no price.
func priceIn(values keepa.Values, t keepa.PriceType) (int64, keepa.Presence) {
	n, ok := values.Price(t)
	if p := values.Presence(t); !ok && p == keepa.Present {
		return 0, keepa.NoOffer
	} else if !ok {
		return 0, p
	}
	return n, keepa.Present
}

func price(values keepa.Values, t keepa.PriceType) *int64 {
	n, ok := values.Price(t)
	if !ok {
		return nil
	}
	return &n
}

func count(values keepa.Values, t keepa.PriceType) *int64 {
	n, ok := values.At(t)
	if !ok {
		return nil
	}
	v := int64(n)
	return &v
}

func widen(p *int) *int64 {
	if p == nil {
		return nil
	}
	n := int64(*p)
	return &n
}

// newer replaces a value where there is a newer one.
func newer(into **int64, from *int) {
	if from != nil {
		*into = widen(from)
	}
}

func orZero(p *int64) int64 {
	if p == nil {
		return 0
	}
	return *p
}
