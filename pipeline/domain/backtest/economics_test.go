package backtest_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/target"
	"ratchet/pipeline/domain/verdict"
	"ratchet/schemas"
	"ratchet/test/captured/decoded"
)

const day = 24 * time.Hour

// copies are some that could be offered: each a condition, a share of the last used price, and whether another is
// offered beside it.
var copies = []struct {
	condition keepa.Condition
	factor    float64
	share     float64
	beside    bool
}{
	{keepa.ConditionUnknown, 0.92, 0.45, false},
	{keepa.ConditionLikeNew, 1.10, 0.3, true},
	{keepa.ConditionVeryGood, 1.05, 0.5, true},
	{keepa.ConditionGood, 1.00, 0.45, true},
	{keepa.ConditionAcceptable, 0.92, 0.7, false},
}

// differ are the names of the numbers in which the product's estimate and the reference differ. Cents may differ by
// two: the product rounds at each step.
func differ(e Estimate, f verdict.Finding) map[string]string {
	out := map[string]string{}
	if known := f.Estimate != nil; known != e.Known || !known {
		if known != e.Known {
			out["known"] = fmt.Sprintf("%v, want %v", known, e.Known)
		}
		return out
	}
	o := f.Estimate
	for name, c := range map[string]struct{ got, want, within float64 }{
		"sale_price": {float64(o.SaleCents), e.Price, 1}, "low": {float64(o.LowCents), e.Low, 1}, "high": {float64(o.HighCents), e.High, 1},
		"profit": {float64(o.ProfitCents), e.Profit, 2}, "loss_chance": {o.LossChance, e.Loss, 0.002},
		"n_eff": {o.NEffective, e.NEff, 1e-6}, "sale_chance_6m": {o.SaleChance6M, e.Chance, 1e-9}, "months_to_sell": {o.MonthsToSell, e.Months, 1e-6},
	} {
		if !(math.Abs(c.got-c.want) <= c.within) {
			out[name] = fmt.Sprintf("%v, want %v", c.got, c.want)
		}
	}
	// At a threshold the rounding decides.
	near := math.Abs(e.Profit-300) < 3 || math.Abs(e.Loss-0.40) < 0.002 || math.Abs(e.NEff-2) < 1e-6
	if accepted := f.Outcome == pipeline.Accept; accepted && !e.Accepted() && !near {
		out["outcome"] = "accepted, and the reference rejects"
	} else if !accepted && e.Accepted() && !near && estimates[f.RuleID] {
		out["outcome"] = "rejected by " + f.RuleID + ", and the reference accepts"
	}
	return out
}

// estimates are the default rules that judge the estimate; others may reject what it would let pass.
var estimates = map[string]bool{"no_profit": true, "likely_loss": true, "too_few_sales": true}

func TestTheEstimateIsThatOfTheText(t *testing.T) {
	t.Parallel()
	rules, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	compared, accepted, capped := 0, 0, 0
	decoded.Products(t, func(name string, p keepa.Product) {
		if !p.HasHistory() {
			return
		}
		settings := rules.Settings()
		h, err := target.Read(&p, settings.ShippingCents)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		h.LaterCreditCents = settings.ShippingCents // the past knows nothing of today's finding
		walk, err := rules.Walker(p)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// Prime numbers of days and minutes: no instant of the day and no day of the week is preferred.
		first := h.End.Time()
		for _, s := range []keepa.Series{h.Used, h.Count, h.Rank} {
			if len(s) > 0 && s[0].At.Time().Before(first) {
				first = s[0].At.Time()
			}
		}
		n := 0
		for at := h.End.Time(); at.After(first); at = at.Add(-37*day - 101*time.Minute) {
			c := copies[n%len(copies)]
			n++
			used := int64(3000)
			if last, ok := h.Used.At(keepa.FromTime(at)); ok && last.Value > 0 {
				used = int64(last.Value)
			}
			landed := int64(float64(used)*c.share) + settings.ShippingCents
			bought := deal.Copy{
				PriceCents: landed - settings.ShippingCents, ShippingCents: settings.ShippingCents, LandedCents: landed,
				ShippingKnown: true, Matched: true, Condition: c.condition,
			}
			asked := Copy{Condition: c.factor, LandedCents: landed, Commit: true}
			if c.beside {
				next := used + settings.ShippingCents
				bought.NextBestCents, asked.NextBestCents = &next, next
			}
			e := Of(&h, keepa.FromTime(at), asked, Fees(&p))
			found := walk(at, bought)
			for what, says := range differ(e, found) {
				t.Errorf("%s, %s at %s, %+v: %s %s", name, p.ASIN, at.Format(time.RFC3339), c, what, says)
			}
			compared++
			if found.Outcome == pipeline.Accept {
				accepted++
			}
			if found.Estimate != nil && found.Estimate.CapCents != nil {
				capped++
			}
		}
	})
	if compared < 500 || accepted < 20 || capped < 100 {
		t.Errorf("compared %d, accepted %d, capped %d: too few to tell", compared, accepted, capped)
	}
	t.Logf("compared %d, accepted %d, capped %d", compared, accepted, capped)
}

// cheaper is the product with its offers and its used price at a share of what they are. Averages stay.
func cheaper(p keepa.Product, share float64) keepa.Product {
	scaled := func(cents int) int { return int(math.Round(float64(cents) * share)) }
	p.Offers = slices.Clone(p.Offers)
	for i := range p.Offers {
		if price := p.Offers[i].Price; price != nil {
			less := scaled(*price)
			p.Offers[i].Price = &less
		}
	}
	stats := *p.Stats
	stats.Current = slices.Clone(stats.Current)
	if stats.Current[keepa.Used] > 0 {
		stats.Current[keepa.Used] = scaled(stats.Current[keepa.Used])
	}
	p.Stats = &stats
	return p
}

func TestTheWholeDecisionIsThatOfTheText(t *testing.T) {
	t.Parallel()
	rules, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	settings := rules.Settings()
	decided, accepted := 0, 0
	decoded.Products(t, func(name string, whole keepa.Product) {
		if !whole.HasHistory() || !whole.OffersAsked || whole.Stats == nil || whole.Domain != settings.Domain() {
			return
		}
		h, err := target.Read(&whole, settings.ShippingCents)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for percent := 4; percent <= 100; percent += 4 {
			p := cheaper(whole, float64(percent)/100)
			want := Decide(&p, &h, settings.ShippingCents)
			got := rules.Commit(keepa.DealRow{ASIN: p.ASIN}, p, nil, h.End.Time())
			decided++
			at := fmt.Sprintf("%s at %d %%: %s %s by %q", name, percent, got.Outcome, got.Reason, got.RuleID)
			switch {
			case (got.Outcome == pipeline.Accept) != want.Accepted && (want.Accepted == false || estimates[got.RuleID] || got.RuleID == "no_offer"):
				t.Errorf("%s, want accepted %v: %+v", at, want.Accepted, want)
			case got.RuleID == "no_offer" && want.Offered:
				t.Errorf("%s, want %+v", at, want)
			case got.Outcome == pipeline.Accept:
				accepted++
				d := got.Deal
				if d.LandedCents != want.Copy.LandedCents || math.Abs(float64(d.ProfitCents)-want.Profit) > 2 ||
					math.Abs(d.LossChance-want.Loss) > 0.002 || math.Abs(d.NEff-want.NEff) > 0.01 {
					t.Errorf("%s: landed %d, profit %d, loss %.3f, n_eff %.2f; want %+v", at, d.LandedCents, d.ProfitCents, d.LossChance, d.NEff, want)
				}
			}
		}
	})
	if decided < 100 || accepted < 10 {
		t.Errorf("decided %d, accepted %d: too few to tell", decided, accepted)
	}
	t.Logf("decided %d, accepted %d", decided, accepted)
}
