package verdict

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/text/foreign"
)

// aDeal returns the first captured product with a known seller that the commit
// accepts once it is cheap enough, with the row that the list would show.
func aDeal(t testing.TB) (keepa.DealRow, keepa.Product) {
	t.Helper()
	j := defaultJudge(t)
	_, products := capturedProducts(t)
	for _, p := range products {
		if p.Stats == nil {
			continue
		}
		used, ok := p.Stats.Current.Price(keepa.Used)
		for price := used; ok && price > 100; price -= 100 {
			cheap := cheaperBy(p, int(used-price))
			row := rowOf(cheap)
			if f := j.Commit(row, cheap, nil, cheap.LastUpdate.Time()); f.Deal != nil && f.Deal.SellerID != "" {
				return row, cheap
			}
		}
	}
	t.Fatal("none of the captured products is a deal at any price")
	return keepa.DealRow{}, keepa.Product{}
}

func TestADealNamesItsSellerAndItsEvidence(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	row, p := aDeal(t)
	at := p.LastUpdate.Time()
	wanted := j.SellerWanted(row, p, nil, nil, at)
	alone := j.Commit(row, p, nil, at)
	if alone.Deal == nil || !alone.Deal.SellerUnknown || alone.Deal.SellerID != wanted {
		t.Fatalf("without sellers, wanted %q: %+v", wanted, alone.Deal)
	}
	rating, ratings := 98, 1000
	d := j.Commit(row, p, map[string]keepa.Seller{wanted: {ID: wanted, Name: foreign.Of("Books"), Rating: &rating, Ratings: &ratings}}, at).Deal
	if d.SellerUnknown || d.SellerName != foreign.Of("Books") || d.SellerQuality == nil || *d.SellerQuality != 0.969 {
		t.Errorf("with sellers: %+v", d)
	}
	if d.LandedCents != d.PriceCents+d.ShippingCents || !d.OfferMatched || d.AllInCostCents != d.LandedCents+d.TaxCents+275+50 ||
		d.ProfitCents != d.SalePriceCents-d.AllInCostCents-d.AmazonFeesCents || d.AmazonFeesCents != d.ReferralCents+d.FBAFeeCents+d.ClosingFeeCents {
		t.Errorf("money: %+v", d)
	}
	if d.SaleCount == 0 || d.FallCount < d.SaleCount || d.RuleSet != j.Version() || len(d.LastSales) == 0 || d.Extraction != deal.Extraction {
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

func TestARefreshConfirmsADealThatTodaysHistoriesStillSupport(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	row, p := aDeal(t)
	at := p.LastUpdate.Time()
	d := j.Commit(row, p, nil, at).Deal
	peek := withoutOffers(p)
	f, ok := j.Confirm(d, row, peek, at)
	if !ok || f.Outcome != pipeline.Confirm || f.Deal == nil || f.Deal.LandedCents != d.LandedCents || f.Deal.SellerID != d.SellerID {
		t.Fatalf("nothing moved, and the deal is not confirmed: %+v", f)
	}
	with := func(change func(values keepa.Values)) keepa.Product {
		moved := *peek.Stats
		moved.Current = slices.Clone(moved.Current)
		change(moved.Current)
		other := peek
		other.Stats = &moved
		return other
	}
	old := *d
	old.Extraction--
	for name, c := range map[string]struct {
		stored *deal.Deal
		p      keepa.Product
		at     time.Time
	}{
		"the used price moved":            {d, with(func(v keepa.Values) { v[keepa.Used]++ }), at},
		"Amazon came in":                  {d, with(func(v keepa.Values) { v[keepa.Amazon] = int(d.LandedCents) }), at},
		"the lowest new price fell":       {d, with(func(v keepa.Values) { v[keepa.New] = int(d.LandedCents) }), at},
		"the rank collapsed":              {d, with(func(v keepa.Values) { v[keepa.Sales] *= 3 }), at},
		"nothing was sold for two years":  {d, peek, at.AddDate(2, 0, 0)},
		"it rests on an earlier estimate": {&old, peek, at},
	} {
		if f, ok := j.Confirm(c.stored, row, c.p, c.at); ok {
			t.Errorf("%s, and the deal is confirmed with a profit of %d", name, f.ProfitCents)
		}
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

func TestARuleFileThatAcceptsEverythingMakesNoDealWithoutACopy(t *testing.T) {
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
