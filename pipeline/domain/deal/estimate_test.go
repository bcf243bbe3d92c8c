package deal

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"ratchet/pipeline/domain/keepa"
)

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance }

// oneSale is a book that was sold once, 180 days ago, for 2000 + 399, and is offered at 2601 since the year began.
func oneSale() Histories {
	return Histories{
		Rank:      line(200*days, 900_000, 180*days, 400_000),
		Used:      line(200*days, 2000, 180*days, 2601),
		CountUsed: line(200*days, 3, 180*days, 2), Known: true,
	}
}

func TestEveryTermOfTheEstimateIsWorkedByHand(t *testing.T) {
	t.Parallel()
	e := new(Scratch).gather(oneSale(), Credit{Cents: 399}, now)
	// A sale of 180 days ago counts half.
	if !near(e.NEff, 0.5, 1e-9) || e.SaleCount != 1 || e.SalesInYear != 1 || e.SaleDays180 != 1 {
		t.Errorf("weight %v of %d sales, %d in a year, %d days with one", e.NEff, e.SaleCount, e.SalesInYear, e.SaleDays180)
	}
	// 0.4 × (1 + 0.5) / 12 = 0.05 a month; 1 − exp(−6 × 0.05) = 0.2592 in six; 20 months.
	if !near(e.PerMonth, 0.05, 1e-12) || !near(e.SaleChance6M(), 0.25918, 1e-5) || !near(e.MonthsToSell(), 20, 1e-9) {
		t.Errorf("per month %v, chance %v, months %v", e.PerMonth, e.SaleChance6M(), e.MonthsToSell())
	}
	// The price asked over the last 180 days is 2601 + 399 = 3000: five points of 0.2 around it, beside 0.5 at 2399.
	if len(e.points) != 6 || !near(math.Exp(e.points[0].log), 2399, 1e-6) || !near(e.points[0].weight, 0.5, 1e-9) {
		t.Fatalf("points %+v", e.points)
	}
	for i, want := range []float64{1581.88, 2313.16, 3000, 3890.79, 5689.44} { // 3000 · exp(0.5 z)
		if p := e.points[i+1]; !near(math.Exp(p.log), want, 0.01) || p.weight != 0.2 {
			t.Errorf("asking point %d at %.2f weighs %v, want %.2f and 0.2", i, math.Exp(p.log), p.weight, want)
		}
	}
	// A cap of 3000 moves the two dearer ones there; Φ(0) = 0.5 for the three of them.
	limit := int64(3000)
	d := e.distribution(1, &limit)
	z := func(p float64) float64 { return 0.5 * math.Erfc(-(math.Log(3000)-math.Log(p))/0.3/math.Sqrt2) }
	want := (0.5*z(2399) + 0.2*z(1581.88) + 0.2*z(2313.16) + 0.6*0.5) / 1.5
	if got := d.Below(3000); !near(got, want, 1e-5) {
		t.Errorf("F(3000) = %v, want %v", got, want)
	}
	// An acceptable copy of a single sale at 2399 sells at 0.92 of that at
	// the median, and at exp(±0.3 × 1.2816) of it in one case of ten.
	alone := (&Evidence{points: e.points[:1]}).distribution(Copy{Matched: true, Condition: keepa.ConditionAcceptable}.factor(), nil)
	for q, want := range map[float64]int64{0.5: 2207, 0.1: 1503, 0.9: 3242} {
		if got := alone.Quantile(q); got != want {
			t.Errorf("quantile %v: %d, want %d", q, got, want)
		}
	}
}

func TestACopySellsByItsCondition(t *testing.T) {
	t.Parallel()
	for c, want := range map[keepa.Condition]float64{
		keepa.ConditionLikeNew: 1.10, keepa.ConditionVeryGood: 1.05, keepa.ConditionGood: 1, keepa.ConditionAcceptable: 0.92,
	} {
		if got := (Copy{Matched: true, Condition: c}).factor(); got != want {
			t.Errorf("%s: %v, want %v", c, got, want)
		}
	}
	if got := (Copy{}).factor(); got != 0.92 {
		t.Errorf("a copy of no offer, which is in any condition: %v", got)
	}
}

func TestSalesOfNewCopiesAndOldSalesDoNotCount(t *testing.T) {
	t.Parallel()
	h := oneSale()
	h.Rank = append(line(1200*days, 900_000, 1096*days, 400_000), h.Rank...)
	h.Used = append(line(1200*days, 9000, 1096*days, 2000), h.Used...)
	h.CountUsed = append(line(1200*days, 4, 1096*days, 3), h.CountUsed...)
	e := new(Scratch).gather(h, Credit{Cents: 399}, now)
	if e.SaleCount != 2 || len(e.points) != 6 || !near(e.NEff, 0.5, 1e-9) {
		t.Errorf("%d sales, %d points, weight %v: one of 1,096 days ago counts", e.SaleCount, len(e.points), e.NEff)
	}
}

func TestWithoutSalesAndPricesNothingIsKnown(t *testing.T) {
	t.Parallel()
	e := new(Scratch).gather(Histories{Known: true}, Credit{Cents: 399}, now)
	if e.Known() || Defaults().outcome(e, 1, nil, NoCeiling, 2000, Fees{}) != nil {
		t.Errorf("an estimate of nothing: %+v", e)
	}
	// Asking prices alone are evidence for a price, without any sale.
	e = new(Scratch).gather(Histories{Known: true, Used: line(400*days, 2000, 170*days, -1)}, Credit{Cents: 399}, now)
	if !e.Known() || e.NEff != 0 {
		t.Errorf("asking prices of the last 180 days: %+v", e)
	}
}

func TestAskingPricesAverageOverTheTimeInWhichThereWereAny(t *testing.T) {
	t.Parallel()
	// 2000 for 80 days of the window, none for 60, 3000 for 40: (80 × 2399 + 40 × 3399) / 120.
	mean, ok := asking(line(300*days, 2000, 100*days, -1, 40*days, 3000), Credit{Cents: 399}, now)
	if want := (80.*2399 + 40*3399) / 120; !ok || !near(mean, want, 1e-6) {
		t.Errorf("mean %v, want %v", mean, want)
	}
	// A price that is in force when Keepa's begins to include shipping lacks it for the time before.
	split := (newIncludesShipping + 30*day).Time()
	one := keepa.Series{{At: newIncludesShipping - 400*day, Value: 2000, Shipping: -1}}
	for basis, want := range map[ShippingBasis]float64{IncludesShipping: 2000 + 399*150./180, ExcludesShipping: 2399} {
		if mean, ok := asking(one, Credit{Cents: 399, Basis: basis}, split); !ok || !near(mean, want, 1e-6) {
			t.Errorf("shipping included %s: mean %v, want %v", basis, mean, want)
		}
	}
	if _, ok := asking(line(300*days, 2000, 180*days, -1), Credit{Cents: 399}, now); ok {
		t.Error("there was no price in 180 days, and a mean of it")
	}
}

func TestTheQuantilesInvertTheDistribution(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var e Evidence
		for range rapid.IntRange(1, 40).Draw(t, "points") {
			cents := rapid.IntRange(50, 50_000).Draw(t, "price")
			e.points = append(e.points, point{math.Log(float64(cents)), rapid.Float64Range(0.001, 1).Draw(t, "weight")})
		}
		var limit *int64
		if rapid.Bool().Draw(t, "capped") {
			cents := int64(rapid.IntRange(100, 20_000).Draw(t, "cap"))
			limit = &cents
		}
		k := rapid.SampledFrom([]float64{0.92, 1, 1.05, 1.1}).Draw(t, "k")
		d := e.distribution(k, limit)
		last := int64(0)
		for _, q := range []float64{0.1, 0.5, 0.9} {
			x := d.Quantile(q)
			if x < last || d.Below(x-1) > q+1e-9 || d.Below(x+1) < q-1e-9 {
				t.Fatalf("quantile %v is %d after %d: F just below %v, just above %v", q, x, last, d.Below(x-1), d.Below(x+1))
			}
			// A lower cap and a worse condition never raise it.
			lower := int64(math.Exp(e.points[0].log))
			if limit != nil {
				lower = min(lower, *limit)
			}
			if worse := e.distribution(0.92, &lower).Quantile(q); worse > x {
				t.Fatalf("capped at %d in an acceptable copy it sells for %d, before for %d", lower, worse, x)
			}
			last = x
		}
	})
}
