package deal

import (
	"cmp"
	"time"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/text/foreign"
)

// Extraction is the version of how numbers are derived from Keepa's answers. Raise it when a number of the
// same name changes for the same answer: inputs and deals of another extraction are then no longer used.
const Extraction = 5

// Deal is an accepted deal: the row the user came for. Money is in the smallest unit of the marketplace's
// currency; what is unknown is left out. The names are the same here, on the wire and in ClickHouse.
type Deal struct {
	// Identity.
	Domain          int            `json:"domain"`
	ASIN            string         `json:"asin"`
	PriceType       int            `json:"price_type"`
	CreationDate    int64          `json:"creation_date"` // Keepa minutes
	URL             string         `json:"url"`           // always as LinksOf returns it, never from a message
	KeepaURL        string         `json:"keepa_url"`
	Simulated       bool           `json:"simulated"` // from the simulated Keepa: not for sale, and without links
	Title           foreign.Text   `json:"title,omitzero"`
	Author          foreign.Text   `json:"author,omitzero"`
	Brand           foreign.Text   `json:"brand,omitzero"`
	Manufacturer    foreign.Text   `json:"manufacturer,omitzero"`
	Binding         foreign.Text   `json:"binding,omitzero"`
	RootCategory    int64          `json:"root_category,omitempty"`
	Categories      []foreign.Text `json:"categories,omitempty"` // names from the root down
	PublicationDate int            `json:"publication_date,omitempty"`
	PackageWeightG  *int64         `json:"package_weight_g,omitempty"`
	PackageLengthMM *int64         `json:"package_length_mm,omitempty"`
	PackageWidthMM  *int64         `json:"package_width_mm,omitempty"`
	PackageHeightMM *int64         `json:"package_height_mm,omitempty"`

	// Timing.
	FoundAt         time.Time  `json:"found_at"`                    // when the current used price began
	UpdatedAt       *time.Time `json:"updated_at,omitempty"`        // Keepa's last visit
	OffersUpdatedAt *time.Time `json:"offers_updated_at,omitempty"` // Keepa's last visit to the offers
	OffersAgeHours  *int64     `json:"offers_age_hours,omitempty"`  // the same, as the rules used it
	OffersOK        *bool      `json:"offers_ok,omitempty"`         // Keepa reports that this visit succeeded
	PriceChangedAt  *time.Time `json:"price_changed_at,omitempty"`
	DecidedAt       time.Time  `json:"decided_at"`

	// Buying side.
	LandedCents       int64        `json:"landed_cents"`
	PriceCents        int64        `json:"price_cents"` // without shipping
	ShippingCents     int64        `json:"shipping_cents"`
	ShippingKnown     bool         `json:"shipping_known"`
	OfferMatched      bool         `json:"offer_matched"`
	Condition         string       `json:"condition"` // "" unknown, as for the seller and the cap: an older version does not fill it
	BuyFBA            bool         `json:"buy_fba"`
	SellerID          string       `json:"seller_id"`
	SellerName        foreign.Text `json:"seller_name,omitzero"`
	SellerRating      *int64       `json:"seller_rating,omitempty"` // percent
	SellerRatingCount *int64       `json:"seller_rating_count,omitempty"`
	SellerQuality     *float64     `json:"seller_quality,omitempty"` // 0 to 1
	SellerUnknown     bool         `json:"seller_unknown"`

	// Selling side: the estimate, and its evidence.
	SalePriceCents     int64         `json:"sale_price_cents"`      // the median sale price
	SalePriceLowCents  int64         `json:"sale_price_low_cents"`  // one in ten sells for less
	SalePriceHighCents int64         `json:"sale_price_high_cents"` // one in ten sells for more
	BreakevenCents     int64         `json:"breakeven_cents"`
	LossChance         float64       `json:"loss_chance"` // 0 to 1: that it sells below break-even
	NEff               float64       `json:"n_eff"`       // the known sales weighted by age: each counts 1 when new and half after 180 days
	SaleChance6M       float64       `json:"sale_chance_6m"`
	MonthsToSell       float64       `json:"months_to_sell"`
	SaleCount          int           `json:"sale_count"` // in all years
	SalesInYear        int           `json:"sales_in_year"`
	SaleDays180        int           `json:"sale_days_180"`
	LastSales          []Sale        `json:"last_sales"` // three at most, newest first
	FallCount          int           `json:"fall_count"` // how often the used count fell, sold or not
	CapCents           *int64        `json:"cap_cents,omitempty"`
	CapBy              Ceiling       `json:"cap_by"`
	NextBestCents      *int64        `json:"next_best_cents,omitempty"`
	LowestNewCents     *int64        `json:"lowest_new_cents,omitempty"` // landed
	UsedBuyBoxCents    *int64        `json:"used_buy_box_cents,omitempty"`
	UsedShipping       ShippingBasis `json:"used_includes_shipping"`
	ExpectedValueCents *int64        `json:"expected_value_cents,omitempty"`

	// Money, as a sum: sale price − VAT − Amazon's fees − all-in cost = profit.
	ProfitCents     int64    `json:"profit_cents"`
	ProfitLowCents  int64    `json:"profit_low_cents"`  // at the low sale price
	ProfitHighCents int64    `json:"profit_high_cents"` // at the high one
	AllInCostCents  int64    `json:"all_in_cost_cents"`
	TaxCents        int64    `json:"tax_cents"`
	PrepCents       int64    `json:"prep_cents"`
	InboundCents    int64    `json:"inbound_cents"`
	OtherCents      int64    `json:"other_cents"`
	VATCents        int64    `json:"vat_cents"`
	ReferralCents   int64    `json:"referral_cents"`
	ReferralPercent float64  `json:"referral_percent"`
	FBAFeeCents     int64    `json:"fba_fee_cents"`
	ClosingFeeCents int64    `json:"closing_fee_cents"`
	AmazonFeesCents int64    `json:"amazon_fees_cents"`
	MarginPercent   *float64 `json:"margin_percent,omitempty"`
	ROIPercent      *float64 `json:"roi_percent,omitempty"`

	// Defaults in place of values that Keepa does not know.
	FeesAssumed     bool `json:"fees_assumed"` // any of the three below
	ReferralAssumed bool `json:"referral_assumed"`
	FBAFeeAssumed   bool `json:"fba_fee_assumed"`
	ClosingAssumed  bool `json:"closing_fee_assumed"`
	FBAFeeOtherBand bool `json:"fba_fee_other_band"` // Keepa's fee is for another price band than the sale's

	// Demand.
	Rank             *int64   `json:"rank,omitempty"`
	RankAvg30        *int64   `json:"rank_avg30,omitempty"`
	RankAvg90        *int64   `json:"rank_avg90,omitempty"`
	RankAvg180       *int64   `json:"rank_avg180,omitempty"`
	RankAvg365       *int64   `json:"rank_avg365,omitempty"`
	RankTrendPercent *float64 `json:"rank_trend_percent,omitempty"`
	RankDrops30      *int64   `json:"rank_drops30,omitempty"`
	RankDrops90      *int64   `json:"rank_drops90,omitempty"`
	RankDrops180     *int64   `json:"rank_drops180,omitempty"`
	RankDrops365     *int64   `json:"rank_drops365,omitempty"`
	MonthlySold      *int64   `json:"monthly_sold,omitempty"`
	UsedOffers       *int64   `json:"used_offers,omitempty"`
	UsedOffersAvg30  *int64   `json:"used_offers_avg30,omitempty"`
	UsedOffersAvg90  *int64   `json:"used_offers_avg90,omitempty"`
	UsedOffersAvg180 *int64   `json:"used_offers_avg180,omitempty"`
	UsedOffersAvg365 *int64   `json:"used_offers_avg365,omitempty"`
	NewOffers        *int64   `json:"new_offers,omitempty"`

	// Market prices now and their 365-day averages.
	MarketCents      map[string]int64 `json:"market_cents,omitempty"`     // by price type name
	MarketAvgCents   map[string]int64 `json:"market_avg_cents,omitempty"` // the same, 365 days
	AmazonSelling    bool             `json:"amazon_selling"`
	AmazonInStock90P *int64           `json:"amazon_in_stock_90_percent,omitempty"`

	// Provenance; the committer adds tokens and answers.
	RuleSet     string   `json:"rule_set"`
	Extraction  int      `json:"extraction"`
	Tokens      int      `json:"tokens"`
	ResponseIDs []string `json:"response_ids,omitempty"`
}

// marketTypes are the prices that a deal shows.
var marketTypes = []keepa.PriceType{
	keepa.Amazon, keepa.New, keepa.Used, keepa.ListPrice, keepa.NewFBM, keepa.NewFBA, keepa.BuyBox,
	keepa.UsedLikeNew, keepa.UsedVeryGood, keepa.UsedGood, keepa.UsedAcceptable, keepa.BuyBoxUsed,
}

// Make returns the deal of a view with a copy; nil without a copy or an outcome.
func (s Settings) Make(row *keepa.DealRow, p *keepa.Product, v View, now time.Time) *Deal {
	if v.Copy == nil || v.Outcome == nil {
		return nil
	}
	d := &Deal{DecidedAt: now.UTC(), Extraction: Extraction}
	d.identity(row, p)
	d.buying(*v.Copy, v.Seller)
	d.selling(v)
	d.money(v, s)
	d.demand(v, p.Stats)
	d.market(p.Stats)
	d.AmazonSelling = v.Amazon != nil
	d.AmazonInStock90P, d.OffersAgeHours, d.OffersOK = v.AmazonInStock, v.OffersAgeHours, v.OffersOK
	return d
}

// Identify sets the price of the ASIN that the deal is about, and the links to its marketplace.
func (d *Deal) Identify(domain, priceType int, creationDate int64) {
	d.Domain, d.PriceType, d.CreationDate = domain, priceType, creationDate
	if !d.Simulated {
		to := LinksOf(domain, d.ASIN)
		d.URL, d.KeepaURL = to.Amazon, to.Keepa
	}
}

func (d *Deal) identity(row *keepa.DealRow, p *keepa.Product) {
	domain := p.Domain
	if !domain.Valid() {
		domain = keepa.DomainCom
	}
	d.ASIN, d.Simulated, d.FoundAt = p.ASIN, p.Simulated, row.CreationDate.Time()
	d.Identify(int(domain), int(keepa.Used), int64(row.CreationDate))
	d.Title, d.Author, d.Brand, d.Manufacturer, d.Binding = p.Title, p.Author, p.Brand, p.Manufacturer, p.Binding
	if d.Title.IsZero() {
		d.Title = row.Title
	}
	d.RootCategory = cmp.Or(p.RootCategory, row.RootCategory)
	for _, c := range p.CategoryTree {
		d.Categories = append(d.Categories, c.Name)
	}
	d.PublicationDate = max(p.PublicationDate, 0)
	d.PackageWeightG, d.PackageLengthMM = positive(p.PackageWeight), positive(p.PackageLength)
	d.PackageWidthMM, d.PackageHeightMM = positive(p.PackageWidth), positive(p.PackageHeight)
	if d.PackageWeightG == nil {
		d.PackageWeightG = positive(p.ItemWeight)
	}
	d.UpdatedAt, d.PriceChangedAt = instant(max(p.LastUpdate, row.LastUpdate)), instant(p.LastPriceChange)
	if p.Stats != nil {
		d.OffersUpdatedAt = instant(p.Stats.LastOffersUpdate)
	}
}

func (d *Deal) buying(c Copy, seller *keepa.Seller) {
	d.LandedCents, d.PriceCents, d.ShippingCents = c.LandedCents, c.PriceCents, c.ShippingCents
	d.ShippingKnown, d.OfferMatched, d.SellerID = c.ShippingKnown, c.Matched, c.SellerID
	d.BuyFBA, d.NextBestCents = c.FBA != nil && *c.FBA, c.NextBestCents
	if c.Matched {
		d.Condition = c.Condition.String()
	}
	if seller == nil || c.SellerID == "" {
		d.SellerUnknown = true
		return
	}
	d.SellerName, d.SellerRating, d.SellerRatingCount = seller.Name, widen(seller.Rating), widen(seller.Ratings)
	if q, ok := SellerQuality(*seller); ok {
		d.SellerQuality = &q
	}
}

func (d *Deal) selling(v View) {
	o, e := v.Outcome, v.Evidence
	d.SalePriceCents, d.SalePriceLowCents, d.SalePriceHighCents = o.SaleCents, o.LowCents, o.HighCents
	d.BreakevenCents, d.LossChance, d.NEff = o.BreakevenCents, rounded(o.LossChance, 4), rounded(o.NEffective, 2)
	d.SaleChance6M, d.MonthsToSell = rounded(o.SaleChance6M, 4), rounded(o.MonthsToSell, 1)
	d.SaleCount, d.SalesInYear, d.SaleDays180, d.FallCount = e.SaleCount, e.SalesInYear, e.SaleDays180, e.Falls
	d.LastSales = append([]Sale{}, e.LastSales...)
	d.CapCents, d.CapBy, d.UsedShipping = o.CapCents, o.CapBy, e.Basis
	d.LowestNewCents, d.UsedBuyBoxCents = v.NewLanded, v.UsedBuyBox
	d.ExpectedValueCents = v.ExpectedValueCents()
}

func (d *Deal) money(v View, s Settings) {
	sale, f, u := d.SalePriceCents, v.Fees, s.Selling()
	d.ProfitCents, d.ProfitLowCents, d.ProfitHighCents = v.Outcome.ProfitCents, v.Outcome.ProfitLow, v.Outcome.ProfitHigh
	d.AllInCostCents, d.TaxCents = s.AllInCost(d.LandedCents), s.Tax(d.LandedCents)
	d.PrepCents, d.InboundCents, d.OtherCents = s.PrepCents, s.InboundCents, s.OtherCents
	d.VATCents = sale - u.Net(sale)
	d.ReferralCents, d.ReferralPercent = u.Referral(sale, f), float64(f.ReferralBP)/100
	d.FBAFeeCents, d.ClosingFeeCents, d.AmazonFeesCents = f.FBACents, f.ClosingCents, u.Taken(sale, f)
	d.FeesAssumed, d.ReferralAssumed, d.FBAFeeAssumed, d.ClosingAssumed = f.Assumed(), f.ReferralAssumed, f.FBAAssumed, f.ClosingAssumed
	if current := v.currentNew(); current != nil && !f.FBAAssumed {
		d.FBAFeeOtherBand = OtherBand(sale, *current)
	}
	if m, ok := percent(d.ProfitCents, sale); ok {
		d.MarginPercent = &m
	}
	if roi, ok := percent(d.ProfitCents, d.AllInCostCents); ok {
		d.ROIPercent = &roi
	}
}

// currentNew returns the price that Keepa's fees are for, if known: the current new price of the book.
func (v View) currentNew() *int64 {
	for _, cents := range []*int64{v.buyBox, v.New, v.Used} {
		if cents != nil {
			return cents
		}
	}
	return nil
}

func (d *Deal) demand(v View, st *keepa.Stats) {
	d.Rank, d.MonthlySold = v.Rank, v.MonthlySold
	d.RankDrops30, d.RankDrops90, d.RankDrops180, d.RankDrops365 = v.Drops.D30, v.Drops.D90, v.Drops.D180, v.Drops.D365
	d.RankAvg30, d.RankAvg90, d.RankAvg180, d.RankAvg365 = v.RankAvg.D30, v.RankAvg.D90, v.RankAvg.D180, v.RankAvg.D365
	d.UsedOffers, d.NewOffers = v.CountUsed, v.CountNew
	if d.Rank != nil && d.RankAvg30 != nil {
		trend := float64((*d.Rank-*d.RankAvg30)*10_000 / *d.RankAvg30) / 100
		d.RankTrendPercent = &trend
	}
	if st == nil {
		return
	}
	d.UsedOffersAvg30, d.UsedOffersAvg90 = count(st.Avg30, keepa.CountUsed), count(st.Avg90, keepa.CountUsed)
	d.UsedOffersAvg180, d.UsedOffersAvg365 = count(st.Avg180, keepa.CountUsed), count(st.Avg365, keepa.CountUsed)
}

func (d *Deal) market(st *keepa.Stats) {
	if st == nil {
		return
	}
	d.MarketCents, d.MarketAvgCents = map[string]int64{}, map[string]int64{}
	for _, t := range marketTypes {
		if n, ok := st.Current.Price(t); ok {
			d.MarketCents[t.String()] = n
		}
		if n, ok := st.Avg365.Price(t); ok {
			d.MarketAvgCents[t.String()] = n
		}
	}
}

func positive(p *int) *int64 {
	if p == nil || *p <= 0 {
		return nil
	}
	return widen(p)
}

func instant(m keepa.Minute) *time.Time {
	if m <= 0 {
		return nil
	}
	t := m.Time()
	return &t
}

// Copy returns the copy that the deal buys.
func (d *Deal) Copy() Copy {
	return Copy{
		PriceCents: d.PriceCents, ShippingCents: d.ShippingCents, LandedCents: d.LandedCents, ShippingKnown: d.ShippingKnown,
		Matched: d.OfferMatched, Condition: keepa.ConditionOf(d.Condition), SellerID: d.SellerID, FBA: &d.BuyFBA, NextBestCents: d.NextBestCents,
	}
}

// UsedCents returns what Keepa's used price is if the deal's copy is the cheapest one.
func (d *Deal) UsedCents() int64 {
	if d.UsedShipping == IncludesShipping {
		return d.LandedCents
	}
	return d.PriceCents
}

// Seller returns what the deal records of its seller; nil when unknown.
func (d *Deal) Seller() *keepa.Seller {
	if d.SellerUnknown {
		return nil
	}
	narrow := func(n *int64) *int {
		if n == nil {
			return nil
		}
		v := int(*n)
		return &v
	}
	return &keepa.Seller{ID: d.SellerID, Name: d.SellerName, Rating: narrow(d.SellerRating), Ratings: narrow(d.SellerRatingCount)}
}

// buyBox returns the price with shipping in the Buy Box, if that capped the deal; nil otherwise.
func (d *Deal) buyBox() *int64 {
	if d.CapBy != ByBuyBox {
		return nil
	}
	return d.CapCents
}

// offersUpdated returns Keepa's last visit to the offers, as the deal or a later answer says; nil unknown.
func (d *Deal) offersUpdated(p *keepa.Product) *time.Time {
	at := d.OffersUpdatedAt
	if p.Stats != nil {
		if later := instant(p.Stats.LastOffersUpdate); later != nil && (at == nil || later.After(*at)) {
			at = later
		}
	}
	return at
}

// Renew returns a stored deal with the numbers of a later view of its own copy; nil without an outcome.
func (s Settings) Renew(d Deal, p *keepa.Product, v View, now time.Time) *Deal {
	if v.Copy == nil || v.Outcome == nil {
		return nil
	}
	d.DecidedAt, d.Extraction = now.UTC(), Extraction
	d.selling(v)
	d.money(v, s)
	d.demand(v, p.Stats)
	d.AmazonInStock90P, d.OffersAgeHours, d.OffersUpdatedAt = v.AmazonInStock, v.OffersAgeHours, d.offersUpdated(p)
	if at := instant(p.LastUpdate); at != nil {
		d.UpdatedAt = at
	}
	return &d
}
