package clickhouse_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline/embedded/clickhouse"
	"ratchet/pipeline/embedded/clickhouse/chtest"
)

// What the native protocol does that HTTP has not. The contract holds for both.

func nativeOf(t *testing.T) string {
	t.Helper()
	_, native := chtest.Both(t)
	return native
}

func with(t *testing.T, dsn string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	change(u)
	return u.String()
}

func pings(t *testing.T, dsn string) error {
	t.Helper()
	return open(t, dsn).Ping(t.Context())
}

func TestNativelyAStrangerAndAnUnknownDatabaseAreRefusedByName(t *testing.T) {
	t.Parallel()
	dsn := nativeOf(t)
	if err := pings(t, dsn); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a stranger", pings(t, with(t, dsn, func(u *url.URL) { u.User = url.UserPassword("nobody", "hunter2") })), 516)
	wantCode(t, "a database that is not there", pings(t, with(t, dsn, func(u *url.URL) { u.Path = "/nope" })), 81)
}

func TestNativelyAnExceptionLeavesTheConnectionUsable(t *testing.T) {
	t.Parallel()
	c := open(t, nativeOf(t), func(o *chgo.Options) { o.MaxOpenConns = 1 })
	exec(t, c, "CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	for range 3 {
		wantCode(t, "before the first block", c.Exec(t.Context(), "SELECT nope"), 47)
		rows, err := c.Query(t.Context(), "SELECT throwIf(number = 500000) FROM numbers(1000000)")
		if err == nil {
			for rows.Next() {
			}
			err = rows.Err()
		}
		wantCode(t, "in the middle", err, 395)
		_, err = c.PrepareBatch(t.Context(), "INSERT INTO nope")
		wantCode(t, "an INSERT into nothing", err, 60)
		if chtest.Embedded() { // a server leaves the clause to the client
			wantCode(t, "a file", c.Exec(t.Context(), "SELECT 1 INTO OUTFILE '/tmp/ratchet-must-not-exist'"), 1)
		}
		unknown := chgo.Context(t.Context(), chgo.WithSettings(chgo.Settings{"max_nope": 1}))
		wantCode(t, "an unknown setting", c.Exec(unknown, "SELECT 1"), 115)
		readonly := chgo.Context(t.Context(), chgo.WithSettings(chgo.Settings{"readonly": 2}))
		wantCode(t, "read-only", c.Exec(readonly, "INSERT INTO t VALUES (1)"), 164)
		b, err := c.PrepareBatch(readonly, "INSERT INTO t")
		if err == nil {
			err = errors.Join(b.Append(uint32(1)), b.Send())
		}
		wantCode(t, "a read-only batch", err, 164)
		want(t, "the next answer", one[uint64](t, c, "SELECT count() FROM t"), 0)
	}
}

func TestNativelyAnAnswerWithoutRowsHasItsColumns(t *testing.T) {
	t.Parallel()
	c := open(t, nativeOf(t))
	for sql, columns := range map[string][]string{
		"SELECT 1 AS a, 'x' AS b WHERE 0; -- nothing":                {"a", "b"},
		"WITH 1 AS x SELECT x AS a WHERE 0 SETTINGS max_threads = 1": {"a"},
		"SHOW TABLES":                      {"name"},
		"SELECT 1 AS format WHERE 0":       {"format"},
		"SELECT 1 AS a WHERE 0 FORMAT CSV": {"a"},
		"(SELECT 1 AS a WHERE 0)":          {"a"},
	} {
		rows, err := c.Query(t.Context(), sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if got := rows.Columns(); !slices.Equal(got, columns) || rows.Next() {
			t.Errorf("%s: got columns %v", sql, got)
		}
		_ = rows.Close()
	}
	want(t, "a FORMAT clause is the client's", one[uint8](t, c, "SELECT 7 FORMAT JSON SETTINGS max_threads = 1"), 7)
}

func TestNativelyAnInsertTakesItsDataFromItsTextToo(t *testing.T) {
	t.Parallel()
	c := open(t, nativeOf(t))
	exec(t, c, "CREATE TABLE t (a UInt32, s String DEFAULT 'd', m UInt32 MATERIALIZED a + 1) ENGINE = MergeTree ORDER BY a")
	exec(t, c, "INSERT INTO t VALUES (1, 'a\n\nb'), (2, 'c');")
	exec(t, c, "INSERT INTO t (a) SETTINGS max_threads = 1 FORMAT JSONEachRow {\"a\": 3}")
	exec(t, c, "INSERT INTO t (s, a) SELECT 'x', 4")
	exec(t, c, "INSERT INTO FUNCTION null('a UInt8') SELECT 1")
	for _, into := range []string{"INSERT INTO t (s, a)", "INSERT INTO TABLE t (s, a) VALUES"} {
		b, err := c.PrepareBatch(t.Context(), into)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(b.Append("y", uint32(5)), b.Flush(), b.Append("z", uint32(6)), b.Send()); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "rows", one[string](t, c, "SELECT arrayStringConcat(groupArray(toString(a) || s || toString(m)), ' ') FROM (SELECT a, s, m FROM t ORDER BY a, s)"),
		"1a\n\nb2 2c3 3d4 4x5 5y6 5y6 6z7 6z7")
}

// clickhouse-client reads JSON and CSV itself and works out what they leave out, by what it is told before it is asked for blocks.
func TestNativelyAnInsertIsToldTheDefaultsOfItsTable(t *testing.T) {
	t.Parallel()
	dsn := nativeOf(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	table := strings.Trim(u.Path, "/") + ".t"
	exec(t, open(t, dsn), "CREATE TABLE "+table+" (a UInt32, `b c` Enum8('x y' = 1), s String DEFAULT 'it''s' || toString(a), m UInt32 MATERIALIZED a + 1) ENGINE = MergeTree ORDER BY a")
	r := dial(t, dsn)
	r.hello(rawRevision)
	r.query("INSERT INTO " + table + " (a, s) FORMAT JSONEachRow")
	want(t, "the packet before the block", r.code(), proto.ServerCodeTableColumns)
	var told proto.TableColumns
	if err := told.DecodeAware(r.in, rawRevision); err != nil {
		t.Fatal(err)
	}
	want(t, "the table", told.Second, "columns format version: 1\n4 columns:\n`a` UInt32\n`b c` Enum8(\\'x y\\' = 1)\n"+
		"`s` String\tDEFAULT\tconcat(\\'it\\\\\\'s\\', toString(a))\n`m` UInt32\tMATERIALIZED\ta + 1\n")
	want(t, "then the block", r.code(), proto.ServerCodeData)
}

func TestNativelyAnAbandonedBatchInsertsNothing(t *testing.T) {
	t.Parallel()
	c := open(t, nativeOf(t))
	exec(t, c, "CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	b, err := c.PrepareBatch(t.Context(), "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Append(uint32(1)), b.Flush(), b.Abort()); err != nil {
		t.Fatal(err)
	}
	want(t, "rows", one[uint64](t, c, "SELECT count() FROM t"), 0)
}

// raw speaks the protocol without a driver.
type raw struct {
	t    *testing.T
	conn net.Conn
	in   *proto.Reader
}

func dial(t *testing.T, dsn string) *raw {
	t.Helper()
	conn := connect(t, dsn)
	return &raw{t, conn, proto.NewReader(conn)}
}

// connect is a bare connection to a door, for twenty seconds at most.
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

func (r *raw) send(fill func(*proto.Buffer)) {
	r.t.Helper()
	var b proto.Buffer
	fill(&b)
	if _, err := r.conn.Write(b.Buf); err != nil {
		r.t.Fatal(err)
	}
}

func (r *raw) code() proto.ServerCode {
	r.t.Helper()
	c, err := r.in.ReadByte()
	if err != nil {
		r.t.Fatal(err)
	}
	return proto.ServerCode(c)
}

const rawRevision = 54459

// hello shakes hands, as revision says.
func (r *raw) hello(revision int) proto.ServerHello {
	r.t.Helper()
	r.send(func(b *proto.Buffer) {
		proto.ClientHello{Name: "raw", ProtocolVersion: revision, User: "default"}.Encode(b)
	})
	if c := r.code(); c != proto.ServerCodeHello {
		r.t.Fatalf("got packet %s", c)
	}
	var h proto.ServerHello
	if err := h.DecodeAware(r.in, revision); err != nil {
		r.t.Fatal(err)
	}
	if revision >= int(proto.FeatureAddendum) {
		r.send(func(b *proto.Buffer) { b.PutString("") })
	}
	return h
}

func (r *raw) query(sql string, settings ...proto.Setting) {
	r.t.Helper()
	r.send(func(b *proto.Buffer) {
		proto.Query{Body: sql, Stage: proto.StageComplete, Settings: settings, Info: proto.ClientInfo{Interface: proto.InterfaceTCP, Query: proto.ClientQueryInitial}}.EncodeAware(b, rawRevision)
		proto.ClientCodeData.Encode(b)
		b.PutString("")
		proto.Block{}.EncodeAware(b, rawRevision)
	})
}

// ends reads packets up to the end of an answer of one UInt8 column: its rows, or the exception.
func (r *raw) ends() (rows int, fault *proto.Exception) {
	r.t.Helper()
	for {
		switch c := r.code(); c {
		case proto.ServerCodeEndOfStream:
			return rows, nil
		case proto.ServerCodeException:
			var e proto.Exception
			if err := e.DecodeAware(r.in, rawRevision); err != nil {
				r.t.Fatal(err)
			}
			return rows, &e
		case proto.ServerCodeProgress:
			var p proto.Progress
			if err := p.DecodeAware(r.in, rawRevision); err != nil {
				r.t.Fatal(err)
			}
		case proto.ServerCodeData:
			if _, err := r.in.Str(); err != nil {
				r.t.Fatal(err)
			}
			var block proto.Block
			var column proto.ColUInt8
			if err := block.DecodeBlock(r.in, rawRevision, proto.Results{{Data: &column}}); err != nil {
				r.t.Fatal(err)
			}
			rows += block.Rows
		default:
			r.t.Fatalf("got packet %s", c)
		}
	}
}

// awaitQuery waits until a query with the word runs, and returns how to ask how many do.
func awaitQuery(t *testing.T, dsn, word string) func() uint64 {
	t.Helper()
	c := open(t, dsn)
	running := func() uint64 {
		return one[uint64](t, c, "SELECT count() FROM system.processes WHERE query LIKE '%"+word+"%' AND query NOT LIKE '%processes%'")
	}
	for until := time.Now().Add(10 * time.Second); running() == 0; {
		if time.Now().After(until) {
			t.Fatal("the query never began")
		}
	}
	return running
}

func TestNativelyAQueryCanBeCalledOffAndTheConnectionGoesOn(t *testing.T) {
	t.Parallel()
	dsn := nativeOf(t)
	r := dial(t, dsn)
	h := r.hello(rawRevision)
	if chtest.Embedded() && h.Revision != rawRevision || h.Name != "ClickHouse" || h.Major < 24 || h.Timezone != "UTC" {
		t.Errorf("got hello %+v", h)
	}
	r.query("SELECT toUInt8(count()) FROM system.numbers WHERE number % 7 = 8 AND 'called off' != ''")
	running := awaitQuery(t, dsn, "called off")
	r.send(proto.ClientCodeCancel.Encode)
	if rows, fault := r.ends(); rows != 0 || fault != nil {
		t.Errorf("got %d rows, %v", rows, fault)
	}
	want(t, "still running", running(), 0)
	r.send(proto.ClientCodePing.Encode)
	if c := r.code(); c != proto.ServerCodePong {
		t.Errorf("got packet %s", c)
	}
	r.query("SELECT toUInt8(1)")
	if rows, fault := r.ends(); rows != 1 || fault != nil {
		t.Errorf("got %d rows, %v", rows, fault)
	}
}

func TestNativelyASilentStatementIsHeardOfAllTheSame(t *testing.T) {
	t.Parallel()
	embeddedOnly(t, "it sends the columns first")
	r := dial(t, nativeOf(t))
	r.hello(rawRevision)
	r.query("SELECT toUInt8(sleep(1))")
	want(t, "the first packet", r.code(), proto.ServerCodeProgress)
	var p proto.Progress
	if err := p.DecodeAware(r.in, rawRevision); err != nil {
		t.Fatal(err)
	}
	if rows, fault := r.ends(); rows != 1 || fault != nil {
		t.Errorf("got %d rows, %v", rows, fault)
	}
}

func TestNativelyTotalsComeApartFromTheRows(t *testing.T) {
	t.Parallel()
	c := open(t, nativeOf(t))
	iso := chgo.Context(t.Context(), chgo.WithSettings(chgo.Settings{"date_time_output_format": "iso"})) // how clients like to see times
	for sql, lines := range map[string]int{
		"SELECT toDateTime(intDiv(number, 4), 'UTC') AS k, count() FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k":             3,
		"SELECT toDateTime(number, 'UTC') AS k, count() FROM numbers(100000) GROUP BY k WITH TOTALS ORDER BY k":                    100000,
		"SELECT toDateTime(number, 'UTC') AS k, count() + 10 FROM numbers(10) WHERE number > 99 GROUP BY k WITH TOTALS ORDER BY k": 0,
	} {
		rows, err := c.Query(iso, sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		count := 0
		var k time.Time
		var n, sum uint64
		for ; rows.Next(); count++ {
			if err := rows.Scan(&k, &n); err != nil || k.Unix() != int64(count) {
				t.Fatalf("%s: row %d is of %s, %v", sql, count, k, err)
			}
			sum += n
		}
		want(t, sql, count, lines)
		if err := rows.Totals(&k, &n); err != nil || k.Unix() != 0 || n != max(sum, 10) {
			t.Errorf("%s: got totals %s and %d, %v; want %d", sql, k, n, err, sum)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestNativelySettingsThatNobodyInsistsOnMayBeUnknown(t *testing.T) {
	t.Parallel()
	r := dial(t, nativeOf(t))
	r.hello(rawRevision)
	r.query("SELECT toUInt8(getSetting('max_threads'))",
		proto.Setting{Key: "max_nope", Value: "1"}, proto.Setting{Key: "max_threads", Value: "3"}, proto.Setting{Key: "readonly", Value: "2", Important: true})
	if rows, fault := r.ends(); rows != 1 || fault != nil {
		t.Errorf("got %d rows, %v", rows, fault)
	}
	r.query("USE system")
	if _, fault := r.ends(); fault != nil {
		t.Error(fault)
	}
	r.query("SELECT toUInt8(1) FROM one WHERE currentDatabase() = 'system'")
	if rows, fault := r.ends(); rows != 1 || fault != nil {
		t.Errorf("USE holds for the connection: got %d rows, %v", rows, fault)
	}
}

func TestNativelyNonsenseEndsTheConnectionAndNothingElse(t *testing.T) {
	t.Parallel()
	embeddedOnly(t, "it has words of its own for nonsense")
	dsn := nativeOf(t)
	for what, send := range map[string]string{
		"a web page": "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nSELECT 1", "a wrong packet": "\x05", "an endless name": "\x00\xff\xff\xff\xff\xff\xff\xff\x7f",
		"half a hello": "\x00\x03raw",
	} {
		r := dial(t, dsn)
		r.send(func(b *proto.Buffer) { b.PutRaw([]byte(send)) })
		if half, ok := r.conn.(*net.TCPConn); ok {
			_ = half.CloseWrite()
		}
		var said [4096]byte
		n, _ := r.conn.Read(said[:])
		if strings.Contains(string(said[:n]), "panic") || what == "a web page" && !strings.Contains(string(said[:n]), "native protocol") {
			t.Errorf("%s: it said %q", what, said[:n])
		}
	}
	r := dial(t, dsn)
	r.hello(rawRevision)
	r.send(func(b *proto.Buffer) { b.PutByte(99) })
	if c := r.code(); c != proto.ServerCodeException {
		t.Errorf("an unknown packet: got %s", c)
	}
	old := dial(t, dsn)
	old.send(func(b *proto.Buffer) {
		proto.ClientHello{Name: "old", ProtocolVersion: 54000, User: "default"}.Encode(b)
	})
	if c := old.code(); c != proto.ServerCodeException {
		t.Errorf("a client of long ago: got %s", c)
	}
	want(t, "the others", one[uint8](t, open(t, dsn), "SELECT 9"), 9)
}

func TestNativelyManyClientsAskAtOnce(t *testing.T) {
	t.Parallel()
	c := open(t, nativeOf(t), func(o *chgo.Options) { o.MaxOpenConns, o.MaxIdleConns = 50, 50 })
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

func startBoth(t *testing.T, data string, env ...string) *clickhouse.Server {
	t.Helper()
	return startAs(t, clickhouse.StartOptions{Data: data, Native: "127.0.0.1:0", Env: env})
}

func TestBothDoorsCloseTogetherAndComeBackAfterACrash(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "password"), []byte("hunter2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startBoth(t, data)
	wrong := pings(t, with(t, s.NativeURL(), func(u *url.URL) { u.User = url.UserPassword("default", "guess-me") }))
	wantCode(t, "a wrong password", wrong, 516)
	if text := fmt.Sprint(wrong); strings.Contains(text, "hunter2") || strings.Contains(text, "guess-me") {
		t.Errorf("it says a password: %s", text)
	}
	c := open(t, s.NativeURL())
	exec(t, c, "CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	exec(t, c, "INSERT INTO t VALUES (1)")
	s.Crash()
	for until := time.Now().Add(60 * time.Second); ; {
		var n uint64
		if err := c.QueryRow(t.Context(), "SELECT count() FROM t").Scan(&n); err == nil && n == 1 {
			break
		} else if time.Now().After(until) {
			t.Fatal(n, err)
		}
	}
	idle, busy := dialAs(t, s.NativeURL()), dialAs(t, s.NativeURL())
	busy.query("SELECT toUInt8(count()) FROM system.numbers WHERE number % 7 = 8 AND 'busy' != ''")
	awaitQuery(t, s.URL(), "busy")
	began := time.Now()
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	if _, err := idle.in.ReadByte(); err == nil {
		t.Error("an idle connection outlived the server")
	}
	if _, fault := busy.ends(); fault == nil {
		t.Error("an endless query ended well")
	}
}

func TestATooManiethNativeClientIsToldSo(t *testing.T) {
	t.Parallel()
	s := startBoth(t, t.TempDir())
	const most = 256
	var open []*raw
	for range most {
		open = append(open, dialAs(t, s.NativeURL()))
	}
	wantCode(t, "one more", pings(t, s.NativeURL()), 202)
	_ = open[0].conn.Close()
	for until := time.Now().Add(10 * time.Second); pings(t, s.NativeURL()) != nil; {
		if time.Now().After(until) {
			t.Fatal("a place that was given up stays taken")
		}
	}
}

// dialAs shakes hands with the user and the password of the DSN.
func dialAs(t *testing.T, dsn string) *raw {
	t.Helper()
	r := dial(t, dsn)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	r.send(func(b *proto.Buffer) {
		proto.ClientHello{Name: "raw", ProtocolVersion: rawRevision, User: u.User.Username(), Password: password}.Encode(b)
	})
	var h proto.ServerHello
	if c := r.code(); c != proto.ServerCodeHello {
		t.Fatalf("got packet %s", c)
	}
	if err := h.DecodeAware(r.in, rawRevision); err != nil {
		t.Fatal(err)
	}
	r.send(func(b *proto.Buffer) { b.PutString("") })
	return r
}

func TestANativePortThatIsTakenIsNamedWithItsFlag(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, err = clickhouse.Start(t.Context(), clickhouse.StartOptions{
		Lib: chtest.Library(t), Data: t.TempDir(), Addr: "127.0.0.1:0", Native: taken.Addr().String(), Env: []string{role + "=engine"},
	})
	wantWords(t, err, "is taken", "--clickhouse-native")
	_, err = clickhouse.Start(t.Context(), clickhouse.StartOptions{Lib: chtest.Library(t), Data: t.TempDir(), Addr: "127.0.0.1:0", Native: "0.0.0.0:0"})
	wantWords(t, err, "other machines", "password")
}

func TestNativelyAnInsertOfColumnsThatTakeNothingIsRefusedBeforeItsData(t *testing.T) {
	t.Parallel()
	c := open(t, nativeOf(t))
	exec(t, c, "CREATE TABLE t (a UInt32, m UInt32 MATERIALIZED a + 1, l UInt32 ALIAS a, e UInt32 EPHEMERAL, d UInt32 DEFAULT e) ENGINE = MergeTree ORDER BY a")
	for _, column := range []string{"m", "l"} {
		_, err := c.PrepareBatch(t.Context(), "INSERT INTO t (a, "+column+")")
		wantCode(t, column, err, 44)
	}
	b, err := c.PrepareBatch(t.Context(), "INSERT INTO t (a, e)")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(b.Append(uint32(1), uint32(7)), b.Send()); err != nil {
		t.Fatal(err)
	}
	want(t, "what became of the ephemeral one", one[uint32](t, c, "SELECT d FROM t"), 7)
}
