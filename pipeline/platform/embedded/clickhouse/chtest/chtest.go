// Package chtest provides tests with a real ClickHouse: the server in CLICKHOUSE_TEST_URL,
// or else one embedded engine for each test process, in a child of it.
package chtest

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline/platform/embedded/clickhouse"
	"ratchet/pipeline/platform/machinetest"
)

// childData marks a re-executed test binary as the engine, with its directory; childKeeps keeps its data.
const (
	childData  = "RATCHET_CHTEST_DATA"
	childKeeps = "RATCHET_CHTEST_KEEPS"
)

// lifeline is the descriptor whose closing ends the engine: the engine reads it, and we close it.
const lifeline = 3

// The engine needs a process of its own, and every test has its
// test binary. Doing this in init saves each package a TestMain.
func init() {
	data := os.Getenv(childData)
	if data == "" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		// The parent writes nothing: its end, in any way, ends the engine.
		_, _ = io.Copy(io.Discard, os.NewFile(lifeline, "lifeline"))
		cancel()
	}()
	err := clickhouse.Serve(ctx, clickhouse.ServeOptions{
		Lib: os.Getenv("CHDB_LIB_PATH"), Data: data, Addr: "127.0.0.1:0",
		Ready: func(url string) { fmt.Fprintln(os.Stdout, "ready", url) },
	})
	if os.Getenv(childKeeps) == "" {
		// The engine may remove the contents of its directory but not the directory itself: sweep does that.
		if e := os.RemoveAll(data); err == nil && !errors.Is(e, fs.ErrPermission) {
			err = e
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stdout, "failed", strings.ReplaceAll(err.Error(), "\n", " "))
		os.Exit(1) //nolint:forbidigo // this is the main of the child
	}
	os.Exit(0) //nolint:forbidigo // this is the main of the child
}

var shared struct {
	once   sync.Once
	url    string
	err    error
	engine *Engine // nil if it is not ours
}

// An Engine is an embedded engine in a child of this process.
type Engine struct {
	URL  string // DSN of its database
	Data string // its directory

	cmd  *exec.Cmd
	life io.Closer // closing it, also by the end of our process, ends the engine
}

// Server returns the DSN of a ClickHouse that all tests of this process share. If none is available the test is
// skipped, or fails if CI=true. With -short only a named server is used, because an engine takes seconds to start.
func Server(t testing.TB) string {
	t.Helper()
	if testing.Short() && Embedded() {
		t.Skip("starts a ClickHouse engine")
	}
	shared.once.Do(func() { shared.url, shared.err = server(t) })
	if shared.err != nil {
		machinetest.Lacks(t, "no ClickHouse to test against: %v", shared.err)
	}
	return shared.url
}

// Embedded reports whether Server is the embedded engine.
func Embedded() bool { return os.Getenv("CLICKHOUSE_TEST_URL") == "" }

func server(t testing.TB) (url string, err error) {
	if set := os.Getenv("CLICKHOUSE_TEST_URL"); set != "" {
		return set, nil
	}
	lib, err := library()
	if err != nil {
		return "", err
	}
	sweep()
	data, err := os.MkdirTemp("", "ratchet-chtest-")
	if err != nil {
		return "", err
	}
	if shared.engine, err = start(lib, data); err != nil {
		return "", err
	}
	shared.engine.dumpBefore(t, os.Stderr)
	return shared.engine.URL, nil
}

// sweep removes the empty directories of earlier engines.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), "ratchet-chtest-*")) // the pattern is right
	for _, dir := range left {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Hour {
			_ = os.Remove(dir) // it is not empty, or already removed
		}
	}
}

func library() (string, error) {
	return clickhouse.Fetch(context.Background(), clickhouse.FetchOptions{Lib: os.Getenv("CHDB_LIB_PATH"), Progress: os.Stderr})
}

// Library returns the path of the engine's library. If none is available the test is skipped, or fails if CI=true.
func Library(t testing.TB) string {
	t.Helper()
	lib, err := library()
	if err != nil {
		machinetest.Lacks(t, "no ClickHouse engine: %v", err)
	}
	return lib
}

// Own starts an engine that only this test uses, and may stop.
// If none is available the test is skipped, or fails if CI=true; with -short it is skipped.
func Own(t testing.TB) *Engine {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a ClickHouse engine")
	}
	lib := Library(t)
	e, err := start(lib, t.TempDir(), childKeeps+"=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Stop() })
	return e
}

// Stop stops the engine once its data is on disk.
func (e *Engine) Stop() error {
	if e.cmd == nil {
		return nil
	}
	cmd := e.cmd
	e.cmd = nil
	return errors.Join(e.life.Close(), cmd.Wait())
}

// start runs this binary again as the engine.
func start(lib, data string, env ...string) (*Engine, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	e := &Engine{Data: data}
	e.cmd = exec.CommandContext(context.Background(), exe) // the lifeline ends it
	e.cmd.Env = append(append(e.cmd.Environ(), childData+"="+data, "CHDB_LIB_PATH="+lib), env...)
	end, life, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer end.Close() // the engine has its own
	e.life, e.cmd.ExtraFiles = life, []*os.File{end}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	// Not our own stderr: go test waits until every process has closed that.
	words, err := os.Create(filepath.Join(data, "stderr"))
	if err != nil {
		return nil, err
	}
	defer words.Close()
	e.cmd.Stderr = words
	if err := e.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if ready, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			e.URL = ready
			return e, nil
		}
		if failed, ok := strings.CutPrefix(lines.Text(), "failed "); ok {
			return nil, errors.New(failed)
		}
	}
	output, _ := os.ReadFile(words.Name())
	return nil, fmt.Errorf("the engine ended before it was ready: %w; its output: %s", e.cmd.Wait(), output)
}

// Resident returns the memory of the engine and its maximum since the start,
// in bytes; zero if the engine is not ours or the system does not report it.
func Resident() (now, most int64) {
	if shared.engine == nil {
		return 0, 0
	}
	output, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", shared.engine.cmd.Process.Pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(output)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			now = kib << 10
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			most = kib << 10
		}
	}
	return now, most
}

// Database returns the DSN of a new, empty database, which is dropped with the test.
func Database(t testing.TB) string {
	t.Helper()
	base := Server(t)
	u, err := url.Parse(base)
	if err != nil {
		t.Fatalf("parse the test server's DSN: %v", err)
	}
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	name := "t_" + hex.EncodeToString(b[:])
	exec1(t, base, "CREATE DATABASE "+name)
	t.Cleanup(func() { exec1(t, base, "DROP DATABASE IF EXISTS "+name+" SYNC") })
	u.Path = "/" + name
	return u.String()
}

func exec1(t testing.TB, dsn, sql string) {
	t.Helper()
	o, err := chgo.ParseDSN(dsn)
	if err != nil {
		t.Fatalf("parse the test server's DSN: %v", err)
	}
	conn, err := chgo.Open(o)
	if err != nil {
		t.Fatalf("open ClickHouse: %v", err)
	}
	defer conn.Close()
	if err := conn.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}
