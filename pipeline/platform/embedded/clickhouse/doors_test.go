package clickhouse_test

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/access/accesstest"
	"ratchet/pipeline/platform/embedded/cage"
	"ratchet/pipeline/platform/embedded/clickhouse"
)

// Which clients are admitted, and what SQL can reach.

func TestAnotherUserNeitherReadsNorWrites(t *testing.T) {
	t.Parallel()
	data := accesstest.Open(t)
	s := start(t, data)
	c := open(t, s.URL())
	exec(t, c, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.Path = nil, "/"
	for _, sql := range []string{
		"SELECT 1", "SELECT * FROM ratchet.t", "INSERT INTO ratchet.t VALUES (1)", "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a Int')",
		"SYSTEM FLUSH LOGS", "KILL QUERY WHERE 1", "DROP TABLE ratchet.t",
	} {
		if said := accesstest.As(t, "post "+u.String()+" "+sql); !strings.HasPrefix(said, "403") || !strings.Contains(said, "refused: this is user 65534") {
			t.Errorf("%s: it says %q", sql, said)
		}
	}
	if said := accesstest.As(t, "get "+u.String()+"?user=default&query=SELECT+1"); !strings.HasPrefix(said, "403") {
		t.Errorf("by GET it says %q", said)
	}
	// The engine itself makes its files readable, and the operator may have made the directory.
	exec(t, c, "INSERT INTO t VALUES (1)")
	said := accesstest.As(t, "walk "+data)
	if refused, opened, _ := strings.Cut(said, " refused, opened: "); opened != "" || refused == "0" {
		t.Errorf("of a directory that every user may enter it reads: %s", said)
	}
	want(t, "rows", one[uint64](t, c, "SELECT count() FROM t"), 1)
}

func TestAGETWithoutCredentialsRunsNoSQL(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	c := open(t, s.URL())
	exec(t, c, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
	for _, params := range []url.Values{
		{"query": {"SELECT 1"}}, {"query": {"SELECT 1"}, "user": {"default"}, "password": {"x"}}, {"query": {"INSERT INTO t VALUES (1)"}, "session_id": {"x"}},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			r := call(t, s.URL(), method, params, "", "X-ClickHouse-User", "")
			if r.status != 403 || !r.closed || method == "GET" && !strings.Contains(r.body, "POST") {
				t.Errorf("%s %v: got %d %s, closed %t", method, params, r.status, r.body, r.closed)
			}
		}
	}
	// A link may hold a user and a password.
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("default", "x")
	want(t, "a link with a user", call(t, u.String(), "GET", url.Values{"query": {"SELECT 1"}}, "", "X-ClickHouse-User", "").status, 403)
	want(t, "with a header that no link has", call(t, s.URL(), "GET", url.Values{"query": {"SELECT 1"}}, "", "X-ClickHouse-User", "default").body, "1\n")
}

func TestOtherMachinesSpeakToTheEngineByTLSAlone(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := os.WriteFile(access.PasswordPath(data), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := accesstest.Another(t)
	cert, key := accesstest.Certificate(t, m.Here)
	s := startAs(t, clickhouse.StartOptions{Data: data, Addr: "0.0.0.0:0", TLS: access.TLS{Cert: cert, Key: key}})
	want(t, "from this machine, as the pipeline asks", one[uint8](t, open(t, s.URL()), "SELECT 1"), 1)
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	at := m.Here + ":" + u.Port() + "/ SELECT 1"
	for _, c := range []struct{ task, trusts, says string }{
		{"post https://default:s3cret@" + at, cert, "200 OK 1\n"},
		{"post https://default:s3cret@" + at, key, "error: "},
		{"post https://default@" + at, cert, "403"},
		{"post http://default:s3cret@" + at, cert, "error: "},
	} {
		if said := m.Ask(t, c.task, "SSL_CERT_FILE="+c.trusts); !strings.HasPrefix(said, c.says) {
			t.Errorf("%s: it says %.200q, want %q", c.task, said, c.says)
		}
	}
	// A replacement child reads its certificate from the files again.
	s.Crash()
	for s.Restarts() == 0 {
		time.Sleep(10 * time.Millisecond) // until it was noticed; the next request is answered when the new child is ready
	}
	want(t, "after a restart", m.Ask(t, "post https://default:s3cret@"+at, "SSL_CERT_FILE="+cert), "200 OK 1\n")
}

func TestWhatAPageSendsIsRefused(t *testing.T) {
	t.Parallel()
	embeddedOnly(t, "it has users and passwords instead")
	dsn := byHTTP(t)
	for _, c := range []struct {
		header []string
		status int
	}{
		{nil, 200},
		{[]string{"Host", "localhost:8123"}, 200},
		{[]string{"Host", "[::1]:8123"}, 200},
		{[]string{"Host", "LOCALHOST"}, 200},
		{[]string{"Host", "rebound.example.com:8123"}, 403},
		{[]string{"Host", "127.0.0.1.example.com"}, 403},
		{[]string{"Host", "0.0.0.0:8123"}, 403},
		{[]string{"Origin", "https://example.com"}, 403},
		{[]string{"Origin", "null"}, 403},
		{[]string{"Origin", "http://127.0.0.1:8123"}, 403},
		{[]string{"Origin", ""}, 403},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-site"}, 403},
		{[]string{"Sec-Fetch-Site", "unheard of"}, 403},
		{[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		{[]string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"}, 200},
	} {
		if r := call(t, dsn, "POST", nil, "SELECT 1", c.header...); r.status != c.status || r.closed != (c.status != 200) || r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v: got %d %s, closed %t", c.header, r.status, r.body, r.closed)
		}
	}
}

// reaching returns statements that reach out of the database: in them HERE is
// an address, SECRET a file of the data directory, NEW one that does not exist.
func reaching(t *testing.T) []string {
	t.Helper()
	b, err := os.ReadFile("../sqlcheck/testdata/reaching.sql")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

func TestSQLReachesNothingOutsideTheDatabase(t *testing.T) {
	t.Parallel()
	data, outside := t.TempDir(), t.TempDir()
	s := start(t, data)
	c := open(t, s.URL())
	exec(t, c, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var calls atomic.Int64
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			calls.Add(1)
			_ = conn.Close()
		}
	}()
	const secret = "display_name" // of the file in the data directory that the cage leaves open
	for _, sql := range reaching(t) {
		text := strings.NewReplacer("HERE", l.Addr().String(), "SECRET", filepath.Join(data, "engine.xml"), "NEW", filepath.Join(outside, "new")).Replace(sql)
		r := call(t, s.URL(), "POST", nil, text)
		if r.status == 200 || strings.Contains(r.body, secret) {
			t.Errorf("%s: got %d %s", text, r.status, r.body)
		}
	}
	for _, params := range []url.Values{
		{"default_format": {"Template"}, "format_template_row": {filepath.Join(data, "engine.xml")}},
		{"default_format": {"Template"}, "format_template_resultset": {filepath.Join(data, "engine.xml")}},
		{"default_format": {"Protobuf"}, "format_schema": {filepath.Join(data, "engine.xml") + ":x"}},
		{"default_format": {"Protobuf"}, "format_protobuf_use_autogenerated_schema": {"1"}, "output_format_schema": {filepath.Join(outside, "new.proto")}},
		{"additional_result_filter": {"toUInt8(file('" + filepath.Join(data, "engine.xml") + "'))"}},
		{"additional_table_filters": {"{'system.one': 'toUInt8(file(\\'" + filepath.Join(data, "engine.xml") + "\\'))'}"}},
		{"parallel_replicas_custom_key": {"file('" + filepath.Join(data, "engine.xml") + "')"}},
	} {
		r := call(t, s.URL(), "POST", params, "SELECT 1 AS a")
		if r.status == 200 || strings.Contains(r.body, secret) {
			t.Errorf("%v: got %d %s", params, r.status, r.body)
		}
	}
	want(t, "connections out", calls.Load(), 0)
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("files outside: %v, %v", left, err)
	}
	want(t, "rows", one[uint64](t, c, "SELECT count() FROM t"), 0)
	r := call(t, s.URL(), "POST", url.Values{"x_structure": {"a Int) ENGINE = File(CSV"}, "x_format": {"CSV"}, "query": {"SELECT 1"}},
		"--b\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n--b--\r\n", "Content-Type", "multipart/form-data; boundary=b")
	if r.status == 200 {
		t.Errorf("by an external table: got %d %s", r.status, r.body)
	}
}

func TestVALUESThatOnlySpeakOfFilesAreExpressionsStill(t *testing.T) {
	t.Parallel()
	c := open(t, byHTTP(t))
	exec(t, c, "CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
	exec(t, c, `INSERT INTO t VALUES (1 + 1, 'a file'), (3, concat('back\\slash', '; file'))`)
	exec(t, c, "INSERT INTO t VALUES (4, 'file') (5, 'without a comma')")
	want(t, "rows", one[string](t, c, "SELECT arrayStringConcat(arraySort(groupArray(toString(a) || s)), '|') FROM t"), `2a file|3back\slash; file|4file|5without a comma`)
	exec(t, c, "INSERT INTO t VALUES (6 + 1, 'file')"+strings.Repeat(", (8, 'file')", 1000))
	want(t, "many", one[uint64](t, c, "SELECT count() FROM t WHERE a > 6"), 1001)
}

// The first program of the engine's process is not restricted yet; only the second has the variables that it needs.
func TestTheLibraryIsLoadedAfterTheProcessIsRestricted(t *testing.T) {
	t.Parallel()
	if slices.Contains(cage.Missing(), "files") {
		t.Skip("this kernel lacks the layer: files")
	}
	log := filepath.Join(t.TempDir(), "ld")
	startAs(t, clickhouse.StartOptions{Data: t.TempDir(), Env: []string{"LD_DEBUG=libs", "LD_DEBUG_OUTPUT=" + log}})
	files, err := filepath.Glob(log + ".*")
	if err != nil || len(files) == 0 {
		t.Fatalf("the dynamic linker says nothing: %v", err)
	}
	for _, f := range files {
		body, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), "libchdb") {
			t.Error("an unrestricted process loaded the library")
		}
	}
}

// What the statement check lets through by mistake the kernel prevents.
func TestTheEnginesProcessIsCaged(t *testing.T) {
	t.Parallel()
	if slices.Contains(cage.Missing(), "files") {
		t.Skip("this kernel lacks the layer: files")
	}
	s := start(t, t.TempDir())
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Child()))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(status), "NoNewPrivs:\t1") {
		t.Error("the process did not restrict itself")
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.Child()))
	if err != nil || !strings.Contains(string(environ), "RATCHET_CAGED=1") {
		t.Errorf("its environment is %q, %v", environ, err)
	}
}
