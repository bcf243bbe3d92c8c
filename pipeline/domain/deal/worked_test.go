package deal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/text/foreign"
)

// history returns a product with only one series, in Keepa's encoding.
func history(width int, numbers ...int64) string {
	parts := make([]string, len(numbers))
	for i, n := range numbers {
		parts[i] = fmt.Sprint(n)
	}
	csv := make([]string, width)
	for i := range csv {
		csv[i] = "null"
	}
	csv[keepa.BuyBox] = "[" + strings.Join(parts, ",") + "]"
	return `{"asin":"B000000001","csv":[` + strings.Join(csv, ",") + `]}`
}

// pairs returns a series in Keepa's encoding.
func pairs(h keepa.Series) string {
	var parts []string
	for _, p := range h {
		parts = append(parts, fmt.Sprintf("%d,%d", p.At, p.Value))
	}
	return "[" + strings.Join(parts, ",") + "]"
}

// workedBook is a made-up book whose numbers can be computed by hand: four copies were sold for 6000 +
// 399 within two years, the last 90 days ago; another fall was not a sale, and one was undone.
func workedBook(t *testing.T) keepa.Product {
	t.Helper()
	rank := line(700*days, 700_000, 640*days-60, 500_000, 400*days, 650_000, 360*days-60, 450_000, 200*days, 600_000, 180*days-60, 420_000,
		100*days, 800_000, 90*days-60, 400_000)
	used := line(700*days, 6000, 6*days, 2402)
	count := line(700*days, 9, 640*days, 8, 360*days, 7, 250*days, 6, 249*days-1, 7, 180*days, 6, 150*days, 5, 150*days-60, 6, 90*days, 5)
	csv := []string{"null", "null", pairs(used), pairs(rank), "null", "null", "null", "null", "null", "null", "null", "null", pairs(count)}
	body := fmt.Sprintf(`{"asin":"B000000001","domainId":1,"productType":0,"title":"Worked &amp; Proven","rootCategory":283155,"csv":[%s],`+
		`"fbaFees":{"pickAndPackFee":315},"referralFeePercentage":15.0,"variableClosingFee":180,"monthlySold":4,"offersSuccessful":true,`+
		`"stats":{"current":[-1,7000,2402,400000,-1,-1,-1,-1,-1,-1,-1,2,4],"avg30":[-1,-1,2402,500000],"avg90":[-1,-1,5000],"avg180":[-1,-1,3000],"avg365":[8000,-1,4000],`+
		`"outOfStockPercentage90":[100],"salesRankDrops365":4,"lastOffersUpdate":%d},`+
		`"offers":[{"sellerId":"S1","condition":4,"lastSeen":%d,"isFBA":false,"offerCSV":[%d,2402,299]},`+
		`{"sellerId":"S2","condition":3,"lastSeen":%d,"isFBA":true,"offerCSV":[%d,5800,-1]}],"liveOffersOrder":[0,1]}`,
		strings.Join(csv, ","), before(90), before(days), before(6*days), before(days), before(6*days))
	p, err := keepa.DecodeProduct([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// workedSeller sells the worked book's cheaper copy.
func workedSeller() *keepa.Seller {
	return &keepa.Seller{ID: "S1", Name: foreign.Of("Books"), Rating: ptr(98), Ratings: ptr(1000)}
}

// workedDeal returns the deal of the worked book's cheaper copy.
func workedDeal(t *testing.T) *Deal {
	t.Helper()
	return workedDealUnder(t, Defaults())
}

func workedDealUnder(t *testing.T, s Settings) *Deal {
	t.Helper()
	p := workedBook(t)
	row := keepa.DealRow{ASIN: p.ASIN, CreationDate: before(6 * days), LastUpdate: before(0)}
	view, copies, err := s.OfOffers(s.OfRow(&row, now), &p, now)
	if err != nil || len(copies) != 2 {
		t.Fatalf("copies %+v, %v", copies, err)
	}
	return s.Make(&row, &p, view.With(s, copies[0], workedSeller()), now)
}

func TestADealOfTheSimulatedKeepaHasNoLinks(t *testing.T) {
	t.Parallel()
	row := keepa.DealRow{}
	for _, simulated := range []bool{true, false} {
		p := workedBook(t)
		p.Simulated = simulated
		var d Deal
		d.identity(&row, &p)
		body, err := json.Marshal(d)
		if err != nil || d.Simulated != simulated || strings.Contains(string(body), "amazon.com/") == simulated || strings.Contains(string(body), "keepa.com/") == simulated {
			t.Errorf("simulated is %t: %s, %v", simulated, body, err)
		}
	}
}

func TestEveryNumberOfADealFollowsFromItsAnswer(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(workedDeal(t))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"title": "Worked & Proven", "url": "https://www.amazon.com/dp/B000000001", "extraction": float64(Extraction),

		// Buying: 2402 + 299 at the door.
		"price_cents": 2402., "shipping_cents": 299., "landed_cents": 2701., "shipping_known": true, "offer_matched": true, "buy_fba": false,
		"condition": "good", "seller_name": "Books", "seller_rating": 98., "seller_quality": 0.969, "used_includes_shipping": "no",

		// Selling: 2^(-640/180) + 2^-2 + 2^-1 + 2^-0.5 = 0.085 + 0.25 + 0.5 + 0.707 sales of today.
		"sale_count": 4., "sales_in_year": 3., "sale_days_180": 2., "fall_count": 6., "n_eff": 1.54,
		"last_sales": []any{
			map[string]any{"at": float64(before(90 * days)), "cents": 6399.},
			map[string]any{"at": float64(before(180 * days)), "cents": 6399.},
			map[string]any{"at": float64(before(360 * days)), "cents": 6399.},
		},
		// 0.4 × 3.5 / 12 = 0.1167 a month.
		"months_to_sell": 8.6, "sale_chance_6m": 0.5034,
		// The very good copy for 5800 sells before ours; new is 7000 + 399.
		"next_best_cents": 5800., "cap_cents": 5800., "cap_by": "next_best", "lowest_new_cents": 7399.,

		// Money: tax 5 % of 2701 = 135, preparation 275, inbound 50.
		"tax_cents": 135., "prep_cents": 275., "inbound_cents": 50., "other_cents": 0., "vat_cents": 0., "all_in_cost_cents": 3161.,
		"referral_percent": 15., "fba_fee_cents": 315., "closing_fee_cents": 180., "fees_assumed": false,
		"breakeven_cents": 4301., // (3161 + 315 + 180) / 0.85
		// Keepa's FBA fee is for a book that sells for more than 50 dollars; ours does too.
		"fba_fee_other_band": false,

		// Demand.
		"rank": 400_000., "rank_avg30": 500_000., "rank_trend_percent": -20., "rank_drops365": 4., "monthly_sold": 4.,
		"used_offers": 4., "new_offers": 2., "amazon_selling": false, "amazon_in_stock_90_percent": 0., "offers_age_hours": 1., "offers_ok": true,
	} {
		if !reflect.DeepEqual(got[name], want) {
			t.Errorf("%s: got %v, want %v", name, got[name], want)
		}
	}
}

func TestTheSumOfADealAddsUp(t *testing.T) {
	t.Parallel()
	d := workedDeal(t)
	if d.AmazonFeesCents != d.ReferralCents+d.FBAFeeCents+d.ClosingFeeCents || d.ReferralCents != (d.SalePriceCents*15+50)/100 {
		t.Errorf("fees: %+v", d)
	}
	if d.ProfitCents != d.SalePriceCents-d.VATCents-d.AmazonFeesCents-d.AllInCostCents {
		t.Errorf("profit: %+v", d)
	}
	german := Defaults()
	german.VATPercent = 19
	taxed := workedDealUnder(t, german) // the VAT is in the price: 19 of 119 parts
	if taxed.VATCents != taxed.SalePriceCents-int64(math.Round(float64(taxed.SalePriceCents)/1.19)) ||
		taxed.ProfitCents != taxed.SalePriceCents-taxed.VATCents-taxed.AmazonFeesCents-taxed.AllInCostCents {
		t.Errorf("with VAT: %+v", taxed)
	}
	if !(d.SalePriceLowCents < d.SalePriceCents && d.SalePriceCents < d.SalePriceHighCents && d.ProfitLowCents < d.ProfitCents && d.ProfitCents < d.ProfitHighCents) {
		t.Errorf("range: %+v", d)
	}
	// Of 0.3 around 5800 one in two is below 5800, and F(4301) is about Φ(−1): the cap holds nearly all the weight.
	if d.SalePriceCents < 5000 || d.SalePriceCents > 5800 || d.LossChance < 0.16 || d.LossChance > 0.35 {
		t.Errorf("sells for %d with a chance of %v to lose", d.SalePriceCents, d.LossChance)
	}
}

// Earlier errors, each with the figure that would show it again.
func TestEarlierErrorsDoNotReturn(t *testing.T) {
	t.Parallel()
	s := Defaults()
	// A new price never replaces a used one.
	onlyNew := &keepa.Product{OffersAsked: true, Stats: &keepa.Stats{Current: keepa.Values{-1, 1500, -1}}}
	if got := s.Buying().Copies(onlyNew, ExcludesShipping, now); got != nil {
		t.Errorf("bought new what should be used: %+v", got)
	}
	// Averages of asking prices are not evidence: without histories there is no estimate, whatever their values.
	asked := &keepa.Product{Stats: &keepa.Stats{Current: keepa.Values{-1, -1, 2000, 5}, Avg365: keepa.Values{-1, 140_000, 90_000}}}
	view, err := s.OfProduct(View{}, asked, now)
	if err != nil || view.Evidence != nil || view.ProfitCents() != nil {
		t.Errorf("an estimate out of averages: %+v, %v", view, err)
	}
	// Fees and prices of -1, null or zero are unknown, not money.
	p, err := keepa.DecodeProduct([]byte(`{"asin":"A","fbaFees":{"pickAndPackFee":-1},"referralFeePercentage":null,"stats":{"current":[null,-2,0]}}`))
	if err != nil || s.Selling().FeesOf(&p, 0) != (Fees{1500, 550, 180, true, true, true}) {
		t.Errorf("fees of nothing: %+v, %v", s.Selling().FeesOf(&p, 0), err)
	}
	if got := s.Buying().Copies(&p, ExcludesShipping, now); got != nil {
		t.Errorf("bought at a price of 0: %+v", got)
	}
}

func TestARowExpectsThePaidPartOfTheAskingPrice(t *testing.T) {
	t.Parallel()
	s, drops := Defaults(), 36
	row := keepa.DealRow{ASIN: "A", Current: keepa.Values{-1, -1, 2000, 90_000}, SalesRankDrops365: &drops}
	row.Avg[keepa.NinetyDays] = keepa.Values{-1, -1, 5601}
	v := s.OfRow(&row, now)
	// 0.8 × (5601 + 399) = 4800; less 2399 + 120 + 325, and 720 + 550 + 180.
	if got := v.ProfitCents(); got == nil || *got != 4800-2844-1450 {
		t.Errorf("profit %v", got)
	}
	// 36 drops are 12 sales a year, of which ours would be 0.4 × 12.5 / 12 a month.
	if got := *v.Likely.Chance; !near(got, 0.91792, 1e-5) {
		t.Errorf("chance %v", got)
	}
	worth := *v.ExpectedValueCents()
	row.SalesRankDrops365 = nil
	if unknown := s.OfRow(&row, now); unknown.ExpectedValueCents() != nil {
		t.Errorf("without the drops of its rank it is worth %d", *unknown.ExpectedValueCents())
	}
	row.Current[keepa.Sales] = -1
	if unranked := s.OfRow(&row, now); orZero(unranked.ExpectedValueCents()) != 0 || unranked.ExpectedValueCents() == nil {
		t.Error("without a rank it is worth something")
	}
	row.SalesRankDrops365, row.Current[keepa.Sales] = &drops, 90_000
	row.Current[keepa.Amazon] = 4000
	beside := s.OfRow(&row, now)
	if got := *beside.ProfitCents(); got != 4000-2844-600-550-180 || *beside.ExpectedValueCents() >= worth {
		t.Errorf("beside Amazon: profit %d, expected %d of %d", got, *beside.ExpectedValueCents(), worth)
	}
}

func TestADealThatIsRenewedKeepsItsCopyAndTakesTodaysNumbers(t *testing.T) {
	t.Parallel()
	s, p, stored := Defaults(), workedBook(t), workedDeal(t)
	later := now.AddDate(0, 3, 0)
	row := keepa.DealRow{ASIN: p.ASIN}
	view, err := s.OfProduct(s.OfRow(&row, later), &p, later)
	if err != nil {
		t.Fatal(err)
	}
	d := s.Renew(*stored, &p, view.With(s, stored.Copy(), stored.Seller()), later)
	if d.LandedCents != stored.LandedCents || d.Condition != stored.Condition || d.SellerName != stored.SellerName || d.NextBestCents != stored.NextBestCents {
		t.Errorf("another copy: %+v", d)
	}
	if !d.DecidedAt.Equal(later) || d.NEff >= stored.NEff || d.ProfitCents == stored.ProfitCents {
		t.Errorf("old numbers: %+v", d)
	}
}

func TestADealThatIsRenewedInItsOwnMinuteIsTheSame(t *testing.T) {
	t.Parallel()
	s, p, stored := Defaults(), workedBook(t), workedDeal(t)
	p.Offers, p.OffersAsked, p.LiveOffersOrder = nil, false, nil // as a peek sees it
	row := keepa.DealRow{ASIN: p.ASIN}
	view, err := s.OfStoredIn(new(Scratch), s.OfRow(&row, now), &p, stored, now)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(view.Seller, workedSeller()) {
		t.Errorf("its seller is %+v", view.Seller)
	}
	want := *stored
	want.UsedShipping = ShippingUnknown // found before Keepa's change
	got, err := json.Marshal(s.Renew(*stored, &p, view, now))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := json.Marshal(want); err != nil || !bytes.Equal(got, body) {
		t.Errorf("renewed:\n%s\nwant:\n%s, %v", got, body, err)
	}
}

func TestTheMeansOfARowAreThoseOfTheirWindows(t *testing.T) {
	t.Parallel()
	var row keepa.DealRow
	for window := range row.Avg {
		row.Avg[window] = keepa.Values{-1, -1, 100 + window, 1000 + window}
	}
	v := Defaults().OfRow(&row, now)
	want := Averages{D30: ptr(int64(1000 + keepa.Month)), D90: ptr(int64(1000 + keepa.NinetyDays))}
	if !reflect.DeepEqual(v.RankAvg, want) || orZero(v.UsedAvg90) != int64(100+keepa.NinetyDays) {
		t.Errorf("ranks of 30 and of 90 days are %d and %d, the used price of 90 days is %d", orZero(v.RankAvg.D30), orZero(v.RankAvg.D90), orZero(v.UsedAvg90))
	}
}

func TestWhatACopySellsForDependsOnItsConditionAndOnWhatCapsIt(t *testing.T) {
	t.Parallel()
	s, p := Defaults(), workedBook(t)
	view, copies, err := s.OfOffers(View{}, &p, now)
	if err != nil {
		t.Fatal(err)
	}
	c := copies[0]
	c.NextBestCents = nil
	sale := func(v View, cond keepa.Condition) int64 {
		c.Condition = cond
		return v.With(s, c, nil).Outcome.SaleCents
	}
	good := sale(view, keepa.ConditionGood)
	for cond, k := range map[keepa.Condition]float64{keepa.ConditionAcceptable: 0.92, keepa.ConditionVeryGood: 1.05, keepa.ConditionLikeNew: 1.10} {
		// Only the cap of 7399 for a new copy makes the factor smaller.
		if got := sale(view, cond); float64(got) < float64(good)*min(k, 1)-float64(good)/50 || (got < good) != (k < 1) {
			t.Errorf("%s sells for %d, good for %d", cond, got, good)
		}
	}
	p.Stats = nil
	view.Amazon = ptr(int64(3000)) // as its history says
	if d := s.Make(&keepa.DealRow{}, &p, view.With(s, c, nil), now); !d.AmazonSelling {
		t.Error("without statistics Amazon caps the sale and does not sell it")
	}
	view.Amazon = nil
	for name, change := range map[string]func(*View){
		"the Buy Box":         func(v *View) { v.buyBox = ptr(int64(3000)) },
		"Amazon":              func(v *View) { v.Amazon = ptr(int64(3000)) },
		"the lowest new copy": func(v *View) { v.NewLanded = ptr(int64(3000)) },
	} {
		capped := view
		change(&capped)
		if got := sale(capped, keepa.ConditionGood); got > 3000 {
			t.Errorf("%s costs 3000, and ours sells for %d", name, got)
		}
	}
}
