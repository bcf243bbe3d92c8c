package clickhouse_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	osexec "os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline/platform/embedded/clickhouse"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
)

// role makes this binary, executed again, another program.
const role = "RATCHET_TEST_ROLE"

// standstill sets how long a merge may make no progress.
const standstill = "RATCHET_TEST_STANDSTILL"

// hangs names a file: an engine that starts while it exists never answers.
const hangs = "RATCHET_TEST_HANGS"

// silence sets how long the engine's clients may be silent.
const silence = "RATCHET_TEST_SILENCE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "engine":
		os.Exit(beEngine())
	case "parent":
		os.Exit(beParent())
	}
	os.Exit(m.Run())
}

// beEngine does what `ratchet clickhouse` does.
func beEngine() int {
	f := flag.NewFlagSet("clickhouse", flag.ExitOnError)
	var o clickhouse.ServeOptions
	f.StringVar(&o.Lib, "lib", "", "")
	f.StringVar(&o.Data, "data", "", "")
	f.StringVar(&o.Addr, "addr", "", "")
	f.StringVar(&o.TLS.Cert, "tls-cert", "", "")
	f.StringVar(&o.TLS.Key, "tls-key", "", "")
	if err := f.Parse(os.Args[2:]); err != nil {
		return 2
	}
	if _, err := os.Stat(os.Getenv(hangs)); err == nil {
		time.Sleep(time.Hour) // it is killed
	}
	o.Silence, _ = time.ParseDuration(os.Getenv(silence))       // empty: the default
	o.Standstill, _ = time.ParseDuration(os.Getenv(standstill)) // the same
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := clickhouse.Serve(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// beParent starts an engine and waits to be killed.
func beParent() int {
	s, err := clickhouse.Start(context.Background(), clickhouse.StartOptions{
		Lib: os.Getenv("LIB"), Data: os.Getenv("DATA"), Addr: "127.0.0.1:0", Env: []string{role + "=engine"},
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(s.Child())
	select {}
}

func start(t *testing.T, data string) *clickhouse.Server {
	t.Helper()
	return startAs(t, clickhouse.StartOptions{Data: data})
}

// startAs starts an engine of this binary, at an address of its own.
func startAs(t *testing.T, o clickhouse.StartOptions) *clickhouse.Server {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a ClickHouse engine")
	}
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	o.Lib, o.Env = chtest.Library(t), append(o.Env, role+"=engine")
	s, err := clickhouse.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	return s
}

func TestWhatWasAcknowledgedSurvivesAKilledEngine(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	c := open(t, s.URL())
	exec(t, c, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	for i := range 20 {
		exec(t, c, fmt.Sprintf("INSERT INTO t SELECT number FROM numbers(%d, 1000)", i*1000))
	}
	s.Crash()
	// The address stays open: the first answers may fail on connections that died, later ones wait for the new child.
	var n uint64
	for until := time.Now().Add(60 * time.Second); ; {
		err := c.QueryRow(t.Context(), "SELECT count() FROM t").Scan(&n)
		if err == nil {
			break
		}
		if time.Now().After(until) {
			t.Fatal(err)
		}
	}
	want(t, "rows", n, 20000)
	want(t, "restarts", s.Restarts(), 1)
}

func TestAnEngineThatHangsWhileItComesBackIsReplacedToo(t *testing.T) {
	t.Parallel()
	hang := filepath.Join(t.TempDir(), "hang")
	s := startAs(t, clickhouse.StartOptions{Data: t.TempDir(), Env: []string{hangs + "=" + hang}, ReadyWithin: 5 * time.Second})
	if err := os.WriteFile(hang, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Crash()
	for until := time.Now().Add(time.Minute); s.Restarts() < 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it was not replaced")
		}
	}
	if err := os.Remove(hang); err != nil {
		t.Fatal(err)
	}
	c := open(t, s.URL())
	for until := time.Now().Add(time.Minute); c.Ping(t.Context()) != nil; {
		if time.Now().After(until) {
			t.Fatal("the next one does not answer")
		}
	}
}

func TestAnEngineWhoseMergeStandsStillIsReplaced(t *testing.T) {
	t.Parallel()
	s := startAs(t, clickhouse.StartOptions{Data: t.TempDir(), Env: []string{standstill + "=2s"}})
	c := open(t, s.URL())
	exec(t, c, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
	exec(t, c, "INSERT INTO t SELECT number, '' FROM numbers(100)")
	slow := "sleepEachRow(0.029)" // 2.9 s a block, just below the limit
	exec(t, c, "ALTER TABLE t UPDATE s = toString("+slow+" + -"+slow+" + "+slow+" * 2 + "+slow+" * 3) WHERE 1 SETTINGS mutations_sync = 0")
	for until := time.Now().Add(time.Minute); s.Restarts() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it continues")
		}
	}
}

// The library would take it for every INSERT's data, and wait for more.
func TestTheStandardInputIsNotData(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a ClickHouse engine")
	}
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	engine := osexec.Command(exe, "clickhouse", "--lib", chtest.Library(t), "--data", t.TempDir(), "--addr", l.Addr().String())
	engine.Env = append(engine.Environ(), role+"=engine", clickhouse.Inherited+"=3")
	engine.ExtraFiles = []*os.File{socket}
	in, err := engine.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := engine.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = engine.Process.Kill() // it has ended if this fails
		_ = engine.Wait()
	})
	if _, err := io.WriteString(in, "7\n"); err != nil {
		t.Fatal(err)
	}
	dsn := "http://" + l.Addr().String() + "/" + clickhouse.Database
	c := open(t, dsn)
	exec(t, c, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := try(ctx, dsn, "POST", url.Values{"query": {"INSERT INTO t FORMAT TSV"}}, strings.NewReader("1\n"))
	if err != nil || r.status != 200 {
		t.Fatalf("it waits: %d %s %v", r.status, r.body, err)
	}
	want(t, "rows", one[uint64](t, c, "SELECT count() FROM t WHERE a = 1"), 1)
	want(t, "all of them", one[uint64](t, c, "SELECT count() FROM t"), 1)
}

func TestTheEngineEndsWithItsParent(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a ClickHouse engine")
	}
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("the kernel ends children with their parents on Linux only")
	}
	lib := chtest.Library(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := osexec.Command(exe)
	parent.Env = append(parent.Environ(), role+"=parent", "LIB="+lib, "DATA="+t.TempDir())
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	pid, e := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || e != nil {
		t.Fatalf("the parent said %q", line)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	for until := time.Now().Add(60 * time.Second); alive(pid); {
		if time.Now().After(until) {
			t.Fatalf("process %d outlived its parent", pid)
		}
	}
}

// alive reports whether a process exists and is not a zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestStartFailsWithAReason(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a ClickHouse engine")
	}
	t.Parallel()
	lib := chtest.Library(t)
	engine := []string{role + "=engine"}
	t.Run("taken port", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		_, err = clickhouse.Start(t.Context(), clickhouse.StartOptions{Lib: lib, Data: t.TempDir(), Addr: l.Addr().String(), Env: engine})
		wantWords(t, err, "port "+port, "is taken", "--clickhouse-addr")
	})
	t.Run("directory in use", func(t *testing.T) {
		t.Parallel()
		data := t.TempDir()
		start(t, data)
		_, err := clickhouse.Start(t.Context(), clickhouse.StartOptions{Lib: lib, Data: data, Addr: "127.0.0.1:0", Env: engine})
		wantWords(t, err, data, "another process is using this ClickHouse data directory", "--data")
	})
	t.Run("no library", func(t *testing.T) {
		t.Parallel()
		bad := filepath.Join(t.TempDir(), "libchdb.so")
		if err := os.WriteFile(bad, []byte("no library"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := clickhouse.Start(t.Context(), clickhouse.StartOptions{Lib: bad, Data: t.TempDir(), Addr: "127.0.0.1:0", Env: engine})
		wantWords(t, err, "cannot be loaded", "CHDB_LIB_PATH=", "ratchet up --clickhouse http://", "--clickhouse none")
	})
	t.Run("no such program", func(t *testing.T) {
		t.Parallel()
		_, err := clickhouse.Start(t.Context(), clickhouse.StartOptions{Lib: lib, Data: t.TempDir(), Addr: "127.0.0.1:0", Exe: "/does/not/exist"})
		wantWords(t, err, "/does/not/exist")
	})
	t.Run("an address for the world without a password", func(t *testing.T) {
		t.Parallel()
		_, err := clickhouse.Start(t.Context(), clickhouse.StartOptions{Lib: lib, Data: t.TempDir(), Addr: "0.0.0.0:0", Env: engine})
		wantWords(t, err, "password")
	})
	t.Run("no address", func(t *testing.T) {
		t.Parallel()
		_, err := clickhouse.Start(t.Context(), clickhouse.StartOptions{Lib: lib, Data: t.TempDir(), Addr: "8123", Env: engine})
		wantWords(t, err, "--clickhouse-addr", "host:port")
	})
}

func wantWords(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("got %v, want it to say %q", err, w)
		}
	}
}

func TestAPasswordIsAskedForWhereOneIsSet(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "password"), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, data)
	want(t, "the URL has it", one[uint8](t, open(t, s.URL()), "SELECT 1"), 1)
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User = nil
	bare := u.String()
	want(t, "none", call(t, bare, "POST", nil, "SELECT 1").status, 403)
	want(t, "wrong", call(t, bare, "POST", nil, "SELECT 1", "X-ClickHouse-User", "default", "X-ClickHouse-Key", "no").status, 403)
	want(t, "headers", call(t, bare, "POST", nil, "SELECT 1", "X-ClickHouse-User", "default", "X-ClickHouse-Key", "s3cret").status, 200)
	want(t, "parameters", call(t, bare, "POST", url.Values{"user": {"default"}, "password": {"s3cret"}}, "SELECT 1").status, 200)
	wrong := open(t, bare, func(o *chgo.Options) { o.Auth.Username, o.Auth.Password = "default", "no" })
	err = wrong.Ping(t.Context())
	wantCode(t, "the driver", err, 516)
	if strings.Contains(fmt.Sprint(err), "s3cret") {
		t.Errorf("it says the password: %v", err)
	}
}

func TestTheKeyOfKeepaIsNotInTheChildsEnvironment(t *testing.T) {
	t.Parallel()
	got := clickhouse.EngineEnv([]string{"PATH=/bin", "KEEPA_API_KEY=x", "CLICKHOUSE_URL=http://a:b@c", "RATCHET_CLICKHOUSE_FD=9", "RATCHET_TEST_ROLE=x"})
	if !slices.Equal(got, []string{"PATH=/bin", "RATCHET_TEST_ROLE=x"}) {
		t.Errorf("got %q", got)
	}
}
