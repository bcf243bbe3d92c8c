package page_test

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/recorder"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// manyDeals publishes 10,000 deals, each with the verdict that accepts it. The first has answers to explain it.
func manyDeals(b *testing.B, d *desk.Desk) (first string) {
	b.Helper()
	const deals = 10_000
	first = d.ASINs(keepasim.Good)[0]
	w := d.Work(b, first, pipeline.SourceLive, pipeline.FirstGeneration)
	d.Offer(b, w)
	d.Store(b, pipeline.KindPeek, first, w.ID, d.Product(b, first, false), 0)
	d.Store(b, pipeline.KindCommit, first, w.ID, d.Product(b, first, true), 0)
	v := decide.Commit(desk.BuiltIn(b), w, decide.Answer{ID: "2", Key: first, Body: d.Product(b, first, true)}, nil, 6, desk.T0).Verdict
	d.Accepts(b, first, desk.T0)
	var members map[string]any
	if err := json.Unmarshal(v.Deal, &members); err != nil {
		b.Fatal(err)
	}
	var ms []bus.Message
	for i := range deals - 1 {
		asin := fmt.Sprintf("B%09d", i)
		members["asin"], members["profit_cents"], members["title"] = asin, 300+(i*7919)%9000, fmt.Sprintf("The collected works, volume %d", i)
		m, err := bus.Encode(pipeline.SubjectDeal(1, 2, asin), pipeline.SchemaDeal, fmt.Sprint("deal", i), fmt.Sprint("w", i), members)
		if err != nil {
			b.Fatal(err)
		}
		accept := pipeline.Verdict{Identity: pipeline.Identity{Domain: 1, ASIN: asin, PriceType: 2}, Look: pipeline.LookCommit, Outcome: pipeline.Accept, Reason: "ok", RuleSet: v.RuleSet, Inputs: v.Inputs, ProfitCents: v.ProfitCents, DecidedAt: desk.T0}
		body, err := json.Marshal(accept)
		if err != nil {
			b.Fatal(err)
		}
		work := fmt.Sprint("w", i)
		ms = append(ms, m, bus.Message{Subject: pipeline.SubjectVerdict(1, pipeline.LookCommit, pipeline.Accept, asin), Schema: pipeline.SchemaVerdict, ID: accept.ID(pipeline.RunLive, work), WorkID: work, Body: body})
		if len(ms) >= 500 || i == deals-2 {
			if err := d.Bus.PublishAll(b.Context(), ms); err != nil {
				b.Fatal(err)
			}
			ms = nil
		}
	}
	return first
}

// median is that of 20 runs, or of as many as a minute has, of 3 at least.
func median(f func()) time.Duration {
	var took []time.Duration
	for all := time.Now(); len(took) < 20 && (len(took) < 3 || time.Since(all) < time.Minute); {
		began := time.Now()
		f()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// BenchmarkPages measures the first content of a page with 10,000 deals beside the code path of `ratchet deals` over
// ClickHouse: medians of 20. Every request of the list is for another view, so none is served from the cache.
func BenchmarkPages(b *testing.B) {
	d, dsn := desk.New(b, 1), chtest.Database(b)
	d.Run(b, recorder.Run, map[string]string{"CLICKHOUSE_URL": dsn})
	first := manyDeals(b, d)
	s := open(b, d, page.Options{Simulated: true, ClickHouse: dsn})
	for b.Loop() {
		n, size := 0, 0
		load := func(path func() string) func() {
			return func() {
				r, body := get(b, s.URL()+path())
				if r.StatusCode != 200 {
					b.Fatalf("%s: %.200s", r.Status, body)
				}
				size = len(body)
			}
		}
		list := median(load(func() string { n++; return fmt.Sprintf("?max-rank=%d&sort=value", 5_000_000+n) }))
		b.ReportMetric(float64(size)/1024, "list-KB")
		kept := median(load(func() string { return "" }))
		one := median(load(func() string { return "deal/" + first }))
		b.ReportMetric(float64(size)/1024, "deal-KB")
		v := cli.NewVisible(d.Bus, dsn)
		v.Patience = time.Minute
		command := median(func() {
			deals, from, err := v.List(b.Context(), time.Time{})
			if err != nil || len(deals) != 10_000 {
				b.Fatal(len(deals), from, err)
			}
			if from.Because != "" {
				b.Logf("the command asked the streams: %s", from)
			}
			if err := cli.WriteDeals(io.Discard, deals, cli.Show{By: "value", Width: 140}); err != nil {
				b.Fatal(err)
			}
		})
		v.Close()
		for name, took := range map[string]time.Duration{"list-ms": list, "list-kept-ms": kept, "deal-ms": one, "command-ms": command} {
			b.ReportMetric(float64(took.Microseconds())/1000, name)
		}
		b.ReportMetric(command.Seconds()/list.Seconds(), "command/list")
		b.Logf("the list %s, kept %s, a deal %s, the command %s", list, kept, one, command)
		if list > 200*time.Millisecond || one > 300*time.Millisecond {
			b.Errorf("the first content of the list takes %s, of a deal %s; want at most 200ms and 300ms", list, one)
		}
	}
}

// BenchmarkOpenPages measures, with as many deals and without ClickHouse, how much a page weighs, how long "what if"
// takes to answer, what ten open pages cost while nothing happens, and how long a deal takes to reach them.
func BenchmarkOpenPages(b *testing.B) {
	d := desk.New(b, 1)
	machineRuns(b, d)
	first := manyDeals(b, d)
	s := open(b, d, page.Options{Simulated: true})
	for b.Loop() {
		n := 0
		what := median(func() {
			n++
			if r, body := get(b, fmt.Sprintf("%swhatif?t-min_profit_cents=%d", s.URL(), n)); r.StatusCode != 200 {
				b.Fatalf("%s: %.200s", r.Status, body)
			}
		})
		b.ReportMetric(float64(what.Microseconds())/1000, "whatif-ms")
		b.Logf("what if is answered in %s", what)
		if what > time.Second {
			b.Errorf("what if is answered in %s", what)
		}
		weighs(b, s, first)
		openPages(b, d, s)
	}
}

// weighs reports the heaviest page with its style, script and icon, as they are sent.
func weighs(b *testing.B, s *page.Server, asin string) {
	b.Helper()
	most, of := 0, ""
	for _, path := range []string{"", "?show=cards", "deal/" + asin, "machine", "whatif", "replays"} {
		_, body := get(b, s.URL()+path)
		all := len(body)
		for _, m := range regexp.MustCompile(`(?:href|src)="/(static/[^"]+)"`).FindAllStringSubmatch(body, -1) {
			_, file := get(b, s.URL()+m[1])
			all += len(file)
		}
		if all > most {
			most, of = all, path
		}
	}
	b.ReportMetric(float64(most)/1024, "weight-KB")
	b.Logf("the heaviest page is /%s, with style and script %d KB", of, most>>10)
	if most > 150<<10 {
		b.Errorf("/%s weighs %d KB", of, most>>10)
	}
}

// openPages measures what ten open pages cost while nothing happens, and how long a deal takes to reach all of them.
func openPages(b *testing.B, d *desk.Desk, s *page.Server) {
	b.Helper()
	const pages, idle = 10, 20 * time.Second
	memory := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what the first one freed of pools
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	cpu := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	span := func() time.Duration {
		before := cpu()
		time.Sleep(idle)
		return cpu() - before
	}
	closed, empty := span(), memory()
	var all []*openPage
	for i := range pages {
		p := load(b, s, []string{"", "?sort=rank", "machine", "?show=cards"}[i%4])
		defer p.answer.Body.Close()
		defer p.close()
		all = append(all, p)
	}
	desk.Await(b, "all are open", func() bool { return s.Open() == pages })
	arrived := make(chan time.Time, pages)
	asin := d.ASINs(keepasim.Good)[1]
	for i, p := range all {
		event, text := "fragment", "<strong>10001</strong>" // it need not be on the page
		if i%4 == 2 {
			event, text = "hello", ""
		}
		go func() {
			if p.await(event, text) {
				arrived <- time.Now()
			}
			for p.lines.Scan() { // as a browser reads on
			}
		}()
	}
	time.Sleep(2 * time.Second)
	began := time.Now()
	d.Accepts(b, asin, desk.T0.Add(time.Second))
	last := time.Duration(0)
	for range pages {
		select {
		case at := <-arrived:
			last = max(last, at.Sub(began))
		case <-time.After(20 * time.Second):
			b.Fatal("a deal does not reach every page")
		}
	}
	time.Sleep(5 * time.Second) // what follows on it has ended
	open := span()
	used := max(0, float64(memory())-float64(empty))
	b.ReportMetric(float64(last.Milliseconds()), "update-ms")
	b.ReportMetric(used/(1<<20), "10-pages-MB")
	share := 100 * max(0, (open-closed).Seconds()) / idle.Seconds()
	b.ReportMetric(share, "10-pages-%core")
	b.Logf("a deal reaches ten pages in %s; open they cost %.1f MB and %.2f %% of a core, %s with none", last, used/(1<<20), share, closed)
	if last > time.Second || used > 30<<20 || share > 1 {
		b.Errorf("a deal reaches ten pages in %s; open they cost %.1f MB and %.2f %% of a core; want 1s, 30 MB and 1 %%", last, used/(1<<20), share)
	}
}
