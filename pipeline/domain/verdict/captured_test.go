package verdict

import (
	"bytes"
	"compress/gzip"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/platform/machinetest"
	"ratchet/schemas"

	"ratchet/test/captured"
)

func defaultJudge(t testing.TB) *Judge {
	t.Helper()
	j, err := NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// capturedFiles returns the real answers that match a pattern, by name.
func capturedFiles(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	dir := captured.Dir(t)
	names, _ := filepath.Glob(filepath.Join(dir, pattern))
	if len(names) == 0 {
		machinetest.Lacks(t, "no captured answers %s at %s: set KEEPA_FIXTURES", pattern, dir)
	}
	all := map[string][]byte{}
	for _, name := range names {
		packed, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		if all[filepath.Base(name)], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// capturedProducts returns the real products, in the order of their files' names.
func capturedProducts(t testing.TB) (names []string, products []keepa.Product) {
	t.Helper()
	bodies := capturedFiles(t, "product/*.gz")
	for _, name := range slices.Sorted(maps.Keys(bodies)) {
		body := bodies[name]
		if _, raws, err := keepa.SplitProducts(body); err == nil && len(raws) > 0 {
			body = raws[0].Body
		}
		p, err := keepa.DecodeProduct(body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		names, products = append(names, name), append(products, p)
	}
	return names, products
}

// rowOf returns the deal-list row that Keepa would show of a product.
func rowOf(p keepa.Product) keepa.DealRow {
	row := keepa.DealRow{ASIN: p.ASIN, Title: p.Title, RootCategory: p.RootCategory, LastUpdate: p.LastUpdate, CreationDate: p.LastPriceChange}
	if st := p.Stats; st != nil {
		row.Current = st.Current
		row.Avg[keepa.Month], row.Avg[keepa.NinetyDays] = st.Avg30, st.Avg90
		row.SalesRankDrops30, row.SalesRankDrops90 = st.SalesRankDrops30, st.SalesRankDrops90
		row.SalesRankDrops180, row.SalesRankDrops365 = st.SalesRankDrops180, st.SalesRankDrops365
	}
	return row
}

// checkTotal fails unless the finding is complete.
func checkTotal(t testing.TB, name string, f Finding) {
	t.Helper()
	if f.Reason == "" || f.Outcome == "" || f.Tier == "" {
		t.Errorf("%s: incomplete finding %+v", name, f)
	}
	if (f.Outcome == pipeline.Reject) != (f.RuleID != "") {
		t.Errorf("%s: outcome %s with rule %q", name, f.Outcome, f.RuleID)
	}
	if (f.Outcome == pipeline.Accept) != (f.Deal != nil) {
		t.Errorf("%s: outcome %s with deal %v", name, f.Outcome, f.Deal != nil)
	}
}

func TestEveryCapturedRowGetsExactlyOneFinding(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	shares, rows := map[string]int{}, 0
	for name, body := range capturedFiles(t, "deal/*.gz") {
		page, err := keepa.DecodeDealPage(body)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, row := range page.Rows {
			f := j.Glance(row, page.At())
			checkTotal(t, row.ASIN, f)
			shares[string(f.Outcome)+" "+f.Reason+" tier "+string(f.Tier)]++
			rows++
		}
	}
	for _, key := range slices.Sorted(maps.Keys(shares)) {
		t.Logf("%6d of %d rows: %s", shares[key], rows, key)
	}
}

func TestEveryCapturedProductGetsExactlyOneFinding(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	names, products := capturedProducts(t)
	for i, p := range products {
		row, now := rowOf(p), p.LastUpdate.Time().Add(time.Hour)
		glance, peek, commit := j.Glance(row, now), j.Peek(row, p, now), j.Commit(row, p, nil, now)
		for _, f := range []Finding{glance, peek, commit} {
			checkTotal(t, names[i], f)
		}
		t.Logf("%-70s glance %s/%s peek %s/%s (likely %d) commit %s/%s (%d) ev %d tier %s", names[i], glance.Outcome, glance.Reason,
			peek.Outcome, peek.Reason, peek.ProfitCents, commit.Outcome, commit.Reason, commit.ProfitCents, commit.ExpectedValueCents, commit.Tier)
		if views, err := j.copies(&row, &p, nil, now); err == nil && views[0].Evidence != nil {
			ev := views[0].Evidence
			t.Logf("    sales %d of %d falls, %d in a year, n_eff %.2f, outcome %+v, copy %+v of %d", ev.SaleCount, ev.Falls, ev.SalesInYear, ev.NEff, views[0].Outcome, views[0].Copy, views[0].Copies)
		}
		checkSuperset(t, names[i], glance, peek, commit)
	}
}

// checkSuperset is the law that a cheap look never rejects what the commit accepts.
func checkSuperset(t testing.TB, name string, glance, peek, commit Finding) {
	t.Helper()
	if commit.Outcome != pipeline.Accept {
		return
	}
	for look, f := range map[string]Finding{"glance": glance, "peek": peek} {
		if f.Outcome != pipeline.Survive && !f.Heuristic {
			t.Errorf("%s: the commit accepts, the %s rejects: %s %v", name, look, f.Reason, f.Inputs)
		}
	}
}
