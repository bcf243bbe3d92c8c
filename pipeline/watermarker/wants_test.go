package watermarker_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/watermarker"
	"ratchet/schemas"
	"ratchet/test/desk"
)

// queries is a directory with the same query under these names.
func queries(t *testing.T, names ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.WriteFile(filepath.Join(dir, name+".json"), schemas.UsedBooksQuery, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// wanters are the names of the queries on the newest deal of every ASIN.
func wanters(t *testing.T, d *desk.Desk) map[string]string {
	t.Helper()
	out := map[string]string{}
	type wanted struct {
		deal.Deal
		Queries []string `json:"queries"`
	}
	if err := bus.ScanJSON(t.Context(), d.Bus, pipeline.StreamDeals, bus.From{Newest: true}, func(_ bus.Read, v wanted) error {
		var names []string
		for _, q := range v.Queries {
			name, _, _ := strings.Cut(q, "@")
			names = append(names, name)
		}
		out[v.ASIN] = strings.Join(names, "+")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestACandidateOfSeveralQueriesIsDecidedOnceAndNamesThemAllEvenALateOne(t *testing.T) {
	if testing.Short() {
		t.Skip("decides 400 rows with every daemon")
	}
	t.Parallel()
	d := desk.New(t, 300)
	for _, s := range pipeline.Stages() {
		d.Grant(t, s, credit)
	}
	good := d.ASINs(keepasim.Good)
	d.Run(t, peeker.Run, nil)
	d.Run(t, committer.Run, nil)
	stop := d.Run(t, watermarker.Run, map[string]string{"QUERIES": queries(t, "first", "second")})
	desk.Await(t, "every deal to name both queries", func() bool {
		w := wanters(t, d)
		return len(w) == len(good) && !slices.ContainsFunc(good, func(asin string) bool { return w[asin] != "first+second" })
	})
	stop()
	// A third comes after everything is decided.
	d.Run(t, watermarker.Run, map[string]string{"QUERIES": queries(t, "first", "second", "third")})
	desk.Await(t, "every deal to name the third as well", func() bool {
		w := wanters(t, d)
		return !slices.ContainsFunc(good, func(asin string) bool { return w[asin] != "first+second+third" })
	})
	for id, n := range candidates(t, d) {
		if n != 1 {
			t.Errorf("work %s was offered %d times", id, n)
		}
	}
	for _, asin := range good {
		if n := d.Sim.Account().Peeks[asin]; n != 1 {
			t.Errorf("%s was peeked at %d times", asin, n)
		}
	}
	for _, name := range []string{"first", "second", "third"} {
		kv, err := d.Bus.Store(t.Context(), pipeline.BucketWatermarks)
		if err != nil {
			t.Fatal(err)
		}
		if raw, _, err := bus.NewCell(kv, pipeline.KeyWatermark(1, name)).Read(t.Context()); err != nil || !strings.Contains(string(raw), `"query":"`+name+"@") {
			t.Errorf("the watermark of %s: %s, %v", name, raw, err)
		}
	}
}

func TestAQueryThatKeepaWouldMisreadIsRefusedWithFileAndField(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	dir := queries(t, "fine")
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte(`{"domainId":1,"priceTypes":[2],"dateRange":"3","sortType":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	env := d.Settings(map[string]string{"QUERIES": dir})
	err := watermarker.Run(t.Context(), env)
	if err == nil || !strings.Contains(err.Error(), "bad.json") || !strings.Contains(err.Error(), "dateRange") {
		t.Errorf("got %v, want an error that names bad.json and dateRange", err)
	}
}

func TestRowsFromBeforeTheFirstSweepAreTheBackfillAndNewOnesAreNot(t *testing.T) {
	t.Parallel()
	p, now := watermark.DefaultPlan(), watermark.Mark(8_000_000)
	old := now - watermark.Mark(p.Backfill.Minutes()) - 1
	for _, c := range []struct {
		name   string
		s      watermark.State
		row    watermark.Mark
		before bool
	}{
		{"an old price in a list that was never swept", watermark.State{}, old, true},
		{"a price that began within a sweep interval", watermark.State{}, old + 1, false},
		{"an old price that a later sweep brings entered the list with it", watermark.State{LastSweep: desk.T0}, old, false},
	} {
		if got := c.s.Before(c.row, now, p); got != c.before {
			t.Errorf("%s: backfill is %t, want %t", c.name, got, c.before)
		}
	}
}
