package verdict

import (
	"testing"

	"github.com/expr-lang/expr/vm"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
)

func TestARuleThatCannotBeEvaluatedDoesAsForAnUnknownInput(t *testing.T) {
	t.Parallel()
	for unknown, want := range map[string]bool{"reject": true, "pass": false} {
		j, err := NewJudge([]byte(oneRule("peek", "rank > 5", unknown)))
		if err != nil {
			t.Fatal(err)
		}
		rejects, reason, failed := j.file.Rules[0].eval(&vm.VM{}, pipeline.LookPeek, false, map[string]any{"rank": "text"})
		if failed == "" || rejects != want || rejects != (reason != "") {
			t.Errorf("%s: rejects %t with %q, failed %q", unknown, rejects, reason, failed)
		}
	}
}

func TestMeasuringARuleLeavesTheJudgeAsItIs(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	for _, r := range j.file.Rules {
		other := j.Switched(r.ID, false)
		was, _ := j.Rule(r.ID)
		now, _ := other.Rule(r.ID)
		if was.Enabled != r.Enabled || now.Enabled == nil || *now.Enabled || other.Version() == j.Version() {
			t.Errorf("%s: the judge's own rule is %v, the measured one %v", r.ID, was.Enabled, now.Enabled)
		}
	}
}

func TestASellerThatWasAskedForIsNotWanted(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	row, p := aDeal(t)
	at := p.LastUpdate.Time()
	id := j.SellerWanted(row, p, nil, nil, at)
	if id == "" {
		t.Fatal("the deal wants no seller")
	}
	if again := j.SellerWanted(row, p, nil, []string{id}, at); again != "" {
		t.Errorf("%s is asked for again", again)
	}
}

func TestAPriceThatAppearedOrWentHasMoved(t *testing.T) {
	t.Parallel()
	hundred, ninety := int64(100), int64(90)
	for _, c := range []struct {
		was, is *int64
		want    bool
	}{
		{nil, nil, true},
		{nil, &hundred, false},
		{&hundred, nil, false},
		{&hundred, &hundred, true},
		{&hundred, &ninety, true},
		{&ninety, &hundred, false}, // more than ten of a hundred, of ninety
	} {
		if got := within(c.was, c.is, 10); got != c.want {
			t.Errorf("from %v to %v: %t", c.was, c.is, got)
		}
	}
}

func TestARefreshIsConfirmedOnlyWhereNothingMoved(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	cents := func(n int64) *int64 { return &n }
	stored := &deal.Deal{PriceCents: 1000, LandedCents: 1399, MarketCents: map[string]int64{keepa.Used.String(): 1000}, Rank: cents(50_000)}
	beside := &deal.Deal{PriceCents: 1000, LandedCents: 1399, MarketCents: map[string]int64{keepa.Used.String(): 1000, keepa.Amazon.String(): 10_000}}
	for amazon, want := range map[int64]bool{10_500: true, 9500: true, 9400: false, 10_600: false} { // five percent
		if got := j.unmoved(beside, deal.View{Used: cents(1000), Amazon: &amazon}); got != want {
			t.Errorf("Amazon's price went from 10000 to %d: unmoved %t", amazon, got)
		}
	}
	for name, c := range map[string]struct {
		view deal.View
		want bool
	}{
		"nothing moved":         {deal.View{Used: cents(1000), Rank: cents(50_000)}, true},
		"the rank is not known": {deal.View{Used: cents(1000)}, true},
		"the used price moved":  {deal.View{Used: cents(2000), Rank: cents(50_000)}, false},
		"the used price went":   {deal.View{Rank: cents(50_000)}, false},
		"Amazon came in":        {deal.View{Used: cents(1000), Amazon: cents(1100), Rank: cents(50_000)}, false},
		"the rank got worse":    {deal.View{Used: cents(1000), Rank: cents(900_000)}, true}, // nothing was sold
		"the rank halved":       {deal.View{Used: cents(1000), Rank: cents(25_000)}, true},
		"something was sold":    {deal.View{Used: cents(1000), Rank: cents(24_000)}, false},
	} {
		if got := j.unmoved(stored, c.view); got != c.want {
			t.Errorf("%s: unmoved %t", name, got)
		}
	}
	for name, c := range map[string]struct {
		d    deal.Deal
		want bool
	}{
		"the cheapest copy":                      {deal.Deal{PriceCents: 1000, LandedCents: 1399}, true},
		"a dearer one":                           {deal.Deal{PriceCents: 1200, LandedCents: 1200}, false},
		"where the price includes shipping":      {deal.Deal{PriceCents: 601, LandedCents: 1000, UsedShipping: deal.IncludesShipping}, true},
		"a dearer one that includes shipping":    {deal.Deal{PriceCents: 1000, LandedCents: 1399, UsedShipping: deal.IncludesShipping}, false},
		"a deal that was bought without a price": {deal.Deal{}, false},
	} {
		c.d.MarketCents = stored.MarketCents
		if got := j.unmoved(&c.d, deal.View{Used: cents(1000)}); got != c.want {
			t.Errorf("a peek shows the lowest price alone, and the deal's copy is %s: unmoved %t", name, got)
		}
	}
}

// Unreadable offers made an acceptable copy look like new, and alone.
func TestACopyOfNoOfferIsWorthLessThanAnyThatTheOffersShow(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	names, products := capturedProducts(t)
	for i, p := range products {
		if !p.OffersAsked || len(p.Offers) == 0 {
			continue
		}
		at := p.LastUpdate.Time()
		unread := p
		unread.Offers, unread.LiveOffersOrder = nil, nil
		with, without := j.Commit(rowOf(p), p, nil, at), j.Commit(rowOf(p), unread, nil, at)
		if without.Outcome == pipeline.Accept && with.Outcome != pipeline.Accept {
			t.Errorf("%s: %s (%s) by its offers, and a deal that earns %d without them", names[i], with.Outcome, with.Reason, without.ProfitCents)
		}
	}
}
