package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/recorder"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/text/foreign"
	"ratchet/test/desk"
)

func TestAListingIsOneDocumentWhateverItsLength(t *testing.T) {
	t.Parallel()
	for _, deals := range [][]cli.Deal{nil, someDeals()[:1], someDeals()} {
		var got, want bytes.Buffer
		list := cli.NewListing(&got, cli.Show{Format: "json"})
		for _, d := range deals {
			if err := list.Deal(d); err != nil {
				t.Fatal(err)
			}
		}
		e := json.NewEncoder(&want)
		e.SetIndent("", "  ")
		if err := list.End(); err != nil || e.Encode(append([]cli.Deal{}, deals...)) != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("%d deals are\n%s\nwant\n%s", len(deals), got.String(), want.String())
		}
	}
}

func TestALimitedListHasTheFirst(t *testing.T) {
	t.Parallel()
	deals := someDeals()
	for _, format := range []string{"table", "json", "csv"} {
		var got, want bytes.Buffer
		show := cli.Show{Format: format, Now: at}
		if err := cli.WriteDeals(&want, deals[2:3], show); err != nil {
			t.Fatal(err)
		}
		show.Limit = 1
		if err := cli.WriteDeals(&got, deals, show); err != nil {
			t.Fatal(err)
		}
		if got.String() != want.String() {
			t.Errorf("%s is\n%s\nwant\n%s", format, got.String(), want.String())
		}
	}
}

func TestALongTableBeginsBeforeItsLastDealAndHidesNoNote(t *testing.T) {
	t.Parallel()
	d := someDeals()[0]
	d.Simulated, d.Stale, d.Title = false, "", foreign.Of("short")
	for _, width := range []int{0, 100} {
		var out bytes.Buffer
		list := cli.NewListing(&out, cli.Show{Width: width, Now: at})
		long := d
		long.Stale, long.Title = "stale_waiting", foreign.Of(strings.Repeat("long ", 20)+"end")
		for n := range 1500 {
			if err := list.Deal(d); err != nil {
				t.Fatal(err)
			}
			if n == 1200 && out.Len() == 0 {
				t.Error("nothing is printed after 1,200 deals")
			}
		}
		if err := list.Deal(long); err != nil {
			t.Fatal(err)
		}
		if err := list.End(); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), d.ASIN); width == 0 && n < 1501 {
			t.Errorf("%d of 1501 deals are printed", n)
		}
		if !strings.Contains(out.String(), "stale_waiting") || strings.Contains(out.String(), "long end") != (width == 0) {
			t.Errorf("at a width of %d the last deal is %s", width, out.String()[out.Len()-200:])
		}
	}
}

func TestClickHouseSortsAsTheStreamsDo(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	dsn := chtest.Database(t)
	d.Run(t, recorder.Run, map[string]string{"CLICKHOUSE_URL": dsn, "RECORDER_FLUSH": "200ms"})
	d.Grant(t, pipeline.StagePeeker, 0)
	for n, asin := range d.ASINs(keepasim.Good)[:12] {
		members := map[string]any{"sale_price_cents": 5000, "profit_cents": 100 + n%4, "decided_at": d.Env.Now().Add(time.Duration(n%5) * time.Minute)}
		if n%3 > 0 {
			members["loss_chance"], members["rank"], members["roi_percent"] = float64(n%5)/10, 1000-n%4, float64(n%3)
			members["months_to_sell"], members["landed_cents"], members["expected_value_cents"] = float64(n%4), 500+n%2, n%5
		}
		members["estimate"] = "now"
		versioned(t, d, asin, members)
		say(t, d, asin, pipeline.LookCommit, pipeline.Accept, "ok")
	}
	v, streams := cli.NewVisible(d.Bus, dsn), cli.NewVisible(d.Bus, "")
	defer v.Close()
	v.Patience, v.Within = 10*time.Minute, 5*time.Minute
	for _, by := range cli.Orders() {
		var lists []string
		for _, from := range []*cli.Visible{v, streams} {
			var list []string
			all, err := from.Each(t.Context(), time.Minute, time.Time{}, cli.By(by), func(d cli.Deal) error { list = append(list, d.ASIN); return nil })
			if err != nil || len(list) != 12 || all.Counts.Visible != 12 || (from == v) != (all.From == "clickhouse") {
				t.Fatalf("by %s: %d deals, %s, %v", by, len(list), all, err)
			}
			lists = append(lists, strings.Join(list, " "))
		}
		if lists[0] != lists[1] {
			t.Errorf("by %s ClickHouse has\n%s\nthe streams have\n%s", by, lists[0], lists[1])
		}
	}
}

// watched is a writer that knows when it was first written to, and the most memory in use.
type watched struct {
	began  time.Time
	first  time.Duration
	bytes  int
	before uint64 // of everything else in this process
	heap   uint64
}

func watch() *watched {
	runtime.GC()
	w := &watched{began: time.Now()}
	w.sample()
	w.before, w.heap = w.heap, 0
	return w
}

func (w *watched) report(b *testing.B) {
	w.sample()
	b.ReportMetric(w.first.Seconds(), "s-to-first")
	b.ReportMetric((float64(w.heap)-float64(w.before))/1e6, "heap-MB")
	b.ReportMetric(float64(w.bytes)/1e6, "out-MB")
}

func (w *watched) Write(p []byte) (int, error) {
	if w.bytes == 0 {
		w.first = time.Since(w.began)
	}
	if (w.bytes+len(p))>>22 != w.bytes>>22 { // every four megabytes
		w.sample()
	}
	w.bytes += len(p)
	return len(p), nil
}

func (w *watched) sample() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	w.heap = max(w.heap, m.HeapInuse)
}

// BenchmarkDeals lists RATCHET_BENCH_DEALS deals, each with a message of the usual size, from ClickHouse.
func BenchmarkDeals(b *testing.B) {
	most, err := strconv.Atoi(os.Getenv("RATCHET_BENCH_DEALS"))
	if err != nil {
		b.Skip("set RATCHET_BENCH_DEALS to a number of deals")
	}
	d := desk.New(b, 1)
	dsn := chtest.Database(b)
	stop := d.Run(b, recorder.Run, map[string]string{"CLICKHOUSE_URL": dsn})
	publishDeals(b, d, most)
	v := cli.NewVisible(d.Bus, dsn)
	defer v.Close()
	v.Patience, v.Within = 10*time.Minute, 5*time.Minute // whatever else the machine does
	for {
		if _, from, err := v.Count(b.Context()); err == nil && from.From == "clickhouse" {
			break
		}
	}
	stop()
	for _, format := range []string{"table", "json", "csv"} {
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				w := watch()
				list := cli.NewListing(w, cli.Show{Format: format, Now: d.Env.Now()})
				all, err := v.Each(b.Context(), 10*time.Minute, time.Time{}, "profit", list.Deal)
				if err == nil {
					err = list.End()
				}
				if err != nil || all.From != "clickhouse" || all.Counts.Visible != most {
					b.Fatal(all, err)
				}
				w.report(b)
			}
		})
		b.Run(format+" all at once", func(b *testing.B) {
			for b.Loop() {
				w := watch()
				var all []cli.Deal
				if _, err := v.Each(b.Context(), 10*time.Minute, time.Time{}, "profit", func(d cli.Deal) error { all = append(all, d); return nil }); err != nil {
					b.Fatal(err)
				}
				if err := cli.WriteDeals(w, all, cli.Show{Format: format, Now: d.Env.Now()}); err != nil {
					b.Fatal(err)
				}
				w.report(b)
			}
		})
	}
}

// publishDeals publishes deals that differ in ASIN and profit, and an accept of each.
func publishDeals(b *testing.B, d *desk.Desk, most int) {
	b.Helper()
	d.Accepts(b, d.ASINs(keepasim.Good)[0], d.Env.Now().Truncate(time.Millisecond))
	var body, verdict []byte
	if err := d.Bus.Scan(b.Context(), pipeline.StreamDeals, bus.From{}, func(r bus.Read) error { body = r.Body; return nil }); err != nil {
		b.Fatal(err)
	}
	if err := d.Bus.Scan(b.Context(), pipeline.StreamVerdicts, bus.From{Subjects: []string{"verdict.*.commit.accept.>"}}, func(r bus.Read) error {
		verdict = r.Body
		return nil
	}); err != nil {
		b.Fatal(err)
	}
	asin := d.ASINs(keepasim.Good)[0]
	var ms, vs []bus.Message
	for n := 1; n < most; n++ {
		one := fmt.Sprintf("B%09d", n)
		deal := bytes.ReplaceAll(body, []byte(asin), []byte(one))
		deal = bytes.Replace(deal, []byte(`"profit_cents":`), fmt.Appendf(nil, `"profit_cents":%d`, 1+n%7), 1)
		ms = append(ms, bus.Message{Subject: pipeline.SubjectDeal(1, 2, one), Schema: pipeline.SchemaDeal, ID: "deal:" + one, WorkID: one, Body: deal})
		vs = append(vs, bus.Message{
			Subject: pipeline.SubjectVerdict(1, pipeline.LookCommit, pipeline.Accept, one), Schema: pipeline.SchemaVerdict, ID: "verdict:" + one, WorkID: one,
			Body: bytes.ReplaceAll(verdict, []byte(asin), []byte(one)),
		})
		if len(ms) == 500 || n == most-1 {
			if err := d.Bus.PublishBatch(b.Context(), ms); err != nil {
				b.Fatal(err)
			}
			if err := d.Bus.PublishBatch(b.Context(), vs); err != nil {
				b.Fatal(err)
			}
			ms, vs = nil, nil
		}
	}
}
