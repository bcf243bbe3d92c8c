// Package chtest gives tests a real ClickHouse: the server that CLICKHOUSE_TEST_URL
// names, or else one embedded engine for each test process, in a child of it.
package chtest

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline/embedded/clickhouse"
)

// childData tells a re-executed test binary that it is the engine, and where.
const childData = "RATCHET_CHTEST_DATA"

// The engine needs a process of its own and a test binary is the only program that a
// test surely has. Doing this here saves every package that tests against ClickHouse
// a TestMain.
func init() {
	data := os.Getenv(childData)
	if data == "" {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		// The parent says nothing: its end, however it comes, ends us.
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	err := clickhouse.Serve(ctx, clickhouse.ServeOptions{
		Lib: os.Getenv("CHDB_LIB_PATH"), Data: data, Addr: "127.0.0.1:0", Native: "127.0.0.1:0",
		Ready: func(url, native string) { fmt.Fprintln(os.Stdout, "ready", url, native) },
	})
	if e := os.RemoveAll(data); err == nil {
		err = e
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
	native string // the same by clickhouse://; empty: not known
	err    error
	life   io.Closer // the engine's stdin: it ends when this closes, with our process
	pid    int       // the engine's; 0 where it is not ours
}

// Server is the DSN of a ClickHouse that all tests of this process share. Where none
// can be had the test is skipped, or fails if CI=true.
func Server(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() { shared.url, shared.native, shared.err = server() })
	if shared.err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no ClickHouse to test against: %v", shared.err)
		}
		t.Skipf("no ClickHouse to test against: %v", shared.err)
	}
	return shared.url
}

// Native is the DSN of Server by the native protocol. Where a server is tested of which only HTTP's address is known,
// the test is skipped.
func Native(t testing.TB) string {
	t.Helper()
	Server(t)
	if shared.native == "" {
		t.Skip("CLICKHOUSE_TEST_URL names HTTP, and not where this server speaks its native protocol")
	}
	return shared.native
}

// Embedded reports whether Server is the embedded engine.
func Embedded() bool { return os.Getenv("CLICKHOUSE_TEST_URL") == "" }

func server() (url, native string, err error) {
	if set := os.Getenv("CLICKHOUSE_TEST_URL"); set != "" {
		if strings.HasPrefix(set, "http") {
			return set, "", nil
		}
		return set, set, nil
	}
	lib, err := clickhouse.Fetch(context.Background(), clickhouse.FetchOptions{Lib: os.Getenv("CHDB_LIB_PATH"), Progress: os.Stderr})
	if err != nil {
		return "", "", err
	}
	data, err := os.MkdirTemp("", "ratchet-chtest-")
	if err != nil {
		return "", "", err
	}
	return run(lib, data)
}

// run starts this binary again as the engine and returns its addresses.
func run(lib, data string) (url, native string, err error) {
	exe, err := os.Executable()
	if err != nil {
		return "", "", err
	}
	cmd := exec.CommandContext(context.Background(), exe) // it ends with its stdin
	cmd.Env = append(cmd.Environ(), childData+"="+data, "CHDB_LIB_PATH="+lib)
	if shared.life, err = cmd.StdinPipe(); err != nil {
		return "", "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", "", err
	}
	// Not our own stderr: go test waits until nobody holds that any more.
	words, err := os.Create(filepath.Join(data, "stderr"))
	if err != nil {
		return "", "", err
	}
	defer words.Close()
	cmd.Stderr = words
	if err := cmd.Start(); err != nil {
		return "", "", err
	}
	shared.pid = cmd.Process.Pid
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if ready, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			url, native, _ = strings.Cut(ready, " ")
			return url, native, nil
		}
		if failed, ok := strings.CutPrefix(lines.Text(), "failed "); ok {
			return "", "", errors.New(failed)
		}
	}
	said, _ := os.ReadFile(words.Name())
	return "", "", fmt.Errorf("the engine ended before it was ready: %w; it said: %s", cmd.Wait(), said)
}

// Resident is the memory that the engine holds and the most that it held since it started, bytes; zero where the engine is
// not ours or the system does not say.
func Resident() (now, most int64) {
	said, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", shared.pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(said)) {
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

// Database is the DSN of a new, empty database, which goes away with the test.
func Database(t testing.TB) string {
	t.Helper()
	return databaseAt(t, Server(t))
}

// Both are the DSNs of one new database, by whichever protocol the tests use and by the native one.
func Both(t testing.TB) (dsn, native string) {
	t.Helper()
	dsn = databaseAt(t, Server(t))
	at, err := url.Parse(Native(t))
	if err != nil {
		t.Fatalf("parse the test server's DSN: %v", err)
	}
	to, err := url.Parse(dsn)
	if err != nil {
		t.Fatalf("parse the test server's DSN: %v", err)
	}
	at.Path = to.Path
	return dsn, at.String()
}

func databaseAt(t testing.TB, base string) string {
	t.Helper()
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
