package target

import (
	"compress/gzip"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"ratchet/pipeline/keepa"
	"ratchet/test/captured"
)

// books are the captured products with a history of used offers, by ASIN; of several answers the newest.
func books(t *testing.T) map[string]History {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(captured.Dir(t), "product", "*.json.gz"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captured product: %v", err)
	}
	out := map[string]History{}
	for _, f := range files {
		for _, p := range products(t, f) {
			h, err := Read(&p)
			if err != nil {
				t.Fatal(err)
			}
			if len(h.Count) > 0 && p.Domain == keepa.DomainCom && h.End >= out[p.ASIN].End {
				out[p.ASIN] = h
			}
		}
	}
	return out
}

func products(t *testing.T, file string) []keepa.Product {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if _, ps, err := keepa.DecodeProducts(body); err == nil && len(ps) > 0 {
		return ps
	}
	p, err := keepa.DecodeProduct(body)
	if err != nil {
		return nil // an answer without a product
	}
	return []keepa.Product{p}
}

func TestTheCapturedBooksHaveTheSalesThatEconomicsSays(t *testing.T) {
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
			if age < year {
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

// bestseller sells so often, new, that its rank jumps all the time and confirms anything.
const bestseller = "0593655036"

func TestFallsMovedInTimeAreSeldomConfirmed(t *testing.T) {
	t.Parallel()
	var all Control
	for asin, h := range books(t) {
		if asin == bestseller {
			continue
		}
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

func TestTheCapturedBooksHaveTheOccasionsThatEconomicsSays(t *testing.T) {
	t.Parallel()
	months, drops := 0, 0
	for asin, h := range books(t) {
		if asin == bestseller {
			continue
		}
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
