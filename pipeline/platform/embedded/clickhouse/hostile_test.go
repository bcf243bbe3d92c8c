package clickhouse_test

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"ratchet/pipeline/platform/embedded/clickhouse"
)

// Misbehaving clients. None of them may hold a statement, a slot or the shutdown.

// endless never ends and yields nothing; flood never ends and
// yields more than a socket buffers. The word distinguishes them.
const (
	endless = "SELECT toUInt8(count()) FROM system.numbers WHERE number % 7 = 8 AND 'WORD' != ''"
	flood   = "SELECT toUInt8(number) FROM system.numbers WHERE 'WORD' != ''"
)

// connect opens a bare connection to the server, for twenty seconds at most.
func connect(t *testing.T, dsn string) net.Conn {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// awaitQuery waits until a query with the word runs.
func awaitQuery(t *testing.T, dsn, word string) {
	t.Helper()
	c := open(t, dsn)
	for until := time.Now().Add(time.Minute); running(t, c, word) == 0; {
		if time.Now().After(until) {
			t.Fatal("the query never began")
		}
	}
}

// running returns how many queries with the word run.
func running(t *testing.T, c driver.Conn, word string) uint64 {
	t.Helper()
	return one[uint64](t, c, "SELECT count() FROM system.processes WHERE query LIKE '%"+word+"%' AND query NOT LIKE '%processes%'")
}

// wantGone waits until nothing with the word runs.
func wantGone(t *testing.T, what, dsn, word string) {
	t.Helper()
	c := open(t, dsn)
	for until := time.Now().Add(time.Minute); running(t, c, word) != 0; {
		if time.Now().After(until) {
			t.Fatalf("%s: the statement still runs", what)
		}
	}
}

// post sends the beginning of a request over HTTP and leaves it open.
func post(t *testing.T, dsn, sql, body string, announced int) net.Conn {
	t.Helper()
	conn := connect(t, dsn)
	if _, err := fmt.Fprintf(conn, "POST /?query=%s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s", url.QueryEscape(sql), announced, body); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestAStatementEndsWithItsClientWhateverItIs(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	for word, sql := range map[string]string{
		"has its own log comment": endless + " SETTINGS log_comment = 'mine'",
		"leaves in the flood":     flood,
	} {
		conn := post(t, dsn, strings.Replace(sql, "WORD", word, 1), "", 0)
		awaitQuery(t, dsn, word)
		_ = conn.Close()
		wantGone(t, "a client that "+word, dsn, word)
	}
}

// The server reads no further than the byte, and the statement yields nothing.
func TestAClientThatSentMoreThanItsRequestIsNoticedWhenItLeaves(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	conn := post(t, dsn, strings.Replace(endless, "WORD", "more than asked", 1), "", 0)
	awaitQuery(t, dsn, "more than asked")
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	wantGone(t, "a client that sent more than its request", dsn, "more than asked")
}

func TestAClientThatClosedItsHalfAndReadsNothingLosesItsPlaceSoon(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir()) // a client may be silent for minutes
	c := open(t, s.URL())
	var conns []net.Conn
	for range 31 { // all slots but one, which is for the queries about them
		conns = append(conns, post(t, s.URL(), strings.Replace(flood, "WORD", "half closed", 1), "", 0))
	}
	for until := time.Now().Add(time.Minute); running(t, c, "half closed") < 31; {
		if time.Now().After(until) {
			t.Fatal("they never began")
		}
	}
	read := func() uint64 {
		return one[uint64](t, c, "SELECT sum(read_rows) + sleep(0.5) FROM system.processes WHERE query LIKE '%half closed%' AND query NOT LIKE '%processes%'")
	}
	for before := uint64(0); ; { // until all of them wait for their clients to read
		now := read()
		if now == before && now > 0 {
			break
		}
		before = now
	}
	for _, conn := range conns {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	// With one slot, eight take 24 seconds.
	for until := time.Now().Add(time.Minute); ; {
		began := time.Now()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { want(t, "its answer", call(t, s.URL(), "POST", nil, "SELECT sleep(3)").body, "0\n") })
		}
		all.Wait()
		if time.Since(began) < 15*time.Second {
			return
		}
		if time.Now().After(until) {
			t.Fatal("the places are taken still")
		}
	}
}

func TestAClientThatNeitherSendsNorReadsIsGivenUp(t *testing.T) {
	t.Parallel()
	s := startAs(t, clickhouse.StartOptions{Data: t.TempDir(), Env: []string{silence + "=1s"}})
	post(t, s.URL(), strings.Replace(flood, "WORD", "unread", 1), "", 0)
	awaitQuery(t, s.URL(), "unread")
	wantGone(t, "a client that does not read", s.URL(), "unread")

	slow := post(t, s.URL(), "", "SELECT 1", 100)
	b, _ := io.ReadAll(slow) // the end is enough
	if !strings.Contains(string(b), "NETWORK_ERROR") {
		t.Errorf("a body that does not come: it says %q", b)
	}
	want(t, "a client may be silent while its statement runs", call(t, s.URL(), "POST", nil, "SELECT sleep(2)").body, "0\n")
}

// A decompressor or a form reader is finished before the request's body is.
func TestABodyOfWhichOnlyTheEndDoesNotComeIsGivenUp(t *testing.T) {
	t.Parallel()
	s := startAs(t, clickhouse.StartOptions{Data: t.TempDir(), Env: []string{silence + "=1s"}})
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	_, _ = z.Write([]byte("SELECT 1")) // a buffer takes it
	_ = z.Close()
	form := "--b\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\nSELECT 1\r\n--b--\r\n"
	for what, body := range map[string]struct{ header, sent string }{
		"packed": {"Content-Encoding: deflate", packed.String()},
		"a form": {"Content-Type: multipart/form-data; boundary=b", form},
	} {
		for end, says := range map[string]string{"": "NETWORK_ERROR", "0\r\n\r\n": "200 OK", fmt.Sprintf("%x\r\n%s\r\n", 1<<20, strings.Repeat("x", 1<<20)): "NETWORK_ERROR"} {
			conn := connect(t, s.URL())
			_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n%s", body.header, len(body.sent), body.sent, end)
			if got := answered(conn); !strings.Contains(got, says) {
				t.Errorf("%s, then %.9q: it says %q", what, end, got)
			}
		}
	}
	refused := connect(t, s.URL())
	_, _ = fmt.Fprint(refused, "POST /nowhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n") // the answer tells
	if got := answered(refused); !strings.Contains(got, "404") {
		t.Errorf("an unread body: got %q", got)
	}
}

// answered returns an HTTP answer, or why there is none.
func answered(conn net.Conn) string {
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	b, _ := io.ReadAll(r.Body) // what arrived is enough
	return r.Status + " " + string(b)
}

func TestBodiesThatDoNotComeTakeNoPlaces(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	for range 40 {
		post(t, s.URL(), "", "SELECT 1", 100)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := try(ctx, s.URL(), "POST", nil, strings.NewReader("SELECT 1"))
	if err != nil || r.body != "1\n" {
		t.Errorf("got %q, %v", r.body, err)
	}
}

func TestTheEndDoesNotWaitForAClientThatNeitherSendsNorReads(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	post(t, s.URL(), strings.Replace(flood, "WORD", "until the end", 1), "", 0)
	post(t, s.URL(), "", "SELECT 1", 100)
	awaitQuery(t, s.URL(), "until the end")
	began := time.Now()
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
}

func TestALongParameterOfAFormArrivesCompletely(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	_ = form.WriteField("query", "SELECT length({p:String})") // a buffer takes it
	_ = form.WriteField("param_p", strings.Repeat("x", 3<<20))
	_ = form.Close()
	r := call(t, dsn, "POST", nil, b.String(), "Content-Type", form.FormDataContentType())
	want(t, "its length", r.body, "3145728\n")
}

func TestABodyInZstdTakesNoMemoryByWhatItsHeadClaims(t *testing.T) {
	t.Parallel()
	embeddedOnly(t, "it takes larger windows")
	head := "\x28\xb5\x2f\xfd\x00\x98" // a window of 512 MiB
	r := call(t, byHTTP(t), "POST", nil, head+"\x41\x00\x00SELECT 1", "Content-Encoding", "zstd")
	if r.status != 400 || !strings.Contains(r.body, "window") {
		t.Errorf("got %d %s", r.status, r.body)
	}
}

func TestManyClientsAskAtOnce(t *testing.T) {
	t.Parallel()
	c := open(t, byHTTP(t), func(o *chgo.Options) { o.MaxOpenConns, o.MaxIdleConns = 50, 50 })
	exec(t, c, "CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			b, err := c.PrepareBatch(t.Context(), "INSERT INTO t")
			if err == nil {
				err = errors.Join(b.Append(uint32(i)), b.Send())
			}
			var n uint32
			if err == nil {
				err = c.QueryRow(t.Context(), "SELECT a FROM t WHERE a = ?", i).Scan(&n)
			}
			if err != nil || n != uint32(i) {
				t.Errorf("client %d: got %d, %v", i, n, err)
			}
		})
	}
	all.Wait()
	want(t, "rows", one[uint64](t, c, "SELECT uniqExact(a) FROM t"), 50)
}
