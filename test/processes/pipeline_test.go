// Package processes_test runs the daemons as processes of their own, as a
// production deployment does: one NATS, two peekers and two committers side by
// side, everybody on the clock that the environment hands down.
package processes_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/child"
)

const (
	rows  = 400 // candidates of the backlog
	speed = 10  // the most at which processes come and go; see RATCHET_CLOCK_SPEED
	rate  = 100 // tokens a minute: this test is about processes, not about thrift
)

// crew is which daemons run, and how many of each.
var crew = map[string]int{"tokend": 1, "watermarker": 1, "peeker": 2, "committer": 2, "recorder": 1}

// decidedWithin bounds the whole backlog on the machine's clock.
const decidedWithin = 90 * time.Second

func TestSeparateProcessesDecideEveryCandidateOnceAndPayForNothingTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs eight processes")
	}
	w := newWorld(t)

	var running []*child.Child
	for name, n := range crew {
		if name == "recorder" && w.clickhouse == "" {
			t.Log("no recorder: there is no ClickHouse on this machine; set CLICKHOUSE_TEST_URL")
			continue
		}
		for range n {
			running = append(running, start(t, name, w.environ()))
		}
	}
	w.provision(t) // the daemons wait for it
	for name, n := range crew {
		if name != "recorder" || w.clickhouse != "" {
			w.answersStatus(t, name, n)
		}
	}
	w.sim.Start(w.clock.Now())
	w.awaitDecided(t)
	w.everyCandidateHasOneFinalVerdict(t)
	w.nothingWasPaidTwice(t)
	if w.clickhouse != "" {
		w.clickHouseHasEveryVerdict(t)
	}
	child.Stop(t, running...)
}

var binaries = child.Binaries{Packages: []string{
	"ratchet/cmd/tokend", "ratchet/cmd/watermarker", "ratchet/cmd/peeker", "ratchet/cmd/committer", "ratchet/cmd/recorder", "ratchet/cmd/ratchet",
	"ratchet/cmd/keepasim",
}}

func TestMain(m *testing.M) { binaries.Main(m) }

// start runs a command until the test ends.
func start(t testing.TB, name string, env []string, args ...string) *child.Child {
	t.Helper()
	return child.Start(t, child.Command(t, env, binaries.Path(t, name), args...))
}

// world is what the daemons share.
type world struct {
	clock      process.Clock
	sim        *keepasim.Sim
	keepa      string // address of the simulated Keepa
	natsd      *child.Child
	nats       string
	clickhouse string // empty where there is none
	bus        *bus.Bus
	finals     *finals
}

// newWorld is worldOf the backlog, with ClickHouse if there is one.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := worldOf(t, keepasim.Backlog400(1), rate)
	w.clickhouse = clickHouse(t)
	return w
}

// worldOf starts NATS as a process, beside a Keepa of outside.
func worldOf(t testing.TB, catalogue keepasim.Catalogue, rate int) *world {
	t.Helper()
	w := outside(t, catalogue, rate, keepasim.FullBucket)
	w.startNATS(t, "127.0.0.1:0")
	w.watch(t)
	return w
}

// outside starts Keepa, inside the test: it is the outside world, and its books are to be read.
func outside(t testing.TB, catalogue keepasim.Catalogue, rate, balance int) *world {
	t.Helper()
	w := &world{clock: process.NewClock(time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC), speed), finals: newFinals()}
	w.sim = keepasim.New(keepasim.Options{
		Now: w.clock.Now, After: w.clock.After, Seed: 1, Key: "a-key", Rate: rate,
		Balance: balance, Catalogue: catalogue,
	})
	server := httptest.NewServer(w.sim)
	t.Cleanup(server.CloseClientConnections)
	w.keepa = server.URL
	return w
}

func (w *world) startNATS(t testing.TB, addr string) {
	t.Helper()
	w.natsd = start(t, "ratchet", []string{"NATSD_DATA=" + t.TempDir(), "NATSD_ADDR=" + addr, "LOG_LEVEL=error"}, "daemon", "natsd")
	w.nats = w.natsd.Await(t, `^nats://\S+`, 30*time.Second)
}

// watch counts the final verdicts from now on.
func (w *world) watch(t testing.TB) {
	t.Helper()
	w.bus = connect(t, w.nats, w.clock)
	t.Cleanup(w.bus.Close)
	if _, err := w.bus.NC.Subscribe("verdict.>", w.finals.see); err != nil {
		t.Fatal(err)
	}
	if err := w.bus.NC.Flush(); err != nil {
		t.Fatal(err)
	}
}

// connect connects as a daemon does. Close what it returns.
func connect(t testing.TB, address string, clock process.Clock) *bus.Bus {
	t.Helper()
	env := process.Env{Log: slog.New(slog.DiscardHandler), Clock: clock, Version: "test"}
	b, err := bus.Connect(t.Context(), bus.Config{URL: address}, env, "test")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// clickHouse is the address of a database that only this test writes to: the
// embedded engine as a process of its own, else a database of CLICKHOUSE_TEST_URL.
func clickHouse(t *testing.T) string {
	t.Helper()
	if u := os.Getenv("CLICKHOUSE_TEST_URL"); u != "" {
		return u
	}
	_, err := exec.LookPath("npm")
	if os.Getenv("CHDB_LIB_PATH") == "" && (err != nil || runtime.GOOS+"/"+runtime.GOARCH != "linux/amd64") {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI has neither npm nor CHDB_LIB_PATH nor CLICKHOUSE_TEST_URL, so the recorder cannot be tested")
		}
		return ""
	}
	return start(t, "ratchet", nil, "clickhouse", "--data", t.TempDir(), "--addr", "127.0.0.1:0").Await(t, `^ready (\S+)`, 5*time.Minute)
}

// provision creates the streams, buckets and tables.
func (w *world) provision(t testing.TB) {
	t.Helper()
	args := []string{"topology", "apply"}
	if w.clickhouse == "" {
		args = append(args, "--clickhouse-url", "none")
	}
	if out := start(t, "ratchet", w.environ(), args...).Done(t); !strings.Contains(out, "created stream "+pipeline.StreamCandidates) {
		t.Fatalf("topology apply created no stream %s:\n%s", pipeline.StreamCandidates, out)
	}
}

// environ is what every daemon is told.
func (w *world) environ() []string {
	env := append(w.clock.Environ(),
		"NATS_URL="+w.nats, "KEEPA_URL="+w.keepa, "KEEPA_API_KEY=a-key", "LOG_LEVEL=info")
	if w.clickhouse != "" {
		env = append(env, "CLICKHOUSE_URL="+w.clickhouse)
	}
	return env
}

// answersStatus waits until n instances of a daemon answer on svc.NAME.status.
func (w *world) answersStatus(t *testing.T, name string, n int) {
	t.Helper()
	instances := map[string]bool{}
	for over := time.Now().Add(60 * time.Second); len(instances) < n; {
		if time.Now().After(over) {
			t.Fatalf("%d of %d instances of %s answer on svc.%s.status", len(instances), n, name, name)
		}
		inbox, err := w.bus.NC.SubscribeSync(nats.NewInbox())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.bus.NC.PublishRequest("svc."+name+".status", inbox.Subject, nil); err != nil {
			t.Fatal(err)
		}
		for m, err := inbox.NextMsg(500 * time.Millisecond); err == nil; m, err = inbox.NextMsg(500 * time.Millisecond) {
			var h pipeline.Heartbeat
			if json.Unmarshal(m.Data, &h) == nil && h.Daemon == name && h.Instance != "" {
				instances[h.Instance] = true
			}
		}
		if err := inbox.Unsubscribe(); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) awaitDecided(t *testing.T) {
	t.Helper()
	began := time.Now()
	select {
	case <-w.finals.all:
		t.Logf("decided %d candidates in %s, %s of pipeline time", rows, time.Since(began).Round(time.Millisecond),
			w.clock.Pipeline(time.Since(began)).Round(time.Second))
	case <-time.After(decidedWithin):
		t.Fatalf("%d of %d candidates are decided after %s; Keepa's balance is %d", w.finals.count(), rows, decidedWithin, w.sim.Account().Balance)
	}
}

func (w *world) everyCandidateHasOneFinalVerdict(t *testing.T) {
	t.Helper()
	asins, works := map[string]bool{}, map[string]int{}
	err := w.bus.Scan(t.Context(), pipeline.StreamVerdicts, bus.From{}, func(r bus.Read) error {
		var v pipeline.Verdict
		if err := json.Unmarshal(r.Body, &v); err != nil {
			return fmt.Errorf("decode verdict %d: %w", r.Sequence, err)
		}
		if v.Outcome.Final() {
			asins[v.ASIN] = true
			works[r.Header.Get(pipeline.HeaderWorkID)]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(asins) != rows || len(works) != rows {
		t.Errorf("final verdicts on %d ASINs and %d works, want %d of each", len(asins), len(works), rows)
	}
	for work, n := range works {
		if n != 1 {
			t.Errorf("work %s has %d final verdicts, want 1", work, n)
		}
	}
}

func (w *world) nothingWasPaidTwice(t *testing.T) {
	t.Helper()
	books := w.sim.Account()
	for q, n := range books.Repeated() {
		t.Errorf("%s of %s was paid %d times", q.Kind, q.ASIN, n)
	}
	if len(books.Peeks) == 0 || len(books.Commits) == 0 {
		t.Errorf("%d ASINs peeked and %d committed: the books are empty, so they prove nothing", len(books.Peeks), len(books.Commits))
	}
	t.Logf("calls %v, tokens %v, refused %d, lowest balance %d", books.Calls, books.Tokens, len(books.Refused), books.Minimum)
}

// clickHouseHasEveryVerdict asks until the recorder has caught up.
func (w *world) clickHouseHasEveryVerdict(t *testing.T) {
	t.Helper()
	const sql = "SELECT uniqExact(work_id) FROM verdicts WHERE outcome != 'survive' FORMAT TSV"
	var last string
	for over := time.Now().Add(30 * time.Second); ; {
		n, err := ask(w.clickhouse, sql)
		if err == nil {
			if last = n; n == strconv.Itoa(rows) {
				return
			}
		} else {
			last = err.Error()
		}
		if time.Now().After(over) {
			t.Errorf("ClickHouse knows %s decided works, want %d", last, rows)
			return
		}
		<-time.After(200 * time.Millisecond)
	}
}

// ask is the answer of ClickHouse to one query, over HTTP.
func ask(address, sql string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", err
	}
	q := u.Query()
	if db := strings.Trim(u.Path, "/"); db != "" {
		q.Set("database", db)
	}
	u.Path, u.RawQuery = "/", q.Encode()
	res, err := http.Post(u.String(), "text/plain", strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", res.StatusCode, body)
	}
	return strings.TrimSpace(string(body)), err
}

// finals counts works with a final verdict as they are published.
type finals struct {
	mu      sync.Mutex
	seen    map[string]bool
	commits int           // of them, by a commit
	all     chan struct{} // closed when every row is decided
}

func newFinals() *finals { return &finals{seen: map[string]bool{}, all: make(chan struct{})} }

func (f *finals) see(m *nats.Msg) {
	var v pipeline.Verdict
	if json.Unmarshal(m.Data, &v) != nil || !v.Outcome.Final() {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	before := len(f.seen)
	if v.Look == pipeline.LookCommit {
		f.commits++
	}
	f.seen[m.Header.Get(pipeline.HeaderWorkID)] = true
	if before < rows && len(f.seen) == rows {
		close(f.all)
	}
}

func (f *finals) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.seen)
}

func (f *finals) committed() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.commits
}
