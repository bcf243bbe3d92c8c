package keepasim

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline/platform/machinetest"
	fixtures "ratchet/test/captured"
)

var t0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// bench is a simulated Keepa with a clock that the test moves.
type bench struct {
	t   *testing.T
	now time.Time
	sim *Sim
}

// backlog is the list of every bench without one of its own.
var backlog = sync.OnceValue(func() *Backlog { return Backlog400(1) })

func newBench(t *testing.T, o Options) *bench {
	t.Helper()
	b := &bench{t: t, now: t0}
	if o.Catalogue == nil {
		o.Catalogue = backlog()
	}
	o.Now = func() time.Time { return b.now }
	b.sim = New(o)
	b.sim.Start(t0)
	return b
}

// answer is one HTTP answer, decoded as plain JSON.
type answer struct {
	status int
	body   map[string]any
	raw    []byte
}

func (a answer) num(key string) int {
	v, _ := a.body[key].(float64)
	return int(v)
}

// ask sends a request; pairs are parameters.
func (b *bench) ask(path string, pairs ...string) answer {
	b.t.Helper()
	form := url.Values{"key": {"k"}, "domain": {"1"}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	w := httptest.NewRecorder()
	b.sim.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path+"?"+form.Encode(), nil))
	a := answer{status: w.Code, raw: w.Body.Bytes()}
	if err := json.Unmarshal(a.raw, &a.body); err != nil {
		b.t.Fatalf("%s: %v in %.200s", path, err, a.raw)
	}
	return a
}

const usedBooks = `{"page":%d,"domainId":1,"priceTypes":[2],"dateRange":3,"sortType":%d,"isRangeEnabled":true,"isFilterEnabled":true,` +
	`"currentRange":[2000,45100],"deltaPercentRange":[10,100],"salesRankRange":[10000,10000000],"minRating":10,"includeCategories":[283155]}`

func (b *bench) deals(page, sort int) answer {
	b.t.Helper()
	return b.ask("/deal", "selection", fmt.Sprintf(usedBooks, page, sort))
}

func rowsOf(a answer) []map[string]any {
	var out []map[string]any
	for _, r := range a.body["deals"].(map[string]any)["dr"].([]any) {
		out = append(out, r.(map[string]any))
	}
	return out
}

func productsOf(a answer) []map[string]any {
	var out []map[string]any
	for _, p := range a.body["products"].([]any) {
		out = append(out, p.(map[string]any))
	}
	return out
}

// captured reads one captured file as plain JSON.
func captured(t *testing.T, parts ...string) map[string]any {
	t.Helper()
	matches, err := filepath.Glob(filepath.Join(append([]string{fixtures.Dir(t)}, parts...)...))
	if err != nil || len(matches) == 0 {
		machinetest.Lacks(t, "no capture matches %q", strings.Join(parts, "/"))
	}
	f, err := os.Open(matches[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(matches[0], ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	var v map[string]any
	if err := json.NewDecoder(r).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "bool"
	case float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	}
	return "object"
}

// sameShape compares keys and JSON kinds; null matches everything. optional are keys that a real answer may lack too.
func sameShape(t *testing.T, what string, real, ours map[string]any, optional ...string) {
	t.Helper()
	skip := " " + strings.Join(optional, " ") + " "
	for k, v := range real {
		got, ok := ours[k]
		switch {
		case strings.Contains(skip, " "+k+" "):
		case !ok:
			t.Errorf("%s: lacks %q (%s)", what, k, kind(v))
		case kind(v) != kind(got) && v != nil && got != nil:
			t.Errorf("%s: %q is %s, really %s", what, k, kind(got), kind(v))
		}
	}
	for k := range ours {
		if _, ok := real[k]; !ok && !strings.Contains(skip, " "+k+" ") {
			t.Errorf("%s: has %q, which the real one does not", what, k)
		}
	}
}
