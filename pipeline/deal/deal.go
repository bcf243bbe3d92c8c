package deal

import (
	"strconv"
	"time"

	"ratchet/pipeline/keepa"
)

// Deal is an accepted deal: the row the user came for. Money is cents; what is unknown is left out. The names
// are the same here, on the wire and in ClickHouse.
type Deal struct {
	// Identity.
	Domain          int      `json:"domain"`
	ASIN            string   `json:"asin"`
	PriceType       int      `json:"price_type"`
	CreationDate    int64    `json:"creation_date"` // Keepa minutes
	URL             string   `json:"url"`
	KeepaURL        string   `json:"keepa_url"`
	Title           string   `json:"title,omitempty"`
	Author          string   `json:"author,omitempty"`
	Brand           string   `json:"brand,omitempty"`
	Manufacturer    string   `json:"manufacturer,omitempty"`
	Binding         string   `json:"binding,omitempty"`
	RootCategory    int64    `json:"root_category,omitempty"`
	Categories      []string `json:"categories,omitempty"` // names from the root down
	PublicationDate int      `json:"publication_date,omitempty"`
	PackageWeightG  *int64   `json:"package_weight_g,omitempty"`
	PackageLengthMM *int64   `json:"package_length_mm,omitempty"`
	PackageWidthMM  *int64   `json:"package_width_mm,omitempty"`
	PackageHeightMM *int64   `json:"package_height_mm,omitempty"`

	// Timing.
	FoundAt         time.Time  `json:"found_at"`                    // when the current used price began
	UpdatedAt       *time.Time `json:"updated_at,omitempty"`        // Keepa's last visit
	OffersUpdatedAt *time.Time `json:"offers_updated_at,omitempty"` // Keepa's last visit to the offers
	PriceChangedAt  *time.Time `json:"price_changed_at,omitempty"`
	DecidedAt       time.Time  `json:"decided_at"`

	// Buy side.
	LandedCents       int64    `json:"landed_cents"`
	PriceCents        int64    `json:"price_cents"` // without shipping
	ShippingCents     int64    `json:"shipping_cents"`
	ShippingKnown     bool     `json:"shipping_known"`
	OfferMatched      bool     `json:"offer_matched"`
	Condition         string   `json:"condition,omitempty"`
	BuyFBA            bool     `json:"buy_fba"`
	SellerID          string   `json:"seller_id,omitempty"`
	SellerName        string   `json:"seller_name,omitempty"`
	SellerRating      *int64   `json:"seller_rating,omitempty"` // percent
	SellerRatingCount *int64   `json:"seller_rating_count,omitempty"`
	SellerQuality     *float64 `json:"seller_quality,omitempty"` // 0 to 1
	SellerUnknown     bool     `json:"seller_unknown"`

	// Sell side.
	ListPriceCents       int64    `json:"list_price_cents"`
	ListPriceSource      string   `json:"list_price_source"`
	ListPriceCapped      bool     `json:"list_price_capped"` // Amazon's price capped it
	UncappedListCents    int64    `json:"uncapped_list_cents"`
	AmazonCeilingCents   *int64   `json:"amazon_ceiling_cents,omitempty"`
	SuspiciousRatio      bool     `json:"suspicious_ratio"`
	PeakMonth            int      `json:"peak_month,omitempty"`   // 1 to 12
	TroughMonth          int      `json:"trough_month,omitempty"` // 1 to 12
	TroughPriceCents     *int64   `json:"trough_price_cents,omitempty"`
	SellingPeriod        string   `json:"selling_period,omitempty"`
	LastSaleCents        *int64   `json:"last_sale_cents,omitempty"`
	LastSaleAt           *int64   `json:"last_sale_at,omitempty"` // Keepa minutes
	OneYearAverageCents  int64    `json:"one_year_average_cents"`
	PercentDown          *float64 `json:"percent_down,omitempty"`
	Trend                string   `json:"trend,omitempty"`
	ConfidencePercent    *float64 `json:"confidence_percent,omitempty"`
	SaleCount            int      `json:"sale_count"`
	SalesInYear          int      `json:"sales_in_year"`
	SaleOutliers         int      `json:"sale_outliers"`
	TriggerCount         int      `json:"trigger_count"`
	ExpectedValueCents   *int64   `json:"expected_value_cents,omitempty"`
	ChanceOfSale         *float64 `json:"chance_of_sale,omitempty"`
	EstimatedProfitCents *int64   `json:"estimated_profit_cents,omitempty"` // with default shipping, as the peek saw it

	// Money.
	AllInCostCents    int64    `json:"all_in_cost_cents"`
	TaxCents          int64    `json:"tax_cents"`
	PrepCents         int64    `json:"prep_cents"`
	ReferralCents     int64    `json:"referral_cents"`
	ReferralPercent   float64  `json:"referral_percent"`
	FBAFeeCents       int64    `json:"fba_fee_cents"`
	ClosingFeeCents   *int64   `json:"closing_fee_cents,omitempty"` // as Keepa says; counted only if the settings say so
	FeesAssumed       bool     `json:"fees_assumed"`
	AmazonFeesCents   int64    `json:"amazon_fees_cents"`
	ProfitCents       int64    `json:"profit_cents"`
	MarginPercent     *float64 `json:"margin_percent,omitempty"`
	ROIPercent        *float64 `json:"roi_percent,omitempty"`
	MinimumPriceCents *int64   `json:"minimum_price_cents,omitempty"`

	// Demand.
	Rank              *int64   `json:"rank,omitempty"`
	RankAvg30         *int64   `json:"rank_avg30,omitempty"`
	RankAvg90         *int64   `json:"rank_avg90,omitempty"`
	RankAvg180        *int64   `json:"rank_avg180,omitempty"`
	RankAvg365        *int64   `json:"rank_avg365,omitempty"`
	RankTrendPercent  *float64 `json:"rank_trend_percent,omitempty"`
	RankDrops30       *int64   `json:"rank_drops30,omitempty"`
	RankDrops90       *int64   `json:"rank_drops90,omitempty"`
	RankDrops180      *int64   `json:"rank_drops180,omitempty"`
	RankDrops365      *int64   `json:"rank_drops365,omitempty"`
	MonthlySold       *int64   `json:"monthly_sold,omitempty"`
	UsedOffers        *int64   `json:"used_offers,omitempty"`
	UsedOffersAvg30   *int64   `json:"used_offers_avg30,omitempty"`
	UsedOffersAvg90   *int64   `json:"used_offers_avg90,omitempty"`
	UsedOffersAvg180  *int64   `json:"used_offers_avg180,omitempty"`
	UsedOffersAvg365  *int64   `json:"used_offers_avg365,omitempty"`
	OffersDirection30 string   `json:"offers_direction30,omitempty"` // rising is bad
	NewOffers         *int64   `json:"new_offers,omitempty"`

	// Market prices now and their 365-day averages.
	MarketCents    map[string]int64 `json:"market_cents,omitempty"`     // by price type name
	MarketAvgCents map[string]int64 `json:"market_avg_cents,omitempty"` // the same, 365 days
	AmazonSelling  bool             `json:"amazon_selling"`

	// Provenance; the tokens and the answers are the committer's to add.
	RuleSet     string   `json:"rule_set"`
	Tokens      int      `json:"tokens"`
	ResponseIDs []string `json:"response_ids,omitempty"`
}

// marketTypes are the prices that a deal shows.
var marketTypes = []keepa.PriceType{
	keepa.Amazon, keepa.New, keepa.Used, keepa.ListPrice, keepa.NewFBM, keepa.NewFBA, keepa.BuyBox,
	keepa.UsedLikeNew, keepa.UsedVeryGood, keepa.UsedGood, keepa.UsedAcceptable, keepa.BuyBoxUsed,
}

// Make writes the deal that a commit's view describes; nil where the view has no purchase or no list price.
func (s Settings) Make(row *keepa.DealRow, p *keepa.Product, v View, sellers map[string]keepa.Seller, now time.Time) *Deal {
	if v.Purchase == nil || v.Evidence == nil || v.Evidence.Listing == nil {
		return nil
	}
	d := &Deal{DecidedAt: now.UTC(), PriceType: int(keepa.Used)}
	d.identity(row, p)
	d.buySide(*v.Purchase, sellers)
	d.sellSide(v, s)
	d.money(v, p, s)
	d.demand(v, p.Stats)
	d.MonthlySold = widen(p.MonthlySold)
	d.market(p.Stats)
	return d
}

func (d *Deal) identity(row *keepa.DealRow, p *keepa.Product) {
	domain := p.Domain
	if !domain.Valid() {
		domain = keepa.DomainCom
	}
	d.Domain, d.ASIN, d.CreationDate = int(domain), p.ASIN, int64(row.CreationDate)
	d.FoundAt = row.CreationDate.Time()
	d.URL = "https://www.amazon." + domain.Suffix() + "/dp/" + p.ASIN
	d.KeepaURL = "https://keepa.com/#!product/" + strconv.Itoa(int(domain)) + "-" + p.ASIN
	d.Title, d.Author, d.Brand, d.Manufacturer, d.Binding = p.Title, p.Author, p.Brand, p.Manufacturer, p.Binding
	if d.Title == "" {
		d.Title = row.Title
	}
	d.RootCategory = p.RootCategory
	if d.RootCategory == 0 {
		d.RootCategory = row.RootCategory
	}
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

func (d *Deal) buySide(c Purchase, sellers map[string]keepa.Seller) {
	d.LandedCents, d.PriceCents, d.ShippingCents = c.LandedCents, c.PriceCents, c.ShippingCents
	d.ShippingKnown, d.OfferMatched, d.BuyFBA, d.SellerID = c.ShippingKnown, c.Matched, c.FBA, c.SellerID
	if c.Matched {
		d.Condition = c.Condition.String()
	}
	seller, ok := sellers[c.SellerID]
	if !ok || c.SellerID == "" {
		d.SellerUnknown = true
		return
	}
	d.SellerName, d.SellerRating, d.SellerRatingCount = seller.Name, widen(seller.Rating), widen(seller.Ratings)
	if q, ok := SellerQuality(seller); ok {
		d.SellerQuality = &q
	}
}

func (d *Deal) sellSide(v View, s Settings) {
	e, l := v.Evidence, v.Evidence.Listing
	d.ListPriceCents, d.UncappedListCents, d.ListPriceSource, d.ListPriceCapped = l.Cents, l.Uncapped, l.Source, l.Capped
	d.AmazonCeilingCents, d.SuspiciousRatio = v.AmazonCeiling, e.SuspectRatio
	d.PeakMonth, d.TroughMonth = int(l.PeakMonth), int(l.TroughMonth)
	if l.TroughCents > 0 {
		d.TroughPriceCents = &l.TroughCents
	}
	if l.PeakMonth != 0 {
		d.SellingPeriod = l.PeakMonth.String()
	}
	if e.LastSale != nil {
		at := int64(e.LastSale.At)
		d.LastSaleCents, d.LastSaleAt = &e.LastSale.Cents, &at
	}
	if e.OneYear != nil {
		d.OneYearAverageCents = *e.OneYear
		if down, ok := percent(max(*e.OneYear-d.LandedCents, 0), *e.OneYear); ok {
			d.PercentDown = &down
		}
	}
	d.Trend = string(e.Trend)
	if c, ok := e.Sales.Confidence(); ok {
		d.ConfidencePercent = &c
	}
	d.SaleCount, d.SalesInYear = len(e.Sales.Kept), e.SalesInYear
	d.SaleOutliers, d.TriggerCount = e.Sales.Outliers, e.Sales.Triggers
	d.ExpectedValueCents, d.ChanceOfSale, d.EstimatedProfitCents = v.Expected(s), v.ChanceOfSale, v.LikelyProfit
}

func (d *Deal) money(v View, p *keepa.Product, s Settings) {
	list, f := d.ListPriceCents, v.Fees
	d.AllInCostCents = s.AllInCost(d.LandedCents)
	d.PrepCents = s.PrepCents
	d.TaxCents = d.AllInCostCents - d.LandedCents - s.PrepCents
	d.ReferralCents, d.ReferralPercent = f.Referral(list), float64(f.ReferralBP)/100
	d.FBAFeeCents, d.FeesAssumed, d.AmazonFeesCents = f.FBACents, f.Assumed, f.At(list)
	d.ClosingFeeCents = widen(p.VariableClosingFee)
	d.ProfitCents = s.Profit(list, d.LandedCents, f)
	if m, ok := percent(d.ProfitCents, list); ok {
		d.MarginPercent = &m
	}
	if roi, ok := percent(d.ProfitCents, d.AllInCostCents); ok {
		d.ROIPercent = &roi
	}
	if least, ok := s.MinimumPrice(d.AllInCostCents, f); ok {
		d.MinimumPriceCents = &least
	}
}

func (d *Deal) demand(v View, st *keepa.Stats) {
	d.Rank = v.Rank
	d.RankDrops30, d.RankDrops90, d.RankDrops180, d.RankDrops365 = v.Drops.D30, v.Drops.D90, v.Drops.D180, v.Drops.D365
	d.UsedOffers, d.NewOffers = v.CountUsed, v.CountNew
	if st == nil {
		return
	}
	d.RankAvg30, d.RankAvg90 = price(st.Avg30, keepa.Sales), price(st.Avg90, keepa.Sales)
	d.RankAvg180, d.RankAvg365 = price(st.Avg180, keepa.Sales), price(st.Avg365, keepa.Sales)
	if d.Rank != nil && d.RankAvg30 != nil {
		trend := float64((*d.Rank-*d.RankAvg30)*10_000 / *d.RankAvg30) / 100
		d.RankTrendPercent = &trend
	}
	d.UsedOffersAvg30, d.UsedOffersAvg90 = count(st.Avg30, keepa.CountUsed), count(st.Avg90, keepa.CountUsed)
	d.UsedOffersAvg180, d.UsedOffersAvg365 = count(st.Avg180, keepa.CountUsed), count(st.Avg365, keepa.CountUsed)
	if d.UsedOffers != nil && d.UsedOffersAvg30 != nil {
		d.OffersDirection30 = string(direction(*d.UsedOffersAvg30, *d.UsedOffers))
	}
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
	_, d.AmazonSelling = st.Current.Price(keepa.Amazon)
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
