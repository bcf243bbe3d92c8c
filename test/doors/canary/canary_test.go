// Package canary_test runs the pipeline with a key that stands in no text, against a Keepa that quotes it in every
// answer and fails in every way, and then looks for it everywhere.
package canary_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/child"
	"ratchet/test/desk"
	"ratchet/test/metrics/traces"
)

// speed makes what waits after a failure wait for milliseconds.
const speed = 2000

// upWithin bounds the start of `ratchet up`, on the machine's clock.
const upWithin = 2 * time.Minute

func TestTheKeyIsNowhereWhateverKeepaAnswers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds and runs four processes")
	}
	d, address := desk.Listening(t, speed)
	k := serve(t, d.Sim)
	var running []*child.Child
	for _, name := range []string{"tokend", "watermarker", "peeker", "committer"} {
		env := append(d.Env.Clock.Environ(), "NATS_URL="+address, "KEEPA_URL="+k.URL, "WATERMARKER_SHORTEST=1m", "WATERMARKER_LONGEST=2m")
		running = append(running, start(t, env, "daemon", name))
	}
	for _, path := range []string{"/deal", "/product"} {
		desk.Await(t, path+" has failed in every way", func() bool { return k.failed(path) == len(faults) })
	}
	for _, p := range running {
		abort(t, p)
	}
	k.check(t)
	if n := absentFromStreams(t, d.Bus); n == 0 {
		t.Error("no answer with the key in it was stored, so nothing was proven")
	}
}

func TestTheKeyIsNowhereOnAMachineThatRunsUp(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds and runs everything")
	}
	lib := chtest.Library(t)
	// So much work that some is left when the calls begin to fail.
	sim := keepasim.New(keepasim.Options{Now: time.Now, Seed: 1, Rate: 5000, Catalogue: keepasim.BacklogOf(1, 4000), Instant: true})
	sim.Start(time.Now())
	k := serve(t, sim)
	k.well, k.once = true, some()
	data, monitor := t.TempDir(), child.FreeAddress(t)
	collector := traces.Listen(t)
	up := start(t, []string{"KEEPA_URL=" + k.URL, "CHDB_LIB_PATH=" + lib, "OTEL_EXPORTER_OTLP_ENDPOINT=" + collector.URL, "OTEL_BSP_SCHEDULE_DELAY=100"},
		"up", "--live", "--data", data, "--nats", "127.0.0.1:0", "--nats-monitor", monitor, "--clickhouse-addr", "127.0.0.1:0")
	nats, clickhouse := up.Await(t, `^NATS: +(\S+)`, upWithin), up.Await(t, `^SQL: +(\S+)`, upWithin)
	desk.Await(t, "a deal is in SQL", func() bool {
		n, err := sql(t.Context(), clickhouse, "SELECT count() > 0 FROM deals")
		return err == nil && strings.TrimSpace(string(n)) == "1"
	})

	awaitDeal(t, collector)
	told := webhook(t, nats)
	k.worsens()
	for _, f := range k.once { // after each, calls pause for ten seconds
		desk.Await(t, "Keepa has answered with "+f.name, func() bool { return k.came(f) })
	}
	desk.Await(t, "the failures are in SQL", func() bool {
		n, err := sql(t.Context(), clickhouse, "SELECT countIf(note LIKE '%failed%' OR note LIKE '%unknown%') >= 2 FROM ledger")
		return err == nil && strings.TrimSpace(string(n)) == "1"
	})
	engine := children(t, up.Cmd.Process.Pid)
	if len(engine) == 0 {
		t.Error("up has no child: where is the engine?")
	}
	for pid, environ := range engine {
		absent(t, fmt.Sprintf("the environment of child %d", pid), environ)
	}
	absentFromSQL(t, clickhouse)
	for _, path := range []string{"varz", "connz?subs=detail&auth=1", "subsz?subs=1", "jsz?acc=$G&accounts=1&streams=1&consumers=1&config=1", "healthz"} {
		said, err := fetch(t.Context(), http.MethodGet, "http://"+monitor+"/"+path, "")
		if err != nil {
			t.Errorf("monitoring, /%s: %v", path, err)
		}
		absent(t, "monitoring, /"+path, said)
	}
	absentFromCommands(t, nats, clickhouse)
	absent(t, "what the webhook was told", told())
	b, err := bus.Connect(t.Context(), bus.Config{URL: nats}, process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock(), Version: "test"}, "canary")
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if n := absentFromStreams(t, b); n == 0 {
		t.Error("no answer with the key in it was stored, so nothing was proven")
	}
	abort(t, up)
	k.check(t)
	if size := absentFromFiles(t, data); size < 1<<20 {
		t.Errorf("only %d bytes are in %s", size, data)
	}
}

// some are every fifth fault, or all with RATCHET_CANARY=all.
func some() []fault {
	if os.Getenv("RATCHET_CANARY") == "all" {
		return faults
	}
	var out []fault
	for n := 0; n < len(faults); n += 5 {
		out = append(out, faults[n])
	}
	return out
}

// absentFromSQL reads every table and view, and what the engine keeps of statements.
func absentFromSQL(t *testing.T, address string) {
	t.Helper()
	said, err := sql(t.Context(), address, "SELECT name FROM system.tables WHERE database = 'ratchet' FORMAT TSV")
	if err != nil {
		t.Fatal(err)
	}
	tables := strings.Fields(string(said))
	if len(tables) < 10 {
		t.Errorf("only %v are tables", tables)
	}
	for _, table := range append(tables, "system.processes", "system.tables", "system.settings") {
		rows, err := sql(t.Context(), address, "SELECT * FROM "+table+" FORMAT JSONEachRow")
		if err != nil {
			t.Errorf("%s: %v", table, err)
		}
		absent(t, table, rows)
	}
}

// absentFromCommands looks at what the commands print.
func absentFromCommands(t *testing.T, nats, clickhouse string) {
	t.Helper()
	for _, args := range [][]string{
		{"status", "--json"}, {"doctor"}, {"deals", "--format", "json"}, {"report", "funnel"}, {"dead", "ls"},
	} {
		p := start(t, []string{"NATS_URL=" + nats, "CLICKHOUSE_URL=" + clickhouse, "KEEPA_URL=https://127.0.0.1:1", "XDG_DATA_HOME=" + t.TempDir()}, args...)
		<-p.Ended
		absent(t, "the output of "+p.Name, []byte(p.Output()))
		if len(p.Output()) < 20 && args[0] != "dead" {
			t.Errorf("%s prints %q", p.Name, p.Output())
		}
	}
}

// webhook has a notifier send deals and alarms, and returns what it has sent so far. A deal with a scrubbed title is
// among it.
func webhook(t *testing.T, nats string) func() []byte {
	t.Helper()
	var mu sync.Mutex
	var told []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body) // what is no JSON is empty
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprintf("%s %v %s", r.URL, r.Header, body))
	}))
	t.Cleanup(hook.Close)
	file := filepath.Join(t.TempDir(), "webhook")
	if err := os.WriteFile(file, []byte(hook.URL+"/deals\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, []string{"NATS_URL=" + nats, "NOTIFY_TARGETS_FILE=" + file, "NOTIFY_SINCE=24h"}, "daemon", "notifier")
	all := func() []byte {
		mu.Lock()
		defer mu.Unlock()
		return []byte(strings.Join(told, "\n"))
	}
	desk.Await(t, "a scrubbed title was sent", func() bool { return bytes.Contains(all(), []byte("[secret]")) })
	return all
}
