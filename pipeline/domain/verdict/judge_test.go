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
			if f := j.Commit(row, cheap, nil, cheap.LastUpdate.Time()); f.Deal != nil && f.Deal.SellerID != "" && f.Deal.UsedCents() == int64(price) {
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

func TestTheRatingOfItsSellerDecidesOnACopyAndOnADealThatIsHeld(t *testing.T) {
	t.Parallel()
	j := variant(t, "when: seller_rating < min_seller_rating\n    reason: seller_rating\n    unknown: pass",
		"when: seller_rating < min_seller_rating\n    reason: seller_rating\n    unknown: reject")
	stricter := variant(t, "min_seller_rating: 80", "min_seller_rating: 99")
	row, p := aDeal(t)
	at := p.LastUpdate.Time()
	rated := func(percent int) map[string]keepa.Seller {
		all := map[string]keepa.Seller{}
		for _, o := range p.Offers {
			all[o.SellerID] = keepa.Seller{ID: o.SellerID, Rating: &percent, Ratings: new(1000)}
		}
		return all
	}
	if f := j.Commit(row, p, rated(79), at); f.Outcome != pipeline.Reject || f.RuleID != "seller_rating" || f.Inputs["seller_rating"] != int64(79) {
		t.Errorf("at 79 %%: %s by %s with %v", f.Outcome, f.RuleID, f.Inputs)
	}
	unrated := rated(0)
	for id, s := range unrated {
		s.Ratings = new(int)
		unrated[id] = s
	}
	if f := defaultJudge(t).Commit(row, p, unrated, at); f.Outcome != pipeline.Accept || f.Kept["seller_rating"] != nil {
		t.Errorf("with no ratings at all: %s by %s with %v", f.Outcome, f.RuleID, f.Kept)
	}
	f := j.Commit(row, p, rated(98), at)
	if f.Outcome != pipeline.Accept || f.Kept["seller_rating"] != int64(98) {
		t.Fatalf("at 98 %%: %s by %s with %v", f.Outcome, f.RuleID, f.Kept)
	}
	if again, ok := j.Confirm(f.Deal, row, withoutOffers(p), at); !ok {
		t.Errorf("a deal whose seller has 98 %% is not confirmed: %+v", again)
	}
	if held := stricter.Held(f.Deal, row, withoutOffers(p), at); held.Outcome != pipeline.Reject || held.RuleID != "seller_rating" {
		t.Errorf("held where 99 %% are wanted: %s by %s", held.Outcome, held.RuleID)
	}
}

func TestNothingIsBoughtFromAScammer(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	row, p := aDeal(t)
	at := p.LastUpdate.Time()
	sellers := map[string]keepa.Seller{}
	for range len(p.Offers) + 1 {
		f := j.Commit(row, p, sellers, at)
		if f.Deal == nil {
			break
		}
		if sellers[f.Deal.SellerID].Scammer {
			t.Fatalf("buys from %s", f.Deal.SellerID)
		}
		sellers[f.Deal.SellerID] = keepa.Seller{ID: f.Deal.SellerID, Rating: new(100), Ratings: new(1000), Scammer: true}
	}
	if len(sellers) == 0 {
		t.Fatal("the product is not a deal")
	}
	for _, o := range p.Offers {
		sellers[o.SellerID] = keepa.Seller{ID: o.SellerID, Scammer: true}
	}
	if f := j.Commit(row, p, sellers, at); f.Outcome != pipeline.Reject || f.Reason != "no_offer" {
		t.Errorf("where only scammers sell: %s, %s", f.Outcome, f.Reason)
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
	if f, ok := j.Confirm(d, row, with(func(v keepa.Values) { v[keepa.Sales] *= 3 }), at); !ok || *f.Deal.Rank != 3**d.Rank {
		t.Errorf("nothing was sold since, so the rank got worse, and the deal is not confirmed: %+v", f)
	}
	old := *d
	old.Extraction--
	dearer := *d
	dearer.PriceCents, dearer.LandedCents = d.PriceCents+1, d.LandedCents+1
	for name, c := range map[string]struct {
		stored *deal.Deal
		p      keepa.Product
		at     time.Time
	}{
		"the last used copy was sold":     {d, with(func(v keepa.Values) { v[keepa.Used] = -1 }), at},
		"the used price moved":            {d, with(func(v keepa.Values) { v[keepa.Used]++ }), at},
		"Amazon came in":                  {d, with(func(v keepa.Values) { v[keepa.Amazon] = int(d.LandedCents) }), at},
		"the lowest new price fell":       {d, with(func(v keepa.Values) { v[keepa.New] = int(d.LandedCents) }), at},
		"the rank shows a sale":           {d, with(func(v keepa.Values) { v[keepa.Sales] /= 3 }), at},
		"nothing was sold for two years":  {d, peek, at.AddDate(2, 0, 0)},
		"it rests on an earlier estimate": {&old, peek, at},
		"its copy was not the cheapest":   {&dearer, peek, at},
	} {
		if f, ok := j.Confirm(c.stored, row, c.p, c.at); ok {
			t.Errorf("%s, and the deal is confirmed with a profit of %d", name, f.ProfitCents)
		}
	}
}

// What only a commit finds out is the deal's own: a confirmation that forgot it would be worth more than the commit.
func TestAConfirmationCountsWhatTheCommitFound(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	row, p := aDeal(t)
	at := p.LastUpdate.Time()
	peek := withoutOffers(p)
	for name, change := range map[string]func(*deal.Deal){
		"the Buy Box capped it":        func(d *deal.Deal) { d.CapBy, d.CapCents = deal.ByBuyBox, &d.SalePriceLowCents },
		"its offers were visited late": func(d *deal.Deal) { d.OffersUpdatedAt = new(at.AddDate(0, 0, -30)) },
	} {
		d := *j.Commit(row, p, nil, at).Deal
		change(&d)
		without := peek
		stats := *peek.Stats
		stats.LastOffersUpdate = 0
		without.Stats = &stats
		f, ok := j.Confirm(&d, row, without, at)
		if name == "its offers were visited late" {
			if ok {
				t.Errorf("%s, and it is confirmed", name)
			}
			continue
		}
		if ok && (f.Deal.CapBy != deal.ByBuyBox || f.Deal.SalePriceCents > *d.CapCents) {
			t.Errorf("%s, and it now sells for %d, capped by %q", name, f.Deal.SalePriceCents, f.Deal.CapBy)
		}
	}
	d := j.Commit(row, p, nil, at).Deal
	later := at.AddDate(0, 0, 3)
	visited := *peek.Stats
	visited.LastOffersUpdate = keepa.FromTime(later.Add(-5 * time.Hour))
	peek.Stats = &visited
	if f, ok := j.Confirm(d, row, peek, later); !ok || *f.Deal.OffersAgeHours != 5 || !f.Deal.OffersUpdatedAt.Equal(visited.LastOffersUpdate.Time()) {
		t.Errorf("Keepa visited the offers five hours ago: %t, %+v", ok, f.Deal)
	}
}

func TestAConfirmationCountsShippingAsTheCommitDid(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	row, p := aDeal(t)
	at := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC) // after Keepa's change
	d := *j.Commit(row, p, nil, p.LastUpdate.Time()).Deal
	d.DecidedAt = at
	evidence := func(f deal.ShippingBasis) int64 {
		d.UsedShipping = f
		view, err := j.file.Settings.OfStoredIn(new(deal.Scratch), deal.View{}, &p, &d, at)
		if err != nil || view.Evidence == nil || view.Evidence.Basis != f {
			t.Fatalf("%s: %v", f, err)
		}
		return view.Outcome.SaleCents
	}
	if with, without := evidence(deal.IncludesShipping), evidence(deal.ShippingUnknown); with > without {
		t.Errorf("prices with shipping give %d, without %d", with, without)
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
