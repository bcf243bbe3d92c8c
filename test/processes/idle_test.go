package processes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/test/child"
)

// The bars, beside an engine that is idle as well.
const (
	mostRequests = 2.0   // of JetStream's API, a second
	mostMB       = 500.0 // written, a day
	mostCPU      = 1.0   // percent of a core
	mostStores   = 60.0  // messages stored, each with its fsync, a minute
)

// The box rests for settle before it is measured, and is measured for RATCHET_IDLE_FOR, by default span.
const (
	settle = 5 * time.Minute // the first rows are decided, and what they dirtied is written
	span   = 10 * time.Minute
)

// upWithin bounds a start.
const upWithin = 2 * time.Minute

// BenchmarkIdle runs `ratchet up` at 5 simulated tokens a minute and in real time, without ClickHouse and with the
// embedded one, beside an engine that only idles. It is idle as such a box ever is: work waits for tokens.
func BenchmarkIdle(b *testing.B) {
	for _, engine := range []string{"none", "embedded"} {
		b.Run("clickhouse="+engine, func(b *testing.B) {
			if engine == "embedded" {
				chtest.Library(b)
			}
			for b.Loop() {
				measure(b, engine)
			}
		})
	}
}

func measure(b *testing.B, engine string) {
	b.Helper()
	beside := func() usage { return usage{} }
	if engine == "embedded" {
		alone := start(b, "ratchet", nil, "clickhouse", "--addr", "127.0.0.1:0", "--data", b.TempDir())
		b.Cleanup(func() { child.Stop(b, alone) })
		alone.Await(b, `^ready`, upWithin)
		beside = func() usage { return used(b, family(alone.Cmd.Process.Pid)...) }
	}
	box := start(b, "ratchet", nil, "up", "--simulate", "--rate", "5", "--data", b.TempDir(), "--clickhouse", engine,
		"--clickhouse-addr", "127.0.0.1:0", "--nats", "127.0.0.1:0", "--nats-monitor", "127.0.0.1:0")
	b.Cleanup(func() { child.Stop(b, box) })
	monitor := "http://" + box.Await(b, `monitoring http://(\S+)`, upWithin)
	box.Await(b, `^Ready`, upWithin)
	time.Sleep(settle)
	pid, printed := box.Cmd.Process.Pid, func() int { return strings.Count(box.Output(), "\n") }
	lines := printed()
	before, self, idle, nats := used(b, family(pid)...), used(b, pid), beside(), figuresOf(b, monitor)
	began := time.Now()
	time.Sleep(duration(b))
	took := time.Since(began).Seconds()
	after, selfAfter, idled, natsAfter := used(b, family(pid)...), used(b, pid), beside(), figuresOf(b, monitor)
	cpu, mb := after.cpu-before.cpu-(idled.cpu-idle.cpu), after.written-before.written-(idled.written-idle.written)
	report := func(name string, got, most float64) {
		b.ReportMetric(got, name)
		if got > most && duration(b) >= span {
			b.Errorf("%s: %.2f, want at most %g", name, got, most)
		}
	}
	report("requests/s", float64(natsAfter.requests-nats.requests)/took, mostRequests)
	report("MB/day", mb/1e6/took*86400, mostMB)
	report("%cpu", 100*cpu/took, mostCPU)
	report("stores/min", float64(natsAfter.stored-nats.stored)/took*60, mostStores)
	b.ReportMetric(float64(natsAfter.messages-nats.messages)/took, "msgs/s")
	perDay := func(from, to usage) string {
		return fmt.Sprintf("%.2f %% of a core, %.0f MB a day", 100*(to.cpu-from.cpu)/took, (to.written-from.written)/1e6/took*86400)
	}
	b.Logf("all: %s; without its engine: %s; the idle engine: %s", perDay(before, after), perDay(self, selfAfter), perDay(idle, idled))
	b.ReportMetric(float64(printed()-lines)/took*60, "lines/min")
	b.ReportMetric(0, "ns/op")
	for name, n := range natsAfter.streams {
		if d := n - nats.streams[name]; d > 0 {
			b.Logf("%s: %.1f messages a minute", name, float64(d)/took*60)
		}
	}
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
