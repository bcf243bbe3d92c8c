package keepasim

import "testing"

// TestTheGoodAreGoodAndTheBadAreBad checks the generator, not the estimator: a copy
// of a good book sells for more than it costs, one of a bad book for less.
func TestTheGoodAreGoodAndTheBadAreBad(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	type sum struct{ n, profit, losing int }
	sums := map[Class]*sum{}
	count := func(w Catalogue, asins []string) {
		for _, asin := range asins {
			s, ok := w.Sells(asin, t0)
			class := w.Truth(asin)
			if !ok {
				if class != NoUsedPrice {
					t.Errorf("%s of %s: its sale is unknown", asin, class)
				}
				continue
			}
			if again, _ := w.Sells(asin, t0); again != s {
				t.Errorf("%s sells for %v, and then for %v", asin, s, again)
			}
			if sums[class] == nil {
				sums[class] = &sum{}
			}
			of := sums[class]
			of.n, of.profit = of.n+1, of.profit+s.Profit
			if s.Profit < 0 {
				of.losing++
			}
		}
	}
	backlog := BacklogOf(1, 2000)
	backlog.begin(t0)
	count(backlog, backlog.ASINs())
	living := Living(1, LivingOptions{})
	count(living, living.Listed(t0))
	for class, s := range sums {
		mean, losing := s.profit/s.n, float64(s.losing)/float64(s.n)
		t.Logf("%-16s %4d copies, %5d cents each, %.0f %% lose", class, s.n, mean, 100*losing)
		if class.Bad() && (mean >= 0 || losing < 0.6) {
			t.Errorf("%s is bad, but makes %d cents a copy and loses %.0f %%", class, mean, 100*losing)
		}
		if !class.Bad() && (mean < 300 || losing > 0.2) {
			t.Errorf("%s makes %d cents a copy and loses %.0f %%", class, mean, 100*losing)
		}
	}
}
