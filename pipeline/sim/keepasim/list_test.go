package keepasim

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func (b *bench) dealRows(page string) []map[string]any {
	b.t.Helper()
	a := b.ask("/deal", "selection", `{"domainId":1,"priceTypes":[2],"dateRange":3,"sortType":1,"isFilterEnabled":true,"includeCategories":[283155],"page":`+page+`}`)
	deals, ok := a.body["deals"].(map[string]any)
	if !ok {
		b.t.Fatalf("no list: %d %s", a.status, a.raw)
	}
	var out []map[string]any
	for _, r := range deals["dr"].([]any) {
		out = append(out, r.(map[string]any))
	}
	return out
}

func TestTheCensusIsTheListWithoutItsFaults(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Faults: Faults{Order: OrderRandom, Drift: 20, RowsOff: -11 * 365 * 24 * time.Hour, Duplicates: 3}})
	if n := len(b.sim.Census()); n != 0 {
		t.Errorf("%d rows before the first request", n)
	}
	if off := b.dealRows("0")[0]["creationDate"].(float64); off > float64(minute(t0.AddDate(-10, 0, 0))) {
		t.Errorf("a row dated %v is not eleven years off", off)
	}
	census := b.sim.Census()
	if len(census) != 400 || census[0].CreationDate < minute(t0)-7*60 {
		t.Errorf("%d rows, the first %+v", len(census), census[0])
	}
}

func TestAPageNamesRowsTwiceWhenConfigured(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Faults: Faults{Duplicates: 4}})
	rows := b.dealRows("0")
	seen := map[any]int{}
	for _, r := range rows {
		seen[r["asin"]]++
	}
	if len(seen) != 150 || len(rows) <= 150 || len(rows) > 154 {
		t.Errorf("%d rows of %d products", len(rows), len(seen))
	}
}

func TestAListOutageLeavesEverythingElse(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Faults: Faults{Rules: []Rule{ListOutage(time.Hour, 2*time.Hour)}}})
	for at, want := range map[time.Duration]int{0: 200, 90 * time.Minute: 503, 3 * time.Hour: 200} {
		b.now = t0.Add(at)
		w := httptest.NewRecorder()
		b.sim.ServeHTTP(w, httptest.NewRequest(http.MethodGet, `/deal?key=k&selection={"domainId":1,"priceTypes":[2]}`, nil))
		if w.Code != want {
			t.Errorf("after %v: %d, want %d", at, w.Code, want)
		}
		if got := b.ask("/token").status; got != 200 {
			t.Errorf("after %v: /token answers %d", at, got)
		}
	}
}
