package processes_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
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
	settle = 45 * time.Second
	span   = 2 * time.Minute
)

// BenchmarkIdle runs `ratchet up` at 5 simulated tokens a minute and in real time, without ClickHouse and with the
// embedded one, beside an engine that only idles. It is idle as such a box ever is: work waits for tokens.
func BenchmarkIdle(b *testing.B) {
	ratchet := ratchetOf(b)
	for _, engine := range []string{"none", "embedded"} {
		b.Run("clickhouse="+engine, func(b *testing.B) {
			if engine == "embedded" {
				chtest.Library(b)
			}
			for b.Loop() {
				measure(b, ratchet, engine)
			}
		})
	}
}

// ratchetOf builds the command.
func ratchetOf(b *testing.B) string {
	b.Helper()
	file := filepath.Join(b.TempDir(), "ratchet")
	cmd := exec.CommandContext(b.Context(), "go", "build", "-o", file, "ratchet/cmd/ratchet")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return file
}

func measure(b *testing.B, ratchet, engine string) {
	b.Helper()
	beside := func() usage { return usage{} }
	if engine == "embedded" {
		alone := run(b, ratchet, "clickhouse", "--addr", "127.0.0.1:0", "--data", b.TempDir())
		alone.await(b, `ready`)
		beside = func() usage { return used(b, family(alone.pid)...) }
	}
	box := run(b, ratchet, "up", "--simulate", "--rate", "5", "--data", b.TempDir(), "--clickhouse", engine,
		"--clickhouse-addr", "127.0.0.1:0", "--nats", "127.0.0.1:0", "--nats-monitor", "127.0.0.1:0")
	monitor := "http://" + box.await(b, `monitoring http://(\S+)`)
	box.await(b, `Ready`)
	time.Sleep(settle)
	lines := box.lines()
	before, self, idle, nats := used(b, family(box.pid)...), used(b, box.pid), beside(), figuresOf(b, monitor)
	began := time.Now()
	time.Sleep(duration(b))
	took := time.Since(began).Seconds()
	after, selfAfter, idled, natsAfter := used(b, family(box.pid)...), used(b, box.pid), beside(), figuresOf(b, monitor)
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
	b.ReportMetric(float64(box.lines()-lines)/took*60, "lines/min")
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

// spoken is a command under way and what it has printed.
type spoken struct {
	pid int
	mu  sync.Mutex
	out bytes.Buffer
}

func (p *spoken) Write(body []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(body)
}

func (p *spoken) lines() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Count(p.out.Bytes(), []byte("\n"))
}

// run starts a command that ends with the benchmark.
func run(b *testing.B, name string, args ...string) *spoken {
	b.Helper()
	p := &spoken{}
	cmd := exec.CommandContext(b.Context(), name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	b.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGTERM) // it may have ended
		_ = cmd.Wait()
		if b.Failed() {
			b.Logf("%s %s printed\n%s", name, args[0], p.out.String())
		}
	})
	return p
}

// await returns the first group of what the command prints, or all of it.
func (p *spoken) await(b *testing.B, pattern string) string {
	b.Helper()
	want := regexp.MustCompile(pattern)
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		p.mu.Lock()
		m := want.FindStringSubmatch(p.out.String())
		p.mu.Unlock()
		if m != nil {
			return m[len(m)-1]
		}
	}
	b.Fatalf("it does not print %q:\n%s", pattern, p.out.String())
	return ""
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
