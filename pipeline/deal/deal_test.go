package deal

import (
	"testing"
	"time"

	"ratchet/pipeline/keepa"
)

var now = time.Date(2025, 9, 16, 12, 0, 0, 0, time.UTC)

// day is the Keepa minute so many days before now.
func day(n int) keepa.Minute { return keepa.FromTime(now).Add(-time.Duration(n) * 24 * time.Hour) }

func at(m keepa.Minute, v int) keepa.Point { return keepa.Point{At: m, Value: v, Shipping: -1} }

func ptr[T any](v T) *T { return &v }

func TestCostCountsShippingOnceAndTaxOnTheLandedPrice(t *testing.T) {
	t.Parallel()
	s := Defaults()
	for landed, want := range map[int64]int64{2801: 2801 + 140 + 275, 0: 275, 2000: 2000 + 100 + 275, 1990: 1990 + 100 + 275} {
		if got := s.AllInCost(landed); got != want {
			t.Errorf("landed %d: got %d, want %d", landed, got, want)
		}
	}
}

func TestProfitIsListMinusCostMinusAmazonsFees(t *testing.T) {
	t.Parallel()
	s := Defaults()
	f := Fees{ReferralBP: 1500, FBACents: 315}
	if got := s.Profit(6000, 2801, f); got != 6000-3216-900-315 {
		t.Errorf("got %d", got)
	}
	if least, ok := s.MinimumPrice(3216, f); !ok || least != 4708 { // 3531 / 0.75
		t.Errorf("minimum price: got %d, %v", least, ok)
	}
	if _, ok := s.MinimumPrice(3216, Fees{ReferralBP: 9000}); ok {
		t.Error("a minimum price although the percentages leave nothing")
	}
}

func TestUnknownFeesAreDefaultsAndNeverZero(t *testing.T) {
	t.Parallel()
	s := Defaults()
	for name, c := range map[string]struct {
		p    keepa.Product
		want Fees
	}{
		"nothing known":      {keepa.Product{}, Fees{1500, 550, 0, true}},
		"zero and negative":  {keepa.Product{PickAndPackFee: ptr(0), ReferralFeePercent: -1}, Fees{1500, 550, 0, true}},
		"both known":         {keepa.Product{PickAndPackFee: ptr(315), ReferralFeePercent: 15.04}, Fees{1504, 315, 0, false}},
		"below Amazon's own": {keepa.Product{PickAndPackFee: ptr(1), ReferralFeePercent: 1}, Fees{1400, 229, 0, false}},
	} {
		if got := s.FeesOf(&c.p); got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
	s.CountClosingFee = true
	if got := s.FeesOf(&keepa.Product{VariableClosingFee: ptr(180)}); got.ClosingCents != 180 || got.At(1000) != 150+550+180 {
		t.Errorf("closing fee: got %+v", got)
	}
}

// book is a history in which a used offer vanishes at a minute and the rank improves some time later.
func book(trigger keepa.Minute, rankAfter time.Duration) Histories {
	return Histories{
		Known:     true,
		Rank:      keepa.Series{at(trigger-9999, 500_000), at(trigger-5000, 600_000), at(trigger.Add(rankAfter), 300_000)},
		Used:      keepa.Series{at(trigger-9999, 4000)},
		CountUsed: keepa.Series{at(trigger-9999, 5), at(trigger, 4)},
	}
}

func TestASaleIsAVanishedOfferAndABetterRankSoonAfter(t *testing.T) {
	t.Parallel()
	s := Defaults()
	for name, c := range map[string]struct {
		after time.Duration
		sales int
	}{
		"in the same minute":                {0, 1},
		"after 240 hours":                   {240 * time.Hour, 1},
		"later, as the first rank after it": {29 * 24 * time.Hour, 1},
		"after the late limit":              {31 * 24 * time.Hour, 0},
		"before":                            {-time.Minute, 0},
	} {
		got := s.InferSales(book(day(100), c.after), now)
		if len(got.Kept) != c.sales || got.Triggers != 1 {
			t.Errorf("%s: got %d sales of %d triggers, want %d", name, len(got.Kept), got.Triggers, c.sales)
		}
	}
	if got := s.InferSales(book(day(1200), 0), now); got.Triggers != 0 {
		t.Errorf("before the window: got %+v", got)
	}
	if got := s.InferSales(Histories{Known: true, CountUsed: keepa.Series{at(day(9), 2), at(day(8), 1)}}, now); len(got.Kept) != 0 {
		t.Errorf("without a rank: got %+v", got)
	}
}

func TestTheLastOfferVanishingIsATrigger(t *testing.T) {
	t.Parallel()
	h := book(day(100), time.Hour)
	h.CountUsed = keepa.Series{at(day(200), 1), at(day(100), -1)}
	h.Used = append(h.Used, at(day(100), -1))
	got := Defaults().InferSales(h, now)
	if len(got.Kept) != 1 || got.Kept[0].Cents != 4000 || !got.Kept[0].Used {
		t.Errorf("got %+v", got)
	}
}

func TestAWildPriceIsAnOutlier(t *testing.T) {
	t.Parallel()
	var sales []Sale
	for i, c := range []int64{3000, 3100, 3200, 3300, 99_000} {
		sales = append(sales, Sale{At: day(50 - i), Cents: c})
	}
	if kept := Defaults().withoutOutliers(sales); len(kept) != 4 {
		t.Errorf("kept %v", cents(kept))
	}
}

// sold are sales in a month of 2025, one a day.
func sold(m time.Month, prices ...int64) []Sale {
	var sales []Sale
	for i, c := range prices {
		sales = append(sales, Sale{At: keepa.FromTime(time.Date(2025, m, i+1, 0, 0, 0, 0, time.UTC)), Cents: c})
	}
	return sales
}

func TestTheListPriceComesFromThePeakMonth(t *testing.T) {
	t.Parallel()
	s := Defaults()
	for name, c := range map[string]struct {
		sales   []Sale
		ceiling *int64
		want    Listing
	}{
		"one sale": {sold(3, 4000), nil, Listing{Cents: 4000, Uncapped: 4000, Source: FromAllSales, Sales: 1}},
		"most frequent price of the peak": {
			append(sold(1, 5000, 6000, 5000), sold(7, 2000, 2100)...), nil,
			Listing{Cents: 5000, Uncapped: 5000, Source: FromPeakMode, Sales: 5, PeakMonth: 1, TroughMonth: 7, TroughCents: 2050},
		},
		"median of the peak": {
			append(sold(1, 5000, 6000), sold(7, 2000)...), nil,
			Listing{Cents: 5500, Uncapped: 5500, Source: FromPeakMedian, Sales: 3, PeakMonth: 1, TroughMonth: 7, TroughCents: 2000},
		},
		"capped by Amazon": {sold(3, 4000), ptr(int64(3600)), Listing{Cents: 3600, Uncapped: 4000, Source: FromAllSales, Sales: 1, Capped: true}},
	} {
		if got, ok := s.ListAt(c.sales, c.ceiling); !ok || got != c.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, c.want)
		}
	}
	if _, ok := s.ListAt(nil, nil); ok {
		t.Error("a list price without a sale")
	}
}

func TestAmazonsLowestPositivePriceIsTheCeiling(t *testing.T) {
	t.Parallel()
	s := Defaults()
	if got := s.AmazonCeiling(0, 5000, 4000); got == nil || *got != 3600 {
		t.Errorf("got %v", got)
	}
	if got := s.AmazonCeiling(0, -1); got != nil {
		t.Errorf("no Amazon price: got %d", *got)
	}
}

func TestTheOneYearAverageIsTheMeanOfTheLastYearsSales(t *testing.T) {
	t.Parallel()
	sales := Sales{Kept: []Sale{{At: day(400), Cents: 9000}, {At: day(300), Cents: 3000}, {At: day(1), Cents: 4001}}}
	if got, ok := OneYearAverage(sales, now); !ok || got != 3500 {
		t.Errorf("got %d, %v", got, ok)
	}
	if _, ok := OneYearAverage(Sales{Kept: sales.Kept[:1]}, now); ok {
		t.Error("an average without a sale in the year")
	}
}

func TestTheTrendLooksAtMorePricesOfABookThatSellsOften(t *testing.T) {
	t.Parallel()
	h := Histories{Used: keepa.Series{
		at(day(9), 9000), at(day(8), 1000), at(day(7), 2000), at(day(6), 2000), at(day(5), 3000),
	}}
	for rank, want := range map[int64]Direction{50_000: Falling, 2_000_000: Rising} {
		if got, ok := Trend(h, &rank); !ok || got != want {
			t.Errorf("rank %d: got %s, want %s", rank, got, want)
		}
	}
	if _, ok := Trend(Histories{}, nil); ok {
		t.Error("a trend without prices")
	}
}

// offered is a product with a used price and live offers.
func offered(used int, offers ...keepa.Offer) *keepa.Product {
	p := &keepa.Product{OffersAsked: true, Stats: &keepa.Stats{Current: keepa.Values{-1, -1, used}}}
	for i, o := range offers {
		if o.Condition == 0 {
			o.Condition = keepa.ConditionGood
		}
		o.LastSeen = day(1)
		p.Offers = append(p.Offers, o)
		p.LiveOffersOrder = append(p.LiveOffersOrder, i)
	}
	return p
}

func TestTheCheapestLandedUsedOfferIsBought(t *testing.T) {
	t.Parallel()
	s := Defaults()
	for name, c := range map[string]struct {
		p       *keepa.Product
		landed  int64
		known   bool
		matched bool
	}{
		"stated shipping":            {offered(2000, keepa.Offer{Price: ptr(2000), Shipping: ptr(399)}), 2399, true, true},
		"free shipping":              {offered(2000, keepa.Offer{Price: ptr(2000), Shipping: ptr(0)}), 2000, true, true},
		"unknown shipping":           {offered(2000, keepa.Offer{Price: ptr(2000)}), 2399, false, true},
		"unknown shipping by Amazon": {offered(2000, keepa.Offer{Price: ptr(2000), FBA: true}), 2000, false, true},
		"dearer but cheaper at the door": {
			offered(2000, keepa.Offer{Price: ptr(2000), Shipping: ptr(999)}, keepa.Offer{Price: ptr(2200), Shipping: ptr(0)}), 2200, true, true,
		},
		"below Keepa's own lowest": {offered(2000, keepa.Offer{Price: ptr(500), Shipping: ptr(0)}), 2399, false, false},
		"only new offers":          {offered(2000, keepa.Offer{Price: ptr(2000), Shipping: ptr(0), Condition: keepa.ConditionNew}), 2399, false, false},
		"no offer":                 {offered(2000), 2399, false, false},
	} {
		got, ok := s.Buy(c.p, now)
		if !ok || got.LandedCents != c.landed || got.ShippingKnown != c.known || got.Matched != c.matched {
			t.Errorf("%s: got %+v, %v", name, got, ok)
		}
	}
	if _, ok := s.Buy(offered(-1, keepa.Offer{Price: ptr(900), Shipping: ptr(0)}), now); ok {
		t.Error("bought although Keepa says that nothing used is on sale")
	}
}

func TestSellerQualityIsTheLowerEndOfTheWilsonInterval(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rating, count int
		want          float64
	}{{98, 1000, 0.969}, {100, 3, 0.438}, {0, 10, 0}} {
		got, ok := SellerQuality(keepa.Seller{Rating: &c.rating, Ratings: &c.count})
		if !ok || got != c.want {
			t.Errorf("%d %% of %d: got %v, want %v", c.rating, c.count, got, c.want)
		}
	}
	if _, ok := SellerQuality(keepa.Seller{Rating: ptr(98)}); ok {
		t.Error("a quality without a count")
	}
}

func TestTheDefaultsAreValidAndNonsenseIsNamed(t *testing.T) {
	t.Parallel()
	if err := Defaults().Validate(); err != nil {
		t.Error(err)
	}
	s := Defaults()
	s.TaxPercent = 100
	if err := s.Validate(); err == nil || err.Error() != "settings.tax_percent: must be from 0 to below 100" {
		t.Errorf("got %v", err)
	}
}
