package processes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/spend/gateway"
	"ratchet/test/child"
)

// The bars of a box at rest, less what an idle engine uses.
const (
	mostRequests = 2.0   // of JetStream's API, a second
	mostMB       = 500.0 // written, a day
	mostCPU      = 1.0   // percent of a core
	mostStores   = 60.0  // messages stored, each with its fsync, a minute
)

// A box settles before it is measured, and is measured for RATCHET_IDLE_FOR, by default span.
const (
	settle = 5 * time.Minute // the first rows are decided, and what they dirtied is written
	span   = 10 * time.Minute
)

const (
	few      = 40              // rows of a list that does not change
	upWithin = 5 * time.Minute // of a start
)

// idleBox is one `ratchet up` on 5 tokens a minute and in real time, beside a simulated Keepa of its own, which is
// not counted.
type idleBox struct {
	name   string
	world  keepasim.Catalogue
	engine string // the value of --clickhouse
	rests  bool   // nothing waits in it, so the bars are for it

	data    string // its directory
	child   *child.Child
	monitor string
	nats    string
	sql     string
	before  reading
}

// BenchmarkIdle runs four boxes at once: two at rest, whose list is decided and does not change, and two that work as
// fast as their tokens allow, because more waits than these can decide; each without ClickHouse and with the embedded
// one, beside an engine that only idles.
func BenchmarkIdle(b *testing.B) {
	for b.Loop() {
		measureIdle(b)
	}
	b.ReportMetric(0, "ns/op")
}

func measureIdle(b *testing.B) {
	b.Helper()
	chtest.Library(b)
	engine := start(b, "ratchet", nil, "clickhouse", "--addr", "127.0.0.1:0", "--data", b.TempDir())
	b.Cleanup(func() { child.Stop(b, engine) })
	engine.Await(b, `^ready`, upWithin)
	alone := func() usage { return used(b, family(engine.Cmd.Process.Pid)...) }

	still := func() keepasim.Catalogue { return keepasim.Backlog400(1).First(few) }
	living := func() keepasim.Catalogue { return keepasim.Living(1, keepasim.LivingOptions{}) }
	boxes := []*idleBox{
		{name: "at-rest", world: still(), engine: "none", rests: true},
		{name: "at-rest-with-clickhouse", world: still(), engine: "embedded", rests: true},
		{name: "busy", world: living(), engine: "none"},
		{name: "busy-with-clickhouse", world: living(), engine: "embedded"},
	}
	for _, x := range boxes {
		x.data = b.TempDir()
		x.start(b)
	}
	time.Sleep(settle)
	beside := alone()
	for _, x := range boxes {
		x.before = x.read(b)
	}
	began := time.Now()
	time.Sleep(duration(b))
	took := time.Since(began)
	idle := alone().minus(beside)
	defer func() {
		for _, x := range boxes {
			child.Stop(b, x.child)
		}
	}()
	b.Logf("an engine that only idles: %s", perDay(idle, took))
	for _, x := range boxes {
		after := x.read(b)
		if x.engine == "none" {
			x.report(b, after, usage{}, took)
		} else {
			x.report(b, after, idle, took)
		}
	}
}

func (x *idleBox) start(b *testing.B) {
	b.Helper()
	sim := keepasim.New(keepasim.Options{Now: time.Now, After: time.After, Seed: 1, Rate: 5, Balance: keepasim.FullBucket, Catalogue: x.world})
	server := httptest.NewServer(sim)
	b.Cleanup(server.CloseClientConnections)
	sim.Start(time.Now())
	x.child = start(b, "ratchet", []string{"KEEPA_API_KEY=" + gateway.Simulated.Reveal(), "KEEPA_URL=" + server.URL},
		"up", "--data", x.data, "--clickhouse", x.engine, "--clickhouse-addr", "127.0.0.1:0", "--nats", "127.0.0.1:0",
		"--nats-monitor", "127.0.0.1:0", "--page", "127.0.0.1:0")
	x.nats = x.child.Await(b, `^NATS: +(\S+)`, upWithin)
	x.monitor = "http://" + x.child.Await(b, `monitoring http://(\S+)`, upWithin)
	if x.sql = "none"; x.engine != "none" {
		x.sql = x.child.Await(b, `^SQL: +(\S+)`, upWithin)
	}
	x.child.Await(b, `^Ready`, upWithin)
}

// reading is what a box has used and asked so far.
type reading struct {
	all, own usage // with its engine, and without
	nats     figures
	lines    int // printed
}

func (x *idleBox) read(b *testing.B) reading {
	b.Helper()
	pid := x.child.Cmd.Process.Pid
	return reading{
		all: used(b, family(pid)...), own: used(b, pid), nats: figuresOf(b, x.monitor),
		lines: strings.Count(x.child.Output(), "\n"),
	}
}

func (x *idleBox) report(b *testing.B, after reading, idle usage, took time.Duration) {
	b.Helper()
	all, nats := after.all.minus(x.before.all), after.nats
	beside := all.minus(idle)
	report := func(name string, got, most float64) {
		b.ReportMetric(got, x.name+"-"+name)
		if x.rests && got > most && duration(b) >= span {
			b.Errorf("%s, %s: %.2f, want at most %g", x.name, name, got, most)
		}
	}
	report("requests/s", float64(nats.requests-x.before.nats.requests)/took.Seconds(), mostRequests)
	report("MB/day", beside.mbADay(took), mostMB)
	report("%cpu", 100*beside.cpu/took.Seconds(), mostCPU)
	report("stores/min", float64(nats.stored-x.before.nats.stored)/took.Minutes(), mostStores)
	b.Logf("%s: %s; without its engine %s; %.2f messages a second, %.1f lines a minute", x.name, perDay(all, took),
		perDay(after.own.minus(x.before.own), took), float64(nats.messages-x.before.nats.messages)/took.Seconds(),
		float64(after.lines-x.before.lines)/took.Minutes())
	for name, n := range nats.streams {
		if d := n - x.before.nats.streams[name]; d > 0 {
			b.Logf("%s: %s: %.1f messages a minute", x.name, name, float64(d)/took.Minutes())
		}
	}
}

func perDay(u usage, took time.Duration) string {
	return fmt.Sprintf("%.2f %% of a core and %.0f MB a day", 100*u.cpu/took.Seconds(), u.mbADay(took))
}

func duration(b *testing.B) time.Duration {
	b.Helper()
	set := os.Getenv("RATCHET_IDLE_FOR")
	if set == "" {
		return span
	}
	d, err := time.ParseDuration(set)
	if err != nil {
		b.Fatal(err)
	}
	return d
}

// figures are NATS's own.
type figures struct {
	requests, stored, messages int64
	streams                    map[string]int64 // stored messages, by stream
}

func figuresOf(b *testing.B, monitor string) figures {
	b.Helper()
	var js struct {
		API struct {
			Total int64 `json:"total"`
		} `json:"api"`
		Accounts []struct {
			Streams []struct {
				Name  string `json:"name"`
				State struct {
					Last int64 `json:"last_seq"`
				} `json:"state"`
			} `json:"stream_detail"`
		} `json:"account_details"`
	}
	var v struct {
		In int64 `json:"in_msgs"`
	}
	get(b, monitor+"/jsz?streams=1", &js)
	get(b, monitor+"/varz", &v)
	f := figures{requests: js.API.Total, messages: v.In, streams: map[string]int64{}}
	for _, a := range js.Accounts {
		for _, s := range a.Streams {
			f.stored += s.State.Last
			f.streams[s.Name] = s.State.Last
		}
	}
	return f
}

func get(b *testing.B, url string, into any) {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, url, nil)
	if err != nil {
		b.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		b.Fatalf("%s: %v: %.200s", url, err, body)
	}
}

// usage is what processes have used.
type usage struct {
	cpu     float64 // seconds
	written float64 // bytes, to the disk
}

func (u usage) minus(v usage) usage { return usage{u.cpu - v.cpu, u.written - v.written} }

func (u usage) mbADay(took time.Duration) float64 { return u.written / 1e6 / took.Hours() * 24 }

func used(b *testing.B, pids ...int) (u usage) {
	b.Helper()
	for _, p := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		io, err2 := os.ReadFile(fmt.Sprintf("/proc/%d/io", p))
		if err != nil || err2 != nil {
			b.Fatalf("read the usage of %d: %v, %v", p, err, err2)
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		for _, ticks := range fields[11:13] {
			n, _ := strconv.ParseFloat(ticks, 64)
			u.cpu += n / 100 // USER_HZ
		}
		for line := range strings.Lines(string(io)) {
			if name, value, _ := strings.Cut(strings.TrimSpace(line), ": "); name == "write_bytes" {
				n, _ := strconv.ParseFloat(value, 64)
				u.written += n
			}
		}
	}
	return u
}

// family lists a process and all that descend from it.
func family(pid int) []int {
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i])) // the pattern is right
		for _, list := range lists {
			body, _ := os.ReadFile(list) // the thread may have ended
			for child := range strings.FieldsSeq(string(body)) {
				if n, err := strconv.Atoi(child); err == nil {
					all = append(all, n)
				}
			}
		}
	}
	return all
}
