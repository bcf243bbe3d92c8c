package target_test

import (
	"math"
	"testing"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/target"
	"ratchet/test/captured/decoded"
)

// day is in Keepa's minutes.
const day = 24 * 60

// books are the captured products with a history of used offers, by ASIN; for a book with several answers the newest.
func books(t *testing.T) map[string]target.History {
	t.Helper()
	out := map[string]target.History{}
	decoded.Products(t, func(_ string, p keepa.Product) {
		h, err := target.Read(&p, target.CreditCents)
		if err != nil {
			t.Fatal(err)
		}
		if p.Domain == keepa.DomainCom && len(h.Count) > 0 && h.End >= out[p.ASIN].End {
			out[p.ASIN] = h
		}
	})
	return out
}

func TestTheCapturedBooksHaveTheSalesOfTheEconomics(t *testing.T) {
	t.Parallel()
	all := books(t)
	for asin, want := range map[string]struct {
		all, inYear int
		nEff        float64
	}{
		"0135048761": {111, 6, 4.40}, "1580626130": {69, 9, 5.79}, "1593694512": {209, 18, 12.53}, "193288436X": {98, 4, 4.21},
		"1954966032": {15, 5, 4.21}, "0593655036": {159, 92, 63.41}, "B0CS6RL7D6": {1, 0, 0.20}, "1496849574": {0, 0, 0},
	} {
		h, ok := all[asin]
		if !ok {
			t.Errorf("%s was not captured", asin)
			continue
		}
		sales, inYear, nEff := h.Sales(), 0, 0.0
		for _, s := range sales {
			age := h.End - s.At
			if age < 365*day {
				inYear++
			}
			if age < 1095*day {
				nEff += math.Pow(0.5, float64(age)/float64(180*day))
			}
		}
		if len(sales) != want.all || inYear != want.inYear || math.Abs(nEff-want.nEff) > 0.00501 {
			t.Errorf("%s: %d sales, %d in a year, n_eff %.2f; want %d, %d, %.2f", asin, len(sales), inYear, nEff, want.all, want.inYear, want.nEff)
		}
	}
}

// atHand are the captured books for which economics.md gives figures, except the bestseller: it sells so
// often, new, that its rank jumps all the time and confirms anything. There may be other captures.
var atHand = []string{"0135048761", "1580626130", "1593694512", "193288436X", "1954966032", "B0CS6RL7D6", "1496849574"}

func TestFallsMovedInTimeAreSeldomConfirmed(t *testing.T) {
	t.Parallel()
	var all target.Control
	found := books(t)
	for _, asin := range atHand {
		h := found[asin]
		c := h.Control()
		p, _ := c.Precision()
		t.Logf("%s: %+v precision %.2f", asin, c, p)
		all = all.Add(c)
	}
	if p, ok := all.Precision(); !ok || p < 0.65 {
		t.Errorf("precision %.2f of %+v: want 0.65 or more", p, all)
	} else {
		t.Logf("precision %.3f of %+v", p, all)
	}
}

func TestTheCapturedBooksHaveTheOccasionsOfTheEconomics(t *testing.T) {
	t.Parallel()
	months, drops := 0, 0
	all := books(t)
	for _, asin := range atHand {
		h := all[asin]
		sales := h.Sales()
		for _, m := range h.Months(sales) {
			if m.Offered {
				months++
			}
		}
		drops += len(h.Drops(sales))
	}
	if months != 266 || drops != 92 {
		t.Errorf("%d month starts and %d drops: want 266 and 92", months, drops)
	}
}
