package deal

import (
	"math"
	"time"

	"ratchet/pipeline/domain/keepa"
)

// View is what is known of a candidate at a look. A nil pointer is unknown or absent; every amount is cents.
type View struct {
	HasUsed      *bool  // a used offer is on sale; nil when unknown
	Used         *int64 // its lowest price
	Amazon       *int64 // Amazon's own price; nil when Amazon does not sell it
	New          *int64
	NewLanded    *int64 // the lowest new price with shipping
	Rank         *int64
	RankAvg      Averages
	Drops        Drops
	RootCategory *int64

	CountNew, CountUsed *int64
	UsedAvg90           *int64
	UsedAvg365          *int64

	ProductType    *int64
	MonthlySold    *int64
	AmazonInStock  *int64  // percent of the last 90 days in which Amazon had it in stock
	UsedBuyBox     *int64  // the used Buy Box, landed; offers answers only
	OffersAgeHours *int64  // since Keepa last visited the offers
	OffersOK       *bool   // Keepa reports that the visit to the offers succeeded
	Fees           Fees    // the least possible at a glance, the product's own later
	Likely         *Likely // the row's estimate; nil once histories are known

	Evidence *Evidence // nil without histories
	Copies   int       // how many can be bought; at the commit
	Copy     *Copy     // the copy to judge; nil before the commit, and when none can be bought
	Outcome  *Outcome  // bounds before the commit; nil without evidence for a price
	Seller   *keepa.Seller

	buyBox *int64
}

// Drops are improvements of the sales rank by window; nil unknown.
type Drops struct{ D30, D90, D180, D365 *int64 }

// Averages are means over windows that end now; nil unknown.
type Averages struct{ D30, D90, D180, D365 *int64 }

// Likely is an estimate from a row. It orders work and never rejects.
type Likely struct {
	ProfitCents int64    // at the median
	GainCents   float64  // mean over all cases, counting only those with a profit
	Chance      *float64 // of a sale within six months; 0 without a rank, nil where only its drops are unknown
}

// ProfitAt returns the highest possible profit of a sale at the price; nil without a
// used offer. The lowest possible landed price is the used price with free shipping.
func (v View) ProfitAt(s Settings, sale *int64) *int64 {
	if v.Used == nil || sale == nil {
		return nil
	}
	profit := s.Profit(*sale, *v.Used, v.Fees)
	return &profit
}

// ProfitCents returns the expected profit: the outcome's, or the row's estimate; nil unknown.
func (v View) ProfitCents() *int64 {
	switch {
	case v.Outcome != nil:
		return &v.Outcome.ProfitCents
	case v.Likely != nil:
		return &v.Likely.ProfitCents
	}
	return nil
}

// ExpectedValueCents returns profit × chance of a sale, never below zero; nil when
// either is unknown. For a row it is the possible gain of a further look.
func (v View) ExpectedValueCents() *int64 {
	var expected int64
	switch {
	case v.Outcome != nil:
		expected = v.Outcome.ExpectedValueCents()
	case v.Likely != nil:
		if v.Likely.Chance == nil {
			return nil
		}
		expected = int64(v.Likely.GainCents * *v.Likely.Chance)
	default:
		return nil
	}
	return &expected
}

// OfRow returns the view of a deal-list row: only bounds and averages, for no token.
func (s Settings) OfRow(row *keepa.DealRow, now time.Time) View {
	v := View{Fees: s.Selling().LeastFees()}
	v.setUsed(priceIn(row.Current, keepa.Used))
	v.Amazon = price(row.Current, keepa.Amazon)
	v.New = price(row.Current, keepa.New)
	v.NewLanded = s.Selling().NewLanded(v.New, now)
	v.Rank = price(row.Current, keepa.Sales)
	v.RankAvg.D30, v.RankAvg.D90 = price(row.Avg[keepa.Month], keepa.Sales), price(row.Avg[keepa.NinetyDays], keepa.Sales)
	v.CountNew, v.CountUsed = count(row.Current, keepa.CountNew), count(row.Current, keepa.CountUsed)
	v.Drops = Drops{
		D30: widen(row.SalesRankDrops30), D90: widen(row.SalesRankDrops90),
		D180: widen(row.SalesRankDrops180), D365: widen(row.SalesRankDrops365),
	}
	v.UsedAvg90 = price(row.Avg[keepa.NinetyDays], keepa.Used)
	if row.RootCategory != 0 {
		v.RootCategory = &row.RootCategory
	}
	v.Likely = s.likely(&v, row)
	return v
}

// likely estimates profit and chance from a row. Asking prices of the
// last month and quarter replace sale prices, up to the cap.
func (s Settings) likely(v *View, row *keepa.DealRow) *Likely {
	asked := v.UsedAvg90
	if month := price(row.Avg[keepa.Month], keepa.Used); asked == nil || month != nil && *month < *asked {
		asked = month
	}
	if v.Used == nil || asked == nil {
		return nil
	}
	sale := float64(*asked+s.ShippingCents) * paidOfAsked
	if lowest, _ := least(map[Ceiling]*int64{ByNew: v.NewLanded, ByAmazon: v.Amazon}); lowest != nil {
		sale = min(sale, float64(*lowest))
	}
	landed, f := *v.Used+s.ShippingCents, s.Selling().AssumedFees(row.RootCategory)
	l := &Likely{ProfitCents: s.Profit(int64(sale), landed, f)}
	l.GainCents = s.gain(sale, landed, f)
	switch {
	case v.Drops.D365 != nil:
		chance := 1 - math.Exp(-6*ourShare*(float64(*v.Drops.D365)/dropsPerSale+priorSales)/12)
		l.Chance = &chance
	case v.Rank == nil:
		l.Chance = new(float64) // a book without a rank does not sell
	}
	return l
}

// How a row's numbers relate to sales, measured on captured books.
const (
	paidOfAsked  = 0.80 // sale price by the lower of the month's and the quarter's mean asking price
	dropsPerSale = 3    // drops of the rank in Keepa's count for one used sale
	rowSpread    = 0.5  // of the logarithm of a sale price around the row's estimate
)

// gain returns the mean profit of the profitable sale prices around the
// median: the possible gain of a further look, which rejects the others.
func (s Settings) gain(sale float64, landed int64, f Fees) float64 {
	even := float64(s.Breakeven(landed, f))
	kept := (1 - float64(f.ReferralBP)/10_000) / (1 + s.VATPercent/100)
	below := func(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }
	d := math.Log(sale/even) / rowSpread
	mean := sale * math.Exp(rowSpread*rowSpread/2)
	return kept * (mean*below(d+rowSpread) - even*below(d))
}

// OfProduct returns the view of a product without offers. Values that the product lacks are taken from the row.
func (s Settings) OfProduct(row View, p *keepa.Product, now time.Time) (View, error) {
	return s.OfProductIn(new(Scratch), row, p, now)
}

// OfProductIn is OfProduct with the histories decoded into mem.
func (s Settings) OfProductIn(mem *Scratch, row View, p *keepa.Product, now time.Time) (View, error) {
	v, err := s.known(mem, row, p, ShippingUnknown, now)
	if err == nil && v.Evidence != nil && v.Used != nil {
		v.Outcome = s.bound(v)
	}
	return v, err
}

// known returns the part of a product's view that is the same for every copy.
func (s Settings) known(mem *Scratch, row View, p *keepa.Product, f ShippingBasis, now time.Time) (View, error) {
	v := row
	v.ofStats(p)
	v.NewLanded = s.Selling().NewLanded(v.New, now)
	if p.RootCategory != 0 {
		v.RootCategory = &p.RootCategory
	}
	v.Fees = s.Selling().FeesOf(p, orZero(v.RootCategory))
	v.ProductType, v.MonthlySold = widen(p.ProductType), widen(p.MonthlySold)
	h, err := mem.histories(p)
	if err != nil {
		return v, err
	}
	v.Likely = nil
	if h.Known {
		v.Evidence = mem.gather(h, Credit{Cents: s.ShippingCents, Basis: f}, now)
	}
	return v, nil
}

// bound returns the best outcome that a commit could find: a copy in the best
// condition at the used price with free shipping, and no other used offer.
func (s Settings) bound(v View) *Outcome {
	ceiling, by := least(map[Ceiling]*int64{ByNew: v.NewLanded, ByAmazon: v.Amazon})
	return s.outcome(v.Evidence, bestFactor, ceiling, by, *v.Used, v.Fees)
}

// ofStats replaces the row's values by the newer statistics.
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
	v.RankAvg = Averages{
		D30: price(st.Avg30, keepa.Sales), D90: price(st.Avg90, keepa.Sales),
		D180: price(st.Avg180, keepa.Sales), D365: price(st.Avg365, keepa.Sales),
	}
	v.CountNew, v.CountUsed = count(st.Current, keepa.CountNew), count(st.Current, keepa.CountUsed)
	v.UsedAvg90, v.UsedAvg365 = price(st.Avg90, keepa.Used), price(st.Avg365, keepa.Used)
	if out := count(st.OutOfStock90, keepa.Amazon); out != nil {
		in := 100 - *out
		v.AmazonInStock = &in
	}
}

// OfOffers returns the view of a product with offers, before a copy is chosen, and the copies that can be bought.
func (s Settings) OfOffers(row View, p *keepa.Product, now time.Time) (View, []Copy, error) {
	return s.OfOffersIn(new(Scratch), row, p, now)
}

// OfOffersIn is OfOffers with the histories decoded into mem.
func (s Settings) OfOffersIn(mem *Scratch, row View, p *keepa.Product, now time.Time) (View, []Copy, error) {
	finding := s.Buying().ShippingIn(p, now)
	v, err := s.known(mem, row, p, finding, now)
	if err != nil {
		return v, nil, err
	}
	v.buyBox = buyBox(p, now)
	if p.OffersAsked {
		v.OffersOK = &p.OffersSuccessful
	}
	if p.Stats != nil {
		v.UsedBuyBox = price(p.Stats.Current, keepa.BuyBoxUsed)
		if at := p.Stats.LastOffersUpdate; at > 0 {
			hours := max(0, int64(now.Sub(at.Time())/time.Hour))
			v.OffersAgeHours = &hours
		}
	}
	return v, s.Buying().Copies(p, finding, now), nil
}

// OfStoredIn returns the view of a stored deal's own copy on a product without offers, decoded into mem. What only a
// commit finds, the deal knows: its seller and competition, the Buy Box, and whether the used price includes shipping.
func (s Settings) OfStoredIn(mem *Scratch, row View, p *keepa.Product, d *Deal, now time.Time) (View, error) {
	finding := d.UsedShipping
	if keepa.FromTime(d.DecidedAt) < newIncludesShipping {
		finding = ShippingUnknown // what was found before the change says nothing about later prices
	}
	v, err := s.known(mem, row, p, finding, now)
	if err != nil {
		return v, err
	}
	v.buyBox, v.UsedBuyBox, v.OffersOK = d.buyBox(), d.UsedBuyBoxCents, d.OffersOK
	if at := d.offersUpdated(p); at != nil {
		hours := max(0, int64(now.Sub(*at)/time.Hour))
		v.OffersAgeHours = &hours
	}
	return v.With(s, d.Copy(), d.Seller()), nil
}

// With returns the view of one copy: its outcome, and its seller (nil unknown).
func (v View) With(s Settings, c Copy, seller *keepa.Seller) View {
	v.Copy, v.Seller, v.Outcome = &c, seller, nil
	if v.Evidence != nil {
		ceiling, by := least(map[Ceiling]*int64{ByNew: v.NewLanded, ByAmazon: v.Amazon, ByBuyBox: v.buyBox, ByNext: c.NextBestCents})
		v.Outcome = s.outcome(v.Evidence, c.factor(), ceiling, by, c.LandedCents, v.Fees)
	}
	return v
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

// priceIn returns a price and its presence; zero is not a price.
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

// newer replaces a value if there is a newer one.
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
