package deal

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/keepa"
)

// on is the Keepa minute of a day.
func on(year int, m time.Month, d int) keepa.Minute {
	return keepa.FromTime(time.Date(year, m, d, 0, 0, 0, 0, time.UTC))
}

// history is a flat series as Keepa writes it.
func history(points ...keepa.Point) string {
	var parts []string
	for _, p := range points {
		parts = append(parts, fmt.Sprintf("%d,%d", p.At, p.Value))
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// workedBook is a made-up book on which every formula can be followed by hand. A used offer vanished five times; the
// rank became better soon after four of them, once in the very same minute, and not at all after the one of May.
func workedBook(t *testing.T) keepa.Product {
	t.Helper()
	csv := []string{
		"null", "null",
		history(at(on(2024, 7, 1), 2600), at(on(2025, 1, 5), 6000), at(on(2025, 4, 1), 4000), at(on(2025, 7, 1), 3000), at(on(2025, 9, 10), 2402)),
		history(at(on(2024, 6, 1), 700_000), at(on(2024, 7, 11), 500_000), at(on(2024, 12, 1), 650_000), at(on(2025, 1, 10), 450_000),
			at(on(2025, 1, 18), 600_000), at(on(2025, 1, 25), 420_000), at(on(2025, 5, 6), 800_000), at(on(2025, 7, 6), 400_000)),
		"null", "null", "null", "null", "null", "null", "null", "null",
		history(at(on(2024, 6, 1), 8), at(on(2024, 7, 10), 7), at(on(2025, 1, 10), 6), at(on(2025, 1, 20), 5), at(on(2025, 5, 1), 4), at(on(2025, 7, 5), 3)),
	}
	used := func(rank, offers int) string {
		return fmt.Sprintf("[-1,-1,2402,%d,-1,-1,-1,-1,-1,-1,-1,2,%d]", rank, offers)
	}
	body := fmt.Sprintf(`{"asin":"B000000001","domainId":1,"productType":0,"title":"Worked &amp; Proven","csv":[%s],`+
		`"fbaFees":{"pickAndPackFee":315},"referralFeePercentage":15.0,"variableClosingFee":180,`+
		`"stats":{"current":%s,"avg30":%s,"avg90":%s,"avg180":[-1,-1,3000],"avg365":[8000,-1,4000],"salesRankDrops365":4},`+
		`"offers":[{"sellerId":"S1","condition":4,"lastSeen":%d,"isFBA":false,"offerCSV":[%d,2402,299]},`+
		`{"sellerId":"S2","condition":3,"lastSeen":%d,"isFBA":true,"offerCSV":[%d,2900,-1]}],"liveOffersOrder":[0,1]}`,
		strings.Join(csv, ","), used(400_000, 4), used(500_000, 5), used(520_000, 6), day(1), day(6), day(1), day(6))
	p, err := keepa.DecodeProduct([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryNumberOfADealFollowsFromItsAnswer(t *testing.T) {
	t.Parallel()
	s, p := Defaults(), workedBook(t)
	row := keepa.DealRow{ASIN: p.ASIN, CreationDate: on(2025, 9, 10), LastUpdate: day(0)}
	view, err := s.OfOffers(s.OfRow(&row), &p, now)
	if err != nil {
		t.Fatal(err)
	}
	rating, ratings := 98, 1000
	d := s.Make(&row, &p, view, map[string]keepa.Seller{"S1": {ID: "S1", Name: "Books", Rating: &rating, Ratings: &ratings}}, now)
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"title": "Worked & Proven", "url": "https://www.amazon.com/dp/B000000001",

		// Buy side: 2402 + 299 is cheaper at the door than Amazon's 2900 with free shipping.
		"price_cents": 2402., "shipping_cents": 299., "landed_cents": 2701., "shipping_known": true, "offer_matched": true, "buy_fba": false,
		"condition": "good", "seller_name": "Books", "seller_quality": 0.969,

		// Sales: 2600 in July 2024, 6000 twice in January, 3000 in July; May's trigger was no sale.
		"sale_count": 4., "trigger_count": 5., "confidence_percent": 80., "sale_outliers": 0., "sales_in_year": 3.,
		"last_sale_cents": 3000., "last_sale_at": float64(on(2025, 7, 5)),

		// January's median 6000 is the highest, July's (2600 + 3000) / 2 the lowest; 6000 occurs twice.
		"peak_month": 1., "trough_month": 7., "trough_price_cents": 2800., "selling_period": "January",
		"list_price_cents": 6000., "list_price_source": FromPeakMode, "list_price_capped": false, "suspicious_ratio": false,
		"amazon_ceiling_cents":   7200., // 0.9 × 8000, Amazon's average of the year; it sells none today
		"one_year_average_cents": 5000., // (6000 + 6000 + 3000) / 3
		"percent_down":           45.98, // (5000 - 2701) / 5000
		"trend":                  "falling",

		// Money: tax 5 % of 2701 = 135, preparation 275.
		"tax_cents": 135., "prep_cents": 275., "all_in_cost_cents": 3111.,
		"referral_cents": 900., "referral_percent": 15., "fba_fee_cents": 315., "amazon_fees_cents": 1215., "fees_assumed": false,
		"closing_fee_cents":      180.,  // shown, and not counted unless the settings say so
		"profit_cents":           1674., // 6000 - 3111 - 1215
		"margin_percent":         27.9,  // 1674 / 6000
		"roi_percent":            53.8,  // 1674 / 3111
		"minimum_price_cents":    4568., // (3111 + 315) / (1 - 0.10 - 0.15)
		"estimated_profit_cents": 1569., // the peek's: 2402 + 399 at the door
		"chance_of_sale":         0.48,  // 0.8 × 3 / (3 + 2)
		"expected_value_cents":   803.,  // 1674 × 0.48

		// Demand.
		"rank": 400_000., "rank_avg30": 500_000., "rank_trend_percent": -20., "rank_drops365": 4.,
		"used_offers": 4., "used_offers_avg30": 5., "offers_direction30": "falling", "new_offers": 2., "amazon_selling": false,
	} {
		if f, ok := got[name].(float64); ok {
			if w, ok := want.(float64); ok && max(f-w, w-f) < 1e-9 {
				continue
			}
		}
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
}

// What went wrong before, each with the figure that would show it again.
func TestThePredecessorsMistakesStayAway(t *testing.T) {
	t.Parallel()
	s := Defaults()

	// Shipping is counted once: by a seller who ships free, and by Amazon.
	free := offered(2000, keepa.Offer{Price: ptr(2000), Shipping: ptr(0)})
	amazon := offered(2000, keepa.Offer{Price: ptr(2000), FBA: true})
	for name, p := range map[string]*keepa.Product{"a seller who ships free": free, "Amazon, which does not state it": amazon} {
		if c, _ := s.Buy(p, now); s.AllInCost(c.LandedCents) != 2000+100+275 {
			t.Errorf("%s: all in %d", name, s.AllInCost(c.LandedCents))
		}
	}
	// Amazon's fees are no part of what the return is measured on.
	f := Fees{ReferralBP: 1500, FBACents: 315}
	profit, cost := s.Profit(10_000, 1000, f), s.AllInCost(1000)
	if roi, ok := percent(profit, cost); !ok || cost != 1325 || profit != 10_000-1325-1815 || roi != 517.73 {
		t.Errorf("return %v on %d", roi, cost)
	}
	// A new price never stands in for a used one.
	onlyNew := &keepa.Product{OffersAsked: true, Stats: &keepa.Stats{Current: keepa.Values{-1, 1500, -1}}}
	if _, ok := s.Buy(onlyNew, now); ok {
		t.Error("bought new what should be used")
	}
	// Averages of asking prices are no evidence: without a sale there is no list price, whatever they say.
	asked := &keepa.Product{Stats: &keepa.Stats{Current: keepa.Values{-1, -1, 2000, 5}, Avg365: keepa.Values{-1, 140_000, 90_000}}}
	view, err := s.OfProduct(View{}, asked, now)
	if err != nil || view.Evidence != nil || view.Profit(s) != nil || view.LikelyProfit != nil {
		t.Errorf("a list price out of asking prices: %+v, %v", view, err)
	}
	// A list price of 35 times the used price is flagged.
	h := book(day(100), time.Hour)
	h.Used = keepa.Series{at(day(200), 70_000)}
	used := int64(2000)
	if e := s.evidence(h, &Memory{}, View{Used: &used}, now); e.Listing == nil || !e.SuspectRatio {
		t.Errorf("35 times the used price is not suspicious: %+v", e.Listing)
	}
	// Fees and prices of -1, null or zero are unknown, not money.
	p, err := keepa.DecodeProduct([]byte(`{"asin":"A","fbaFees":{"pickAndPackFee":-1},"referralFeePercentage":null,"stats":{"current":[null,-2,0]}}`))
	if err != nil || s.FeesOf(&p) != (Fees{1500, 550, 0, true}) {
		t.Errorf("fees of nothing: %+v, %v", s.FeesOf(&p), err)
	}
	if _, ok := s.Buy(&p, now); ok {
		t.Error("bought at a price of 0")
	}
}

func TestQuartilesInterpolateAndFencesIncludeTheirEnds(t *testing.T) {
	t.Parallel()
	sorted := []int64{1000, 2000, 3000, 4000}
	if q1, q3 := quantile(sorted, 0.25), quantile(sorted, 0.75); q1 != 1750 || q3 != 3250 {
		t.Errorf("quartiles %v and %v, want 1750 and 3250", q1, q3)
	}
	var sales []Sale
	for i, c := range []int64{2000, 2000, 3000, 3000, 4500, 4501} { // q1 2250, q3 4125: the upper fence is 6937.5
		sales = append(sales, Sale{At: day(60 - i), Cents: c})
	}
	if kept := Defaults().withoutOutliers(sales); len(kept) != len(sales) {
		t.Errorf("kept %v", cents(kept))
	}
	flat := []Sale{{At: day(9), Cents: 500}, {At: day(8), Cents: 500}, {At: day(7), Cents: 500}, {At: day(6), Cents: 500}, {At: day(5), Cents: 501}}
	if kept := Defaults().withoutOutliers(flat); len(kept) != 4 {
		t.Errorf("beside equal prices another is an outlier: %v", cents(kept))
	}
}

func TestTheSalesPriceIsTheNearestInTimeEitherWay(t *testing.T) {
	t.Parallel()
	prices := keepa.Series{at(day(20), 100), at(day(10), 200), at(day(4), 300)}
	for trigger, want := range map[int]int64{30: 100, 16: 100, 15: 100, 14: 200, 7: 200, 6: 300, 1: 300} {
		if got, ok := nearest(prices, day(trigger)); !ok || got != want {
			t.Errorf("%d days ago: %d, want %d", trigger, got, want)
		}
	}
}

func TestAYearEndsAfter365Days(t *testing.T) {
	t.Parallel()
	sales := Sales{Kept: []Sale{{At: day(365) - 1, Cents: 1}, {At: day(365), Cents: 2000}, {At: day(1), Cents: 3000}}}
	if got, _ := OneYearAverage(sales, now); got != 2500 || len(sales.Since(365*24*time.Hour, now)) != 2 {
		t.Errorf("average %d of %d sales", got, len(sales.Since(365*24*time.Hour, now)))
	}
}

func TestARowsExpectationIsItsBestAverageAtDefaultShippingTimesAChance(t *testing.T) {
	t.Parallel()
	s, drops := Defaults(), 12
	row := keepa.DealRow{ASIN: "A", Current: keepa.Values{-1, -1, 2000, 90_000}, SalesRankDrops365: &drops}
	row.Avg[keepa.NinetyDays] = keepa.Values{-1, -1, 5000}
	v := s.OfRow(&row)
	// 5000 - (2399 + 120 + 275) - (750 + 550) = 906; 12 improvements a year are an even chance.
	if v.LikelyProfit == nil || *v.LikelyProfit != 906 || *v.ChanceOfSale != 0.5 || *v.Expected(s) != 453 {
		t.Errorf("profit %v, chance %v, expected %v", *v.LikelyProfit, *v.ChanceOfSale, *v.Expected(s))
	}
	row.Current[keepa.Amazon] = 4000 // no sale brings more than 3600
	if v := s.OfRow(&row); *v.LikelyProfit != 3600-2794-540-550 || *v.Expected(s) != 0 {
		t.Errorf("beside Amazon: profit %d, expected %d", *v.LikelyProfit, *v.Expected(s))
	}
}
