package keepasim

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	fixtures "ratchet/test/captured"
)

// TestStatisticsComeFromTheHistories recomputes them minute by minute from the
// csv of the answer.
func TestStatisticsComeFromTheHistories(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Rate: 1000})
	for _, asin := range b.sim.o.Catalogue.(*Backlog).ASINs()[:12] {
		p := productsOf(b.ask("/product", "asin", asin, "stats", "365", "offers", "20"))[0]
		st, now := p["stats"].(map[string]any), int64(p["lastUpdate"].(float64))
		for i, raw := range p["csv"].([]any) {
			if raw == nil {
				continue
			}
			for key, days := range map[string]int64{"avg30": 30, "avg90": 90, "avg365": 365} {
				got := int(st[key].([]any)[i].(float64))
				if want := slowMean(raw.([]any), isTriple(i), now-days*day, now); got != want {
					t.Errorf("%s: %s of type %d is %d, recomputed %d", asin, key, i, got, want)
				}
			}
		}
		if got, want := int(st["salesRankDrops365"].(float64)), slowDrops(p["csv"].([]any)[pRank].([]any), now-365*day); got != want {
			t.Errorf("%s: %d rank drops, recomputed %d", asin, got, want)
		}
	}
}

func slowMean(csv []any, triple bool, from, to int64) int {
	step := 2
	if triple {
		step = 3
	}
	var sum, n int64
	for i := 0; i < len(csv); i += step {
		v := int64(csv[i+1].(float64))
		if triple && v >= 0 {
			v += max(0, int64(csv[i+2].(float64)))
		}
		end := to
		if i+step < len(csv) {
			end = int64(csv[i+step].(float64))
		}
		for m := max(from, int64(csv[i].(float64))); m < min(end, to) && v >= 0; m++ {
			sum, n = sum+v, n+1
		}
		if n == 0 && i+step >= len(csv) && v >= 0 { // it began this minute
			return int(v)
		}
	}
	if n == 0 {
		return -1
	}
	return int(sum / n)
}

func slowDrops(csv []any, from int64) (n int) {
	for i := 2; i < len(csv); i += 2 {
		if int64(csv[i].(float64)) > from && csv[i+1].(float64) < csv[i-1].(float64) {
			n++
		}
	}
	return n
}

func TestRowAndProductAgree(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Rate: 1000})
	for _, r := range rowsOf(b.deals(0, 1)) {
		p := productsOf(b.ask("/product", "asin", r["asin"].(string), "stats", "90"))[0]
		st := p["stats"].(map[string]any)
		cur := r["current"].([]any)
		for _, i := range []int{pAmazon, pNew, pUsed, pRank, pList, pCountNew, pCountUsed} {
			if a, b := cur[i], st["current"].([]any)[i]; a != b {
				t.Errorf("%s: type %d is %v in the row, %v in the product", r["asin"], i, a, b)
			}
		}
		if r["creationDate"] != r["currentSince"].([]any)[pUsed] {
			t.Errorf("%s: creationDate is not the start of the used price", r["asin"])
		}
		for i := range priceTypes {
			c, avg := cur[i].(float64), r["avg"].([]any)[3].([]any)[i].(float64)
			d := r["deltaPercent"].([]any)[3].([]any)[i].(float64)
			if c > 0 && avg > 0 && d != max(-1000, math.Floor((avg-c)*100/avg+0.5)) {
				t.Errorf("%s: percentage of type %d is %v for %v and %v", r["asin"], i, d, avg, c)
			}
		}
	}
}

func TestABacklogProductIsAboutTwentyKilobytes(t *testing.T) {
	t.Parallel()
	b := newBench(t, Options{Rate: 1000})
	sum := 0
	all := b.sim.o.Catalogue.(*Backlog).ASINs()
	for _, a := range all {
		sum += len(b.ask("/product", "asin", a, "stats", "365").raw)
	}
	if mean := sum / len(all); mean < 17_000 || mean > 23_000 {
		t.Errorf("mean product body %d bytes", mean)
	} else {
		t.Logf("mean product body %d bytes", mean)
	}
}

func TestTheSameSeedIsTheSameWorld(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	a, b, other := Living(3, LivingOptions{}), Living(3, LivingOptions{}), Living(4, LivingOptions{})
	a.list(t0) // what was asked before makes no difference
	x, y := a.list(t0.Add(50*time.Hour)), b.list(t0.Add(50*time.Hour))
	for i := range x {
		if string(x[i].body()) != string(y[i].body()) {
			t.Fatalf("slot %d differs:\n%s\n%s", i, x[i].body(), y[i].body())
		}
	}
	if other.Listed(t0)[100] == a.Listed(t0)[100] {
		t.Error("another seed lists the same book")
	}
}

// TestTheLivingListChurnsAsMeasured compares with real sweeps of about 750 rows.
func TestTheLivingListChurnsAsMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	for _, c := range []struct {
		after                time.Duration
		common, changed, old [2]int // old: new rows that enter with a creationDate before the first look
	}{
		{62 * time.Minute, [2]int{700, 745}, [2]int{25, 65}, [2]int{0, 15}},
		{181 * time.Minute, [2]int{650, 720}, [2]int{80, 150}, [2]int{2, 30}},
		{488 * time.Minute, [2]int{580, 660}, [2]int{140, 230}, [2]int{10, 45}},
		{1612 * time.Minute, [2]int{520, 620}, [2]int{180, 260}, [2]int{15, 60}},
	} {
		w := Living(1, LivingOptions{})
		before := map[string]int64{}
		for _, r := range w.list(t0) {
			before[r.ASIN] = r.CreationDate
		}
		common, changed, old := 0, 0, 0
		for _, r := range w.list(t0.Add(c.after)) {
			was, ok := before[r.ASIN]
			switch {
			case !ok && r.CreationDate < minute(t0):
				old++
			case ok:
				common++
				if was != r.CreationDate {
					changed++
				}
			}
		}
		t.Logf("after %s: %d common, %d changed, %d entered old", c.after, common, changed, old)
		for what, v := range map[string][3]int{
			"common":  {common, c.common[0], c.common[1]},
			"changed": {changed, c.changed[0], c.changed[1]},
			"old":     {old, c.old[0], c.old[1]},
		} {
			if v[0] < v[1] || v[0] > v[2] {
				t.Errorf("after %s: %d %s, want %d to %d", c.after, v[0], what, v[1], v[2])
			}
		}
	}
}

func TestEveryListedBookCanBeBought(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	w := Living(2, LivingOptions{Rows: 200})
	good := 0
	for h := range 30 {
		now := t0.Add(time.Duration(h) * 7 * time.Hour)
		for _, r := range w.list(now) {
			p, ok := w.find(r.ASIN, now)
			if !ok || p.creation() != r.CreationDate {
				t.Fatalf("%s at %s: found %t", r.ASIN, now, ok)
			}
			if r.CreationDate > minute(now) || r.LastUpdate > minute(now) || r.LastUpdate < r.CreationDate {
				t.Fatalf("%s: created %d, updated %d, now %d", r.ASIN, r.CreationDate, r.LastUpdate, minute(now))
			}
			if w.Truth(r.ASIN) == Good {
				good++
			}
		}
	}
	if share := float64(good) / 6000; share < 0.02 || share > 0.09 {
		t.Errorf("%.1f %% are good", 100*share)
	}
	if _, ok := w.find("B00AAAAAAA", t0); ok {
		t.Error("an ASIN of another world is found")
	}
}

func TestAnISBNLeadsBackToItsNumber(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n, seed := rapid.Int64Range(0, isbnSpace-1).Draw(t, "n"), rapid.Uint64().Draw(t, "seed")
		if got, ok := isbnNumber(seed, isbn(seed, n)); !ok || got != n {
			t.Fatalf("%d comes back as %d", n, got)
		}
	})
}

func TestCapturedSweepsAreServedFromTheirCaptureOn(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	c, err := Captured(fixtures.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, now: c.Epoch()}
	b.sim = New(Options{Now: func() time.Time { return b.now }, Catalogue: c, Rate: 1000})
	b.sim.Start(c.Epoch())
	for i, at := range c.Sweeps() {
		b.now = at
		total, last := 0, 1e12
		for page := 0; ; page++ {
			rows := rowsOf(b.deals(page, 1))
			for _, r := range rows {
				if v := r["creationDate"].(float64); v > last {
					t.Fatal("not in the order of creation")
				} else {
					last = v
				}
				p := productsOf(b.ask("/product", "asin", r["asin"].(string), "stats", "90"))[0]
				if got, want := p["stats"].(map[string]any)["current"].([]any)[pUsed], r["current"].([]any)[pUsed]; c.products[r["asin"].(string)] == nil && got != want {
					t.Errorf("%s: used price %v in the product, %v in the row", r["asin"], got, want)
				}
			}
			if total += len(rows); len(rows) < pageRows {
				break
			}
		}
		if want := len(c.sweeps[i].rows); total != want || want == 0 {
			t.Errorf("sweep %d: %d rows, want %d", i, total, want)
		}
	}
	if b.sim.Account().Synthetic == 0 {
		t.Error("no product was counted as synthetic")
	}
	for asin := range c.products {
		for _, params := range [][]string{{"asin", asin, "stats", "365"}, {"asin", asin, "stats", "365", "offers", "20"}} {
			if p := productsOf(b.ask("/product", params...)); len(p) != 1 || p[0]["asin"] != asin {
				t.Errorf("%s: %d products", asin, len(p))
			}
		}
	}
}
