package chtest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"ratchet/pipeline/platform/embedded/clickhouse"
)

// go test ends a test that hangs with the engine, and reports where the test was but not what the engine did. So
// shortly before, the engine's state is logged and the engine is stopped: the test that waits for it fails by name.

// before is how long before the tests' deadline that happens.
const before = 45 * time.Second

// dumpBefore logs the engine's state shortly before the tests' deadline; without a deadline it does nothing.
func (e *Engine) dumpBefore(t testing.TB, w io.Writer) {
	limited, ok := t.(interface{ Deadline() (time.Time, bool) })
	if !ok { // a benchmark
		return
	}
	end, ok := limited.Deadline()
	if !ok {
		return
	}
	time.AfterFunc(time.Until(end.Add(-before)), func() {
		fmt.Fprintln(w, "engine: the tests' deadline is near; its state follows, then it is stopped")
		e.dump(w)
		_ = e.cmd.Process.Kill() // it has ended if this fails
	})
}

// states are queries for what an engine may be waiting for.
var states = []string{
	"SELECT query_id, elapsed, is_cancelled, query FROM system.processes ORDER BY elapsed DESC FORMAT Vertical",
	"SELECT database, table, elapsed, progress, result_part_name, is_mutation FROM system.merges FORMAT TSVWithNames",
	"SELECT database, table, mutation_id, command, parts_to_do, latest_fail_reason FROM system.mutations WHERE NOT is_done FORMAT TSVWithNames",
	"SELECT database, table, table_dropped_time FROM system.dropped_tables FORMAT TSVWithNames",
	"SELECT database, table, log_name, elapsed_ms, scheduled, delayed, executing FROM system.background_schedule_pool FORMAT TSVWithNames",
}

// dump writes the state of the engine: its own tables, its threads, and the stacks of its requests.
func (e *Engine) dump(w io.Writer) {
	say := func(what, output string) {
		for line := range strings.Lines(output) {
			fmt.Fprintf(w, "engine: %s: %s\n", what, strings.TrimRight(line, "\n"))
		}
	}
	for _, sql := range states {
		from := strings.Fields(sql[strings.Index(sql, " FROM ")+6:])[0]
		say(from, e.ask(sql))
	}
	say("thread", e.threads())
	if e.cmd.Process.Signal(syscall.SIGQUIT) != nil {
		return // it has ended
	}
	words := filepath.Join(e.Data, "stderr")
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		if b, err := os.ReadFile(words); err == nil && strings.Contains(string(b), "\nrax ") { // the registers come last
			break
		}
	}
	b, err := os.ReadFile(words)
	if err != nil {
		say("stacks", err.Error())
		return
	}
	for stack := range strings.SplitSeq(string(b), "\n\n") {
		if strings.Contains(stack, "/httpd.") {
			say("stack", calls(stack))
		}
	}
}

// calls returns the functions of a goroutine's stack in one line.
func calls(stack string) string {
	var names []string
	for line := range strings.Lines(stack) {
		name, _, _ := strings.Cut(line, "(0x")
		if name, _, _ = strings.Cut(name, "({"); !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, "runtime.") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return strings.Join(names, " < ")
}

// ask returns the answer to a query, or the reason why it is missing: the engine may be unable to answer.
func (e *Engine) ask(sql string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	output, err := e.post(ctx, sql)
	if err != nil {
		return err.Error()
	}
	return output
}

func (e *Engine) post(ctx context.Context, sql string) (string, error) {
	at := strings.TrimSuffix(e.URL, "/"+clickhouse.Database)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}

// threads returns the engine's threads by name, state and what they wait for, as far as the system reports it.
func (e *Engine) threads() string {
	count := map[string]int{}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", e.cmd.Process.Pid)) // the pattern is well formed
	for _, task := range tasks {
		read := func(name string) string {
			b, _ := os.ReadFile(filepath.Join(task, name)) // the thread may have ended
			return strings.TrimSpace(string(b))
		}
		_, after, _ := strings.Cut(read("stat"), ") ")
		state, _, _ := strings.Cut(after, " ")
		count[read("comm")+" "+state+" "+read("wchan")]++
	}
	var b strings.Builder
	for _, one := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(&b, "%d %s\n", count[one], one)
	}
	return b.String()
}
