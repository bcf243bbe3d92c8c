package keepasim

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestThePricesOfABacklogAreTheScenarios(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Rate: 10_000})
	world := b.sim.o.Catalogue.(*Backlog)
	byPrice := map[int]int{}
	classes := map[Class]int{}
	for _, asin := range world.ASINs() {
		byPrice[b.ask("/product", "asin", asin, "offers", "20").num("tokensConsumed")]++
		classes[world.Truth(asin)]++
	}
	if byPrice[6] != 340 || byPrice[8] != 40 || byPrice[12] != 20 {
		t.Errorf("commit prices: %v", byPrice)
	}
	for _, m := range backlogMix {
		if classes[m.class] != m.n {
			t.Errorf("%d of class %s, want %d", classes[m.class], m.class, m.n)
		}
	}
}

func TestWhatAProductCosts(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Rate: 1000})
	all := b.sim.o.Catalogue.(*Backlog).ASINs()
	var plain string
	for _, p := range b.sim.o.Catalogue.(*Backlog).plan {
		if p.extra == 0 && !p.large {
			plain = p.asin
		}
	}
	for _, c := range []struct {
		what   string
		params []string
		cost   int
	}{
		{"a peek", []string{"asin", plain, "stats", "365"}, 1},
		{"a hundred peeks", []string{"asin", strings.Join(all[:100], ","), "history", "0"}, 100},
		{"a rating", []string{"asin", plain, "rating", "1"}, 2},
		{"a buy box and a rating", []string{"asin", plain, "buybox", "1", "rating", "1"}, 4},
		{"a forced refresh", []string{"asin", plain, "update", "0"}, 2},
		{"offers with a rating", []string{"asin", plain, "offers", "20", "rating", "1"}, 6},
		{"offers that are fresh enough", []string{"asin", plain, "offers", "20", "update", "2"}, 5},
		{"offers with stock", []string{"asin", plain, "offers", "20", "stock", "1"}, 8},
		{"an unknown product", []string{"asin", "B000000000", "stats", "365"}, 1},
		{"an unknown product, not to be looked up", []string{"asin", "B000000000", "update", "-1"}, 0},
		{"a malformed ASIN", []string{"asin", `="0006120725"`}, 0},
	} {
		before := b.sim.Account().Balance
		got := b.ask("/product", c.params...)
		if got.num("tokensConsumed") != c.cost || got.num("tokensLeft") != before-c.cost {
			t.Errorf("%s costs %d, want %d", c.what, got.num("tokensConsumed"), c.cost)
		}
	}
	if got := b.ask("/product", "asin", strings.Join(all[:101], ",")); got.status != 400 {
		t.Errorf("101 ASINs: status %d", got.status)
	}
	if got := b.ask("/seller", "seller", amazonSeller+",nobody"); got.num("tokensConsumed") != 1 {
		t.Errorf("one known seller costs %d", got.num("tokensConsumed"))
	}
}

func TestTheListIsPagedAndTheEmptyPageCosts(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	seen := map[string]bool{}
	for page, want := range []int{150, 150, 100, 0} {
		got := b.deals(page, 1)
		rows := rowsOf(got)
		if len(rows) != want || got.num("tokensConsumed") != 5 {
			t.Errorf("page %d: %d rows for %d tokens", page, len(rows), got.num("tokensConsumed"))
		}
		last := 1e12
		good := 0
		for _, r := range rows {
			seen[r["asin"].(string)] = true
			if c := r["creationDate"].(float64); c > last {
				t.Fatalf("page %d is not in the order of creation", page)
			} else {
				last = c
			}
			if age := minute(t0) - int64(last); age < 0 || age > 360 {
				t.Errorf("a row was listed %d minutes before the start", age)
			}
			if b.sim.o.Catalogue.Truth(r["asin"].(string)) == Good {
				good++
			}
		}
		if len(rows) > 0 && good == 0 {
			t.Errorf("page %d has no good row", page)
		}
	}
	if len(seen) != 400 {
		t.Errorf("%d different rows", len(seen))
	}
	count := b.deals(0, 4).body["deals"].(map[string]any)["categoryCount"].([]any)
	if len(count) != 1 || count[0].(float64) != 400 {
		t.Errorf("category counts: %v", count)
	}
}

func TestTheSortTypesSort(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Rate: 1000})
	field := func(r map[string]any, name string) float64 {
		switch name {
		case "rank":
			return r["current"].([]any)[pRank].(float64)
		case "creationDate":
			return -r[name].(float64)
		}
		return -r[name].([]any)[3].([]any)[pUsed].(float64)
	}
	for sort, name := range map[int]string{1: "creationDate", 2: "delta", 3: "rank", 4: "deltaPercent", -4: "deltaPercent"} {
		sign := 1.0
		if sort < 0 {
			sign = -1
		}
		rows := rowsOf(b.deals(0, sort))
		for i := 1; i < len(rows); i++ {
			if sign*field(rows[i-1], name) > sign*field(rows[i], name) {
				t.Fatalf("sort type %d is out of order at %d", sort, i)
			}
		}
	}
}

func TestTheSameQuestionIsCountedAsRepeated(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	a := b.sim.o.Catalogue.(*Backlog).ASINs()[:2]
	b.ask("/product", "asin", a[0]+","+a[1])
	b.ask("/product", "asin", a[1])
	b.ask("/product", "asin", a[1], "offers", "20")
	books := b.sim.Account()
	if again := books.Repeated(); len(again) != 1 || books.Peeks[a[1]] != 2 || books.Commits[a[1]] != 1 {
		t.Errorf("repeated: %v, peeks %v", again, books.Peeks)
	}
	if len(books.Paid) != 3 || books.Paid[2].Before-books.Paid[2].After != books.Paid[2].Cost {
		t.Errorf("paid: %+v", books.Paid)
	}
}

func TestABodyIsCompressedOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{})
	req := httptest.NewRequest(http.MethodGet, "/token?key=k", nil)
	req.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	b.sim.ServeHTTP(w, req)
	z, err := gzip.NewReader(w.Body)
	if err != nil || w.Header().Get("Content-Encoding") != "gzip" {
		t.Fatal(err, w.Header())
	}
	var env envelope
	if err := json.NewDecoder(z).Decode(&env); err != nil || *env.TokensLeft != 300 {
		t.Error(err, env)
	}
	if got := b.ask("/token"); got.num("tokensLeft") != 300 {
		t.Errorf("plain: %s", got.raw)
	}
}

func TestWithoutOffersTheUsedConditionsAreHidden(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Rate: 1000})
	asin := b.sim.o.Catalogue.(*Backlog).ASINs()[0]
	peek := productsOf(b.ask("/product", "asin", asin, "stats", "365"))[0]
	for p, v := range peek["stats"].(map[string]any)["current"].([]any) {
		csv := peek["csv"].([]any)[p]
		if needsOffers(p) && (v.(float64) >= 0 || csv != nil) {
			t.Errorf("type %d shows %v", p, v)
		}
	}
	if peek["offers"] != nil || peek["liveOffersOrder"] != nil {
		t.Error("a peek has offers")
	}
	live := productsOf(b.ask("/product", "asin", asin, "stats", "365", "offers", "20", "only-live-offers", "1"))[0]
	order, offers := live["liveOffersOrder"].([]any), live["offers"].([]any)
	if len(order) == 0 || len(order) != len(offers) {
		t.Errorf("%d live of %d offers", len(order), len(offers))
	}
	for _, o := range offers {
		if n := len(o.(map[string]any)["offerCSV"].([]any)); n == 0 || n%3 != 0 {
			t.Errorf("an offer history of %d numbers", n)
		}
	}
}

// TestScriptedFaults runs each action against a real HTTP client.
func TestScriptedFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		do      Action
		status  int // 0: the call fails
		charged bool
	}{
		{Refuse, 429, false},
		{Fail, 500, false},
		{Cut, 0, true},
		{Partial, 0, true},
		{Malformed, 200, true},
		{Empty, 200, true},
		{NoBalance, 200, true},
		{ZeroBalance, 200, true},
	} {
		t.Run(string(c.do), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, Options{Faults: Faults{Rules: []Rule{{Kind: KindDeal, Times: 1, Do: c.do}}}})
			srv := httptest.NewServer(b.sim)
			defer srv.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/deal?key=k", strings.NewReader(`{"domainId":1,"priceTypes":[2]}`))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			var body []byte
			res, err := srv.Client().Do(req)
			if err == nil {
				body, err = io.ReadAll(res.Body)
				res.Body.Close()
			}
			if c.status == 0 && err == nil || c.status != 0 && (err != nil || res.StatusCode != c.status) {
				t.Errorf("error %v, body %.80s", errors.Unwrap(err), body)
			}
			books := b.sim.Account()
			if got := books.Consumed() == 5; got != c.charged || books.Faults[c.do] != 1 {
				t.Errorf("charged %t, want %t; faults %v", got, c.charged, books.Faults)
			}
			if again := b.deals(0, 1); again.status != 200 {
				t.Errorf("the next call: %d", again.status)
			}
		})
	}
}

func TestAHungCallIsChargedAndNeverAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Faults: Faults{Rules: []Rule{{Do: Hang}}}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the caller gives up
	w := httptest.NewRecorder()
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) || w.Body.Len() != 0 {
			t.Errorf("ends with %v after %d bytes", err, w.Body.Len())
		}
		if n := b.sim.Account().Consumed(); n != 1 {
			t.Errorf("consumed %d", n)
		}
	}()
	asin := b.sim.o.Catalogue.(*Backlog).ASINs()[0]
	b.sim.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/product?key=k&domain=1&asin="+asin, nil))
}

func TestARateChangeMovesTheCapacity(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Tick: time.Minute, Faults: Faults{
		Rates:  []RateChange{{At: 90 * time.Second, Rate: 25}, {At: 10 * time.Minute, Rate: 2}},
		Drains: []Drain{{From: 30 * time.Second, To: 40 * time.Second, Every: time.Minute, Tokens: 100}},
	}})
	b.now = t0.Add(2 * time.Minute) // 300 - 100 + 5 + 25
	if got := b.ask("/token"); got.num("tokensLeft") != 230 || got.num("refillRate") != 25 {
		t.Errorf("%s", got.raw)
	}
	b.now = t0.Add(11 * time.Minute)
	if got := b.ask("/token"); got.num("tokensLeft") != 120 || got.num("refillRate") != 2 {
		t.Errorf("%s", got.raw)
	}
}
