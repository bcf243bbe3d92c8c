package keepasim_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/schemas"
)

// TestTheRulesFindTheTruthOfTheLivingWorld decides every listed book at several
// instants with the default rules, and compares with the generator's sales of the
// accepted copies: most of the good become deals, and few of the deals lose.
func TestTheRulesFindTheTruthOfTheLivingWorld(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	judge, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	var all outcomes
	for seed := range uint64(6) {
		all.decide(t, judge, seed+1)
	}
	for _, line := range slices.Sorted(maps.Keys(all.table)) {
		t.Logf("%4d  %s", all.table[line], line)
	}
	t.Logf("%d of %d good accepted; of %d accepted %d lose; predicted %d cents each, made %d",
		all.found, all.good, all.accepted, all.losing, all.predicted/int64(all.accepted), all.made/all.accepted)
	if 10*all.found < 8*all.good {
		t.Errorf("of %d good only %d are accepted", all.good, all.found)
	}
	if 3*all.losing > all.accepted || all.made <= 0 {
		t.Errorf("of %d accepted %d lose; they make %d cents together", all.accepted, all.losing, all.made)
	}
	if all.accepted == all.found {
		t.Error("no bad one is ever accepted: the traps do not work")
	}
}

// outcomes are the results of decisions, by the generator.
type outcomes struct {
	table                         map[string]int
	good, found, accepted, losing int
	made                          int   // cents
	predicted                     int64 // cents
}

// decide decides on the list of a living world: at its start, or nine days later.
func (o *outcomes) decide(t *testing.T, judge *verdict.Judge, seed uint64) {
	start := time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)
	now := start
	world := keepasim.Living(seed, keepasim.LivingOptions{Rows: 300})
	sim := keepasim.New(keepasim.Options{Now: func() time.Time { return now }, Rate: 100_000, Catalogue: world})
	sim.Start(now)
	query, err := keepa.ParseQuery("used-books", schemas.UsedBooksQuery)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Duration(seed%2) * 9 * 24 * time.Hour
	now = start.Add(at)
	var rows []keepa.DealRow
	for n := range 2 {
		page, err := keepa.DecodeDealPage(ask(t, sim, "/deal", url.Values{"selection": {string(query.Encode(n))}}))
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, page.Rows...)
	}
	if len(rows) < 270 {
		t.Errorf("after %s the default query lists %d of 290 rows", at, len(rows))
	}
	now = now.Add(50 * time.Minute) // decided later than listed
	for batch := range slices.Chunk(rows, 100) {
		peeked := productsOf(t, sim, batch, url.Values{"stats": {"365"}})
		committed := productsOf(t, sim, batch, url.Values{"stats": {"365"}, "offers": {"20"}, "only-live-offers": {"1"}})
		for _, r := range batch {
			passed := "glance"
			f := judge.Glance(r, now)
			if f.Outcome == pipeline.Survive {
				passed, f = "peek", judge.Peek(r, peeked[r.ASIN], now)
			}
			if f.Outcome == pipeline.Survive {
				passed, f = "commit", judge.Commit(r, committed[r.ASIN], nil, now)
			}
			sold, _ := world.Sells(r.ASIN, now)
			o.count(world.Truth(r.ASIN), passed, f, sold)
		}
	}
}

func (o *outcomes) count(class keepasim.Class, passed string, f verdict.Finding, sold keepasim.Sale) {
	if o.table == nil {
		o.table = map[string]int{}
	}
	o.table[fmt.Sprintf("%-16s %-6s %s", class, passed, f.Reason)]++
	accepted := f.Outcome == pipeline.Accept
	if !class.Bad() {
		o.good++
	}
	if !accepted {
		return
	}
	o.accepted++
	o.made, o.predicted = o.made+sold.Profit, o.predicted+f.ProfitCents
	if !class.Bad() {
		o.found++
	}
	if sold.Profit < 0 {
		o.losing++
	}
}

// ask sends one request to a simulated Keepa.
func ask(t *testing.T, sim http.Handler, path string, form url.Values) []byte {
	t.Helper()
	form.Set("key", "k")
	form.Set("domain", "1")
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path+"?"+form.Encode(), nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: %d: %.200s", path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// productsOf returns the products of rows, by ASIN.
func productsOf(t *testing.T, sim http.Handler, rows []keepa.DealRow, form url.Values) map[string]keepa.Product {
	t.Helper()
	var asins []string
	for _, r := range rows {
		asins = append(asins, r.ASIN)
	}
	form.Set("asin", strings.Join(asins, ","))
	_, all, err := keepa.DecodeProducts(ask(t, sim, "/product", form))
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]keepa.Product{}
	for _, p := range all {
		by[p.ASIN] = p
	}
	return by
}
