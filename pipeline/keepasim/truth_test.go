package keepasim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/keepa"
	"ratchet/pipeline/keepasim"
	"ratchet/pipeline/verdict"
	"ratchet/schemas"
)

// TestTheRulesFindTheTruthOfTheLivingWorld decides every listed book at several
// instants with the default rules: the good ones pass every look, the bad ones none.
func TestTheRulesFindTheTruthOfTheLivingWorld(t *testing.T) {
	t.Parallel()
	judge, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	start := now
	world := keepasim.Living(1, keepasim.LivingOptions{Rows: 300})
	sim := keepasim.New(keepasim.Options{Now: func() time.Time { return now }, Rate: 100_000, Catalogue: world})
	sim.Start(now)
	ask := func(path string, form url.Values) []byte {
		form.Set("key", "k")
		form.Set("domain", "1")
		w := httptest.NewRecorder()
		sim.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path+"?"+form.Encode(), nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d: %.200s", path, w.Code, w.Body)
		}
		return w.Body.Bytes()
	}
	query, err := keepa.ParseQuery("used-books", schemas.UsedBooksQuery)
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]int{}
	for _, at := range []time.Duration{0, 9 * time.Hour, 40 * time.Hour, 9 * 24 * time.Hour} {
		now = start.Add(at)
		var rows []keepa.DealRow
		for n := range 2 {
			page, err := keepa.DecodeDealPage(ask("/deal", url.Values{"selection": {string(query.Encode(n))}}))
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, page.Rows...)
		}
		if len(rows) < 280 {
			t.Errorf("after %s the default query lists %d of 290 rows", at, len(rows))
		}
		now = now.Add(50 * time.Minute) // decided later than listed
		for batch := range slices.Chunk(rows, 100) {
			var asins []string
			for _, r := range batch {
				asins = append(asins, r.ASIN)
			}
			products := func(form url.Values) map[string]keepa.Product {
				form.Set("asin", strings.Join(asins, ","))
				_, all, err := keepa.DecodeProducts(ask("/product", form))
				if err != nil {
					t.Fatal(err)
				}
				by := map[string]keepa.Product{}
				for _, p := range all {
					by[p.ASIN] = p
				}
				return by
			}
			peeked := products(url.Values{"stats": {"365"}})
			committed := products(url.Values{"stats": {"365"}, "offers": {"20"}, "only-live-offers": {"1"}})
			for _, r := range batch {
				passed := "glance"
				f := judge.Glance(r, now)
				if f.Outcome == pipeline.Survive {
					passed, f = "peek", judge.Peek(r, peeked[r.ASIN], now)
				}
				if f.Outcome == pipeline.Survive {
					passed, f = "commit", judge.Commit(r, committed[r.ASIN], nil, now)
				}
				class := world.Truth(r.ASIN)
				table[fmt.Sprintf("%-16s %s %s", class, passed, f.Outcome)]++
				if (f.Outcome == pipeline.Accept) == class.Bad() {
					t.Errorf("after %s %s of class %s: %s %s %s %v", at, r.ASIN, class, passed, f.Outcome, f.Reason, f.Inputs)
				}
			}
		}
	}
	for line, n := range table {
		t.Logf("%4d  %s", n, line)
	}
}
