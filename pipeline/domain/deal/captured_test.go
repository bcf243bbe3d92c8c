package deal

import (
	"math"
	"testing"
	"time"

	"ratchet/pipeline/domain/keepa"
	"ratchet/test/captured/decoded"
)

// counted are the sales of the captured books by the definition in doc.go, and their weight on the day of the capture.
var counted = map[string]struct {
	all, year int
	nEff      float64
}{
	"0135048761": {111, 6, 4.40}, "1580626130": {69, 9, 5.79}, "1593694512": {209, 18, 12.53}, "193288436X": {98, 4, 4.21},
	"1954966032": {15, 5, 4.21}, "0593655036": {159, 92, 63.41}, "B0CS6RL7D6": {1, 0, 0.20}, "1496849574": {0, 0, 0},
}

func TestTheCapturedBooksHaveTheSalesThatWereCounted(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	decoded.Products(t, func(name string, p keepa.Product) {
		want, ok := counted[p.ASIN]
		if !ok || !p.HasHistory() {
			return
		}
		seen[p.ASIN] = true
		h, err := new(Scratch).histories(&p)
		if err != nil {
			t.Fatal(err)
		}
		// Counted as if the day after the capture had brought nothing: no fall is pending.
		at := p.LastUpdate.Time()
		sales := InferSales(h, Credit{Cents: 399}, at.Add(24*time.Hour))
		year := len(sales.Since(365*24*time.Hour, at))
		_, nEff := weighed(sales.All, at)
		if len(sales.All) != want.all || year != want.year || math.Abs(nEff-want.nEff) > 0.005 {
			t.Errorf("%s: %d sales, %d in a year, n_eff %.2f, want %d, %d, %.2f", name, len(sales.All), year, nEff, want.all, want.year, want.nEff)
		}
	})
	if len(seen) != len(counted) {
		t.Errorf("saw %d of %d books", len(seen), len(counted))
	}
}
