package verdict

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/keepa"
)

// aDeal is the first captured product that the commit accepts and whose seller is known, with the row that the
// list would show.
func aDeal(t testing.TB) (keepa.DealRow, keepa.Product) {
	t.Helper()
	j := defaultJudge(t)
	_, products := capturedProducts(t)
	for _, p := range products {
		row := rowOf(p)
		if f := j.Commit(row, p, nil, p.LastUpdate.Time()); f.Deal != nil && f.Deal.SellerID != "" {
			return row, p
		}
	}
	t.Skip("none of the captured products is a deal")
	return keepa.DealRow{}, keepa.Product{}
}

func TestADealSaysWhoSellsItAndWhatItRestsOn(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	row, p := aDeal(t)
	at := p.LastUpdate.Time()
	wanted := j.SellersWanted(p, at)
	if len(wanted) != 1 {
		t.Fatalf("sellers wanted: %v", wanted)
	}
	alone := j.Commit(row, p, nil, at)
	if alone.Deal == nil || !alone.Deal.SellerUnknown || alone.Deal.SellerID != wanted[0] {
		t.Fatalf("without sellers: %+v", alone.Deal)
	}
	rating, ratings := 98, 1000
	d := j.Commit(row, p, map[string]keepa.Seller{wanted[0]: {ID: wanted[0], Name: "Books", Rating: &rating, Ratings: &ratings}}, at).Deal
	if d.SellerUnknown || d.SellerName != "Books" || d.SellerQuality == nil || *d.SellerQuality != 0.969 {
		t.Errorf("with sellers: %+v", d)
	}
	if d.LandedCents != d.PriceCents+d.ShippingCents || !d.OfferMatched || d.AllInCostCents != d.LandedCents+d.TaxCents+275 ||
		d.ProfitCents != d.ListPriceCents-d.AllInCostCents-d.AmazonFeesCents || d.AmazonFeesCents != d.ReferralCents+d.FBAFeeCents {
		t.Errorf("money: %+v", d)
	}
	if d.SaleCount == 0 || d.TriggerCount < d.SaleCount || d.RuleSet != j.Version() || d.OneYearAverageCents == 0 {
		t.Errorf("evidence: %+v", d)
	}
	b, err := json.Marshal(d)
	if err != nil || strings.Contains(string(b), ":-1,") {
		t.Errorf("on the wire: %s, %v", b, err)
	}
}

func TestAHistoryOfAnotherTypeFailsAndIsNotARejection(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	p, err := keepa.DecodeProduct([]byte(`{"asin":"A","csv":[null,null,[1,"x"]]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []Finding{j.Peek(rowOf(p), p, now), j.Commit(rowOf(p), p, nil, now)} {
		if f.Outcome != pipeline.Fail || f.Reason != ReasonUnreadable {
			t.Errorf("got %+v", f)
		}
	}
}

func TestARefreshConfirmsADealWhoseInputsStayed(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	row, p := aDeal(t)
	at := p.LastUpdate.Time()
	d := j.Commit(row, p, nil, at).Deal
	if !j.Confirms(d, row, withoutOffers(p), at) {
		t.Error("nothing moved, and the deal is not confirmed")
	}
	moved := *p.Stats
	moved.Current = slices.Clone(moved.Current)
	moved.Current[keepa.Used]++
	p.Stats = &moved
	if j.Confirms(d, row, withoutOffers(p), at) {
		t.Error("the used price moved, and the deal is confirmed")
	}
}

func TestAMissingHistoryIsNotDecidedBeforeTheCommit(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	drops := 5
	row := keepa.DealRow{ASIN: "A", Current: keepa.Values{-1, -1, 2000, 90_000}, SalesRankDrops365: &drops}
	p := keepa.Product{ASIN: "A", Stats: &keepa.Stats{Current: row.Current}}
	if f := j.Peek(row, p, now); f.Outcome != pipeline.Survive || !slices.Contains(f.Unknown, "sale_count") {
		t.Errorf("peek: %+v", f)
	}
	if f := j.Commit(row, p, nil, now); f.Outcome != pipeline.Reject || f.Reason != "no_history" {
		t.Errorf("commit: %+v", f)
	}
}

func TestARuleFileThatLetsEverythingThroughMakesNoDealOfNothing(t *testing.T) {
	t.Parallel()
	j, err := NewJudge([]byte(oneRule("glance", "rank > 2000000000", "pass")))
	if err != nil {
		t.Fatal(err)
	}
	f := j.Commit(keepa.DealRow{ASIN: "A"}, keepa.Product{ASIN: "A"}, nil, now)
	if f.Outcome != pipeline.Fail || f.Reason != ReasonNoDeal || f.Deal != nil || f.Says == "" {
		t.Errorf("got %+v", f)
	}
}
