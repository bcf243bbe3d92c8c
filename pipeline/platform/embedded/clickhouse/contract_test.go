package clickhouse_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	chgo "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
)

// The contract: what Ratchet, its operators and their tools require of ClickHouse. It runs
// against the embedded engine, and against a server if CLICKHOUSE_TEST_URL names one.

// embeddedOnly skips what a server does differently.
func embeddedOnly(t *testing.T, why string) {
	t.Helper()
	if !chtest.Embedded() {
		t.Skip("a server differs: " + why)
	}
}

// byHTTP returns a database reached over HTTP, the only protocol of the embedded
// engine. If the server under test uses the native protocol there is nothing to test.
func byHTTP(t *testing.T) string {
	t.Helper()
	dsn := chtest.Database(t)
	if !strings.HasPrefix(dsn, "http") {
		t.Skip("CLICKHOUSE_TEST_URL names the native protocol, and this is about HTTP")
	}
	return dsn
}

func open(t *testing.T, dsn string, change ...func(*chgo.Options)) driver.Conn {
	t.Helper()
	o, err := chgo.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(o)
	}
	c, err := chgo.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func exec(t *testing.T, c driver.Conn, sql string, args ...any) {
	t.Helper()
	if err := c.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// one returns the only value of a query.
func one[T any](t *testing.T, c driver.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := c.QueryRow(t.Context(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func want[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func wantCode(t *testing.T, what string, err error, code int32) {
	t.Helper()
	var e *chgo.Exception
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s: got %v, want code %d", what, err, code)
	}
}

// reply is a complete HTTP answer.
type reply struct {
	status int
	header http.Header
	body   string
	closed bool // the connection, by the server
}

// call sends a request as curl would: parameters in the URL, a body, header lines.
func call(t *testing.T, dsn, method string, params url.Values, body string, header ...string) reply {
	t.Helper()
	r, err := try(t.Context(), dsn, method, params, strings.NewReader(body), header...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func try(ctx context.Context, dsn, method string, params url.Values, body io.Reader, header ...string) (reply, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return reply{}, err
	}
	v := url.Values{"database": {strings.TrimPrefix(u.Path, "/")}}
	for k := range params {
		v.Set(k, params.Get(k))
	}
	u.Path, u.RawQuery = "/", v.Encode()
	if _, secret := u.User.Password(); !secret {
		u.User = nil // the user goes in a header
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return reply{}, err
	}
	if _, secret := u.User.Password(); method == http.MethodGet && !secret {
		req.Header.Set("X-ClickHouse-User", "default") // a GET without credentials runs no SQL
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, string(b), res.Close}, err
}

func TestTheDriverConnectsAndAsks(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	c := open(t, dsn)
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	v, err := c.ServerVersion()
	if err != nil || v.Version.Major < 24 {
		t.Errorf("version: %v, %v", v, err)
	}
	want(t, "one value", one[uint8](t, c, "SELECT 1"), 1)
	want(t, "? bind", one[string](t, c, "SELECT ?", "it's"), "it's")
	want(t, "$1 bind", one[string](t, c, "SELECT $1", `a\b`), `a\b`)
	want(t, "@name bind", one[string](t, c, "SELECT @x", chgo.Named("x", "y\n\nz")), "y\n\nz")
	ctx := chgo.Context(t.Context(), chgo.WithParameters(chgo.Parameters{"x": "7", "s": "a'b"}))
	var n int32
	var s string
	if err := c.QueryRow(ctx, "SELECT {x:Int32}, {s:String}").Scan(&n, &s); err != nil || n != 7 || s != "a'b" {
		t.Errorf("server-side parameters: got %d %q %v", n, s, err)
	}
	var none uint8
	if err := c.QueryRow(t.Context(), "SELECT 1 WHERE 0").Scan(&none); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("no rows: got %v", err)
	}
	var rows []struct {
		N uint64 `ch:"number"`
	}
	if err := c.Select(t.Context(), &rows, "SELECT number FROM numbers(3)"); err != nil || len(rows) != 3 || rows[2].N != 2 {
		t.Errorf("select into structs: got %v, %v", rows, err)
	}
	want(t, "time zone", one[string](t, c, "SELECT timezone()"), "UTC")
}

func TestAnAnswerOfManyBlocksArrivesCompletely(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	c := open(t, dsn)
	rows, err := c.Query(t.Context(), "SELECT number, toString(number) FROM numbers(1000000)")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var n, sum uint64
	for rows.Next() {
		var v uint64
		var s string
		if err := rows.Scan(&v, &s); err != nil {
			t.Fatal(err)
		}
		n, sum = n+1, sum+v
	}
	if rows.Err() != nil || n != 1000000 || sum != 499999500000 {
		t.Errorf("got %d rows, sum %d, %v", n, sum, rows.Err())
	}
}

func TestStatementsWithoutAResultRun(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	c := open(t, dsn)
	for _, sql := range []string{
		"CREATE TABLE t (a UInt32, s String) ENGINE = MergeTree ORDER BY a",
		"INSERT INTO t VALUES (1, 'x'), (2, 'y')",
		"INSERT INTO t SELECT number, 'n' FROM numbers(10)",
		"ALTER TABLE t ADD COLUMN b UInt8 DEFAULT 3",
		"OPTIMIZE TABLE t FINAL",
		"CREATE VIEW v AS SELECT a FROM t",
		"CREATE TABLE hourly (a UInt32, n AggregateFunction(groupBitmap, UInt64)) ENGINE = AggregatingMergeTree ORDER BY a",
		"CREATE MATERIALIZED VIEW mv TO hourly AS SELECT a, groupBitmapState(toUInt64(a)) AS n FROM t GROUP BY a",
		"DROP VIEW v",
		"TRUNCATE TABLE t",
		"DROP TABLE t SYNC",
	} {
		exec(t, c, sql)
	}
	for sql, columns := range map[string]int{
		"SHOW TABLES": 1, "SHOW DATABASES": 1, "EXPLAIN SELECT 1": 1, "DESCRIBE TABLE hourly": 7,
		"SHOW CREATE TABLE hourly": 1, "EXISTS hourly": 1,
	} {
		rows, err := c.Query(t.Context(), sql)
		if err != nil {
			t.Errorf("%s: %v", sql, err)
			continue
		}
		if !rows.Next() || len(rows.Columns()) < columns {
			t.Errorf("%s: got columns %v", sql, rows.Columns())
		}
		_ = rows.Close()
	}
}

// Every type goes from the engine to the driver and from the
// driver into a second table; both tables must read the same.
func TestEveryTypeGoesThroughTheDriverAndBack(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	c := open(t, dsn)
	types := []struct{ kind, value string }{
		{"UInt8", "255"},
		{"UInt16", "65535"},
		{"UInt32", "4294967295"},
		{"UInt64", "18446744073709551615"},
		{"UInt128", "toUInt128('340282366920938463463374607431768211455')"},
		{"UInt256", "pow(2, 200)::UInt256"},
		{"Int8", "-128"},
		{"Int16", "-32768"},
		{"Int32", "-2147483648"},
		{"Int64", "-9223372036854775808"},
		{"Int128", "toInt128('-170141183460469231731687303715884105728')"},
		{"Int256", "toInt256(-1)"},
		{"Float32", "1.5"},
		{"Float64", "-0.1"},
		{"BFloat16", "2.5"},
		{"Bool", "true"},
		{"String", `'a\n\nb\0ü'`},
		{"FixedString(10)", "'B000000001'"},
		{"Date", "'2024-02-29'"},
		{"Date32", "'1925-01-01'"},
		{"DateTime", "'2024-02-29 23:59:59'"},
		{"DateTime64(3, 'UTC')", "'2024-02-29 23:59:59.123'"},
		{"DateTime64(3, 'Asia/Tokyo')", "'2024-02-29 23:59:59.123'"},
		{"Decimal(18, 4)", "'12.3456'"},
		{"Decimal(38, 10)", "'-1.0000000001'"},
		{"UUID", "'61f0c404-5cb3-11e7-907b-a6006ad3dba0'"},
		{"IPv4", "'1.2.3.4'"},
		{"IPv6", "'2001:db8::1'"},
		{"Enum8('a' = 1, 'b' = 2)", "'b'"},
		{"Enum16('x' = 1000)", "'x'"},
		{"LowCardinality(String)", "'low'"},
		{"LowCardinality(Nullable(String))", "NULL"},
		{"Nullable(UInt32)", "NULL"},
		{"Nullable(String)", "'n'"},
		{"Array(UInt16)", "[1, 2, 3]"},
		{"Array(Array(String))", "[['a'], [], ['b', 'c']]"},
		{"Array(Nullable(Int8))", "[1, NULL]"},
		{"Map(String, UInt64)", "map('k', 1)"},
		{"Map(String, Array(String))", "map('k', ['v'])"},
		{"Tuple(UInt8, String)", "(1, 'x')"},
		{"Tuple(a UInt8, b String)", "(1, 'x')"},
		{"SimpleAggregateFunction(max, UInt32)", "9"},
		{"Point", "(1.5, 2.5)"},
		{"Variant(String, UInt64)", "42::UInt64"},
		{"Dynamic", "'text'"},
		{"JSON", `'{"a":{"b":1},"c":["x","y"],"d":"e"}'`},
	}
	for i, tc := range types {
		t.Run(tc.kind, func(t *testing.T) {
			from, to := fmt.Sprintf("f%d", i), fmt.Sprintf("t%d", i)
			exec(t, c, "CREATE TABLE "+from+" (v "+tc.kind+") ENGINE = MergeTree ORDER BY tuple()")
			exec(t, c, "CREATE TABLE "+to+" AS "+from)
			exec(t, c, "INSERT INTO "+from+" SELECT "+tc.value)
			rows, err := c.Query(t.Context(), "SELECT v FROM "+from)
			if err != nil {
				t.Fatal(err)
			}
			if !rows.Next() {
				t.Fatalf("no row: %v", rows.Err())
			}
			v := reflect.New(rows.ColumnTypes()[0].ScanType())
			if err := rows.Scan(v.Interface()); err != nil {
				t.Fatal(err)
			}
			_ = rows.Close()
			b, err := c.PrepareBatch(t.Context(), "INSERT INTO "+to)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Append(v.Elem().Interface()); err != nil {
				t.Fatal(err)
			}
			if err := b.Send(); err != nil {
				t.Fatal(err)
			}
			text := "SELECT toString(v) || dumpColumnStructure(v) FROM "
			if strings.HasPrefix(tc.kind, "LowCardinality(Null") || strings.HasPrefix(tc.kind, "Nullable") {
				text = "SELECT ifNull(toString(v), 'null') FROM "
			}
			want(t, tc.kind, one[string](t, c, text+to), one[string](t, c, text+from))
		})
	}
}

func TestBatchesOfEverySizeAndShapeArrive(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	c := open(t, dsn)
	exec(t, c, "CREATE TABLE t (a UInt32, s String, d UInt8 DEFAULT 5) ENGINE = MergeTree ORDER BY a")
	total := uint64(0)
	for _, n := range []int{1, 1000, 100000} {
		b, err := c.PrepareBatch(t.Context(), "INSERT INTO t (a, s) SETTINGS max_insert_block_size = 1000")
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			// Two line ends in the data must not end it, so that the rest runs as SQL.
			if err := b.Append(uint32(i)|0x0A0A, "x\n\nDROP TABLE t\n\n"); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Send(); err != nil {
			t.Fatal(err)
		}
		total += uint64(n)
		want(t, "rows", one[uint64](t, c, "SELECT count() FROM t WHERE d = 5 AND s = 'x\\n\\nDROP TABLE t\\n\\n'"), total)
	}
	b, err := c.PrepareBatch(t.Context(), "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	for i, column := range []any{[]uint32{1, 2}, []string{"a", "b"}, []uint8{7, 7}} {
		if err := b.Column(i).Append(column); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	want(t, "columnar", one[uint64](t, c, "SELECT count() FROM t WHERE d = 7"), 2)
	s, err := c.PrepareBatch(t.Context(), "INSERT INTO t (a, s)")
	if err != nil {
		t.Fatal(err)
	}
	row := struct {
		A uint32 `ch:"a"`
		S string `ch:"s"`
	}{9, "struct"}
	if err := errors.Join(s.AppendStruct(&row), s.Send()); err != nil {
		t.Fatal(err)
	}
	want(t, "struct", one[uint64](t, c, "SELECT count() FROM t WHERE s = 'struct'"), 1)
	async := chgo.Context(t.Context(), chgo.WithAsync(false))
	if err := c.Exec(async, "INSERT INTO t (a, s) VALUES (10, 'async')"); err != nil {
		t.Fatal(err)
	}
	if chtest.Embedded() { // a server may still hold it
		want(t, "async is durable at once", one[uint64](t, c, "SELECT count() FROM t WHERE s = 'async'"), 1)
	}
	if err := c.InsertFormat(t.Context(), "JSONEachRow", "INSERT INTO t", strings.NewReader("{\"a\":11,\"s\":\"fmt\"}\n\n{\"a\":12,\"s\":\"fmt\"}\n")); err != nil {
		t.Fatal(err)
	}
	want(t, "InsertFormat", one[uint64](t, c, "SELECT count() FROM t WHERE s = 'fmt'"), 2)
	r, err := c.QueryFormat(t.Context(), "CSV", "SELECT a FROM t WHERE s = 'fmt' ORDER BY a")
	if err != nil {
		t.Fatal(err)
	}
	csv, err := io.ReadAll(r)
	want(t, "QueryFormat", string(csv), "11\n12\n")
	if err != nil {
		t.Error(err)
	}
}

func TestCompressionWorksBothWays(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	for _, method := range []chgo.CompressionMethod{
		chgo.CompressionNone, chgo.CompressionLZ4, chgo.CompressionZSTD, chgo.CompressionGZIP, chgo.CompressionDeflate, chgo.CompressionBrotli,
	} {
		t.Run(method.String(), func(t *testing.T) { compresses(t, method, dsn) })
	}
}

func compresses(t *testing.T, method chgo.CompressionMethod, dsn string) {
	t.Helper()
	c := open(t, dsn, func(o *chgo.Options) { o.Compression = &chgo.Compression{Method: method, Level: 3} })
	exec(t, c, "CREATE OR REPLACE TABLE t (s String) ENGINE = MergeTree ORDER BY s")
	b, err := c.PrepareBatch(t.Context(), "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200000 {
		if err := b.Append(fmt.Sprint("row ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := c.Select(t.Context(), &got, "SELECT s FROM t"); err != nil {
		// Select needs structs for several columns; one column is read by rows.
		rows, err := c.Query(t.Context(), "SELECT s FROM t")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			got = append(got, s)
		}
		if rows.Err() != nil {
			t.Fatal(rows.Err())
		}
	}
	want(t, "rows", len(got), 200000)
	_, err = c.Query(t.Context(), "SELECT nope")
	wantCode(t, "an error", err, 47)
	rows, err := c.Query(t.Context(), "SELECT throwIf(number = 200000) FROM numbers(300000)")
	if err == nil {
		for rows.Next() {
		}
		err = rows.Err()
	}
	wantCode(t, "an error in the middle", err, 395)
}

func TestGzipGoesToAndFromCurl(t *testing.T) {
	t.Parallel()
	packed := new(bytes.Buffer)
	z := gzip.NewWriter(packed)
	_, _ = z.Write([]byte("SELECT 42"))
	_ = z.Close()
	r := call(t, byHTTP(t), "POST", url.Values{"enable_http_compression": {"1"}}, packed.String(), "Content-Encoding", "gzip")
	want(t, "gzip from and to curl", r.body, "42\n")
}

func TestErrorsHaveTheirCodesAndStatuses(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	c := open(t, dsn)
	exec(t, c, "CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	for _, tc := range []struct {
		name   string
		params url.Values
		body   string
		code   string
		status int
	}{
		{"unknown table", nil, "SELECT * FROM nope", "60", 404},
		{"unknown column", nil, "SELECT nope", "47", 404},
		{"syntax", nil, "SELEC 1", "62", 400},
		{"an expression is no query", nil, "1 + 1", "62", 400},
		{"two statements", nil, "SELECT 1; SELECT 2", "62", 400},
		{"unknown database", url.Values{"database": {"nope"}}, "SELECT 1", "81", 404},
		{"unknown setting", url.Values{"max_nope": {"1"}}, "SELECT 1", "115", 404},
		{"bad value of a setting", url.Values{"max_threads": {"many"}}, "SELECT 1", "27", 400},
		{"a setting that is none", url.Values{"a` = 1, `b": {"1"}}, "SELECT 1", "115", 404},
		{"time limit", url.Values{"max_execution_time": {"1"}}, "SELECT count() FROM system.numbers", "159", 408},
		{"memory limit", url.Values{"max_memory_usage": {"1000000"}}, "SELECT groupArray(number) FROM numbers(10000000)", "241", 500},
		{"bad data", nil, "INSERT INTO t FORMAT JSONEachRow\n{\"a\": \"x\"}", "", 400},
		{"wrong user", url.Values{"user": {"nobody"}, "password": {"x"}}, "SELECT 1", "516", 403},
		{"a file of the server", nil, "SELECT 1 INTO OUTFILE '/tmp/ratchet-must-not-exist'", "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := call(t, dsn, "POST", tc.params, tc.body)
			if r.status == 200 {
				t.Fatalf("accepted: %s", r.body)
			}
			if tc.code != "" {
				want(t, "code", r.header.Get("X-ClickHouse-Exception-Code"), tc.code)
				if chtest.Embedded() { // statuses differ between releases of the server
					want(t, "status", r.status, tc.status)
				}
			}
			if !strings.HasPrefix(r.body, "Code: ") {
				t.Errorf("got %q", r.body)
			}
		})
	}
	want(t, "nothing came of bad data", one[uint64](t, c, "SELECT count() FROM t"), 0)
	if _, err := os.Stat("/tmp/ratchet-must-not-exist"); err == nil {
		t.Error("INTO OUTFILE wrote a file")
	}
}

func TestAnErrorInTheMiddleIsReported(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	rows, err := open(t, dsn).Query(t.Context(), "SELECT throwIf(number = 500000) FROM numbers(1000000)")
	if err == nil {
		for rows.Next() {
		}
		err = rows.Err()
	}
	wantCode(t, "the driver", err, 395)
	const sql = "SELECT throwIf(number = 500000) FROM numbers(1000000)"
	r := call(t, dsn, "POST", url.Values{"max_block_size": {"1000"}, "max_threads": {"1"}}, sql)
	tag := r.header.Get("X-ClickHouse-Exception-Tag")
	if r.status == 200 && (tag == "" || !strings.Contains(r.body, "__exception__\r\n"+tag)) {
		t.Errorf("curl: status %d and no tagged exception", r.status)
	}
	held := call(t, dsn, "POST", url.Values{"wait_end_of_query": {"1"}}, sql)
	want(t, "waited for: code", held.header.Get("X-ClickHouse-Exception-Code"), "395")
	fine := call(t, dsn, "POST", url.Values{"wait_end_of_query": {"1"}}, "SELECT number FROM numbers(200000)")
	want(t, "waited for: rows", strings.Count(fine.body, "\n"), 200000)
}

func TestSettingsEndWithTheirRequestAndSessionsKeepThem(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	post := func(sql string, params ...string) reply {
		v := url.Values{}
		for i := 0; i+1 < len(params); i += 2 {
			v.Set(params[i], params[i+1])
		}
		return call(t, dsn, "POST", v, sql)
	}
	want(t, "a setting", post("SELECT getSetting('max_threads')", "max_threads", "3").body, "3\n")
	if post("SELECT getSetting('max_threads')").body == "3\n" {
		t.Error("a setting outlived its request")
	}
	if chtest.Embedded() {
		want(t, "inserts are not held back", post("SELECT getSetting('async_insert')", "async_insert", "1").body, "false\n")
	}
	s := "s" + fmt.Sprint(time.Now().UnixNano())
	want(t, "check before", post("SELECT 1", "session_id", s, "session_check", "1").status, 404)
	want(t, "temporary table", post("CREATE TEMPORARY TABLE tt (a UInt8)", "session_id", s).status, 200)
	want(t, "filled", post("INSERT INTO tt VALUES (1)", "session_id", s).status, 200)
	want(t, "SET", post("SET max_threads = 5", "session_id", s).status, 200)
	want(t, "an error in between", post("SELECT nope", "session_id", s).status, 404)
	want(t, "kept", post("SELECT a, getSetting('max_threads') FROM tt", "session_id", s).body, "1\t5\n")
	want(t, "elsewhere unknown", post("SELECT a FROM tt").status, 404)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		_, _ = try(ctx, dsn, "POST", url.Values{"session_id": {s}, "query_id": {s}}, strings.NewReader("SELECT sleepEachRow(1) FROM numbers(60) SETTINGS max_block_size = 1"))
	}()
	for until := time.Now().Add(time.Minute); ; {
		if post("SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow(1)%' AND query NOT LIKE '%processes%'").body != "0\n" {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the busy query never began")
		}
	}
	r := post("SELECT 1", "session_id", s)
	want(t, "locked", r.header.Get("X-ClickHouse-Exception-Code"), "373")
	cancel()
	<-busy
}

func TestAQueryStopsWhenItsClientLeaves(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	c := open(t, dsn)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begin := time.Now()
	// Yields nothing until its end: only a kill stops it.
	rows, err := c.Query(ctx, "SELECT count() FROM system.numbers WHERE number % 7 = 8 AND 'departed' != ''")
	if err == nil {
		for rows.Next() {
		}
		err = rows.Err()
	}
	if err == nil {
		t.Error("an endless query ended")
	}
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("the client waited %s after its deadline", took)
	}
	for until := time.Now().Add(time.Minute); ; {
		n := one[uint64](t, c, "SELECT count() FROM system.processes WHERE query LIKE '%departed%' AND query NOT LIKE '%processes%'")
		if n == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatal("the query still runs")
		}
	}
}

func TestCurlSpeaksToItAsToAServer(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	post := func(params url.Values, body string, header ...string) reply {
		return call(t, dsn, "POST", params, body, header...)
	}
	exec(t, open(t, dsn), "CREATE TABLE t (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
	want(t, "GET", call(t, dsn, "GET", url.Values{"query": {"SELECT 1"}}, "").body, "1\n")
	want(t, "query and body", post(url.Values{"query": {"SELECT"}}, "2").body, "2\n")
	want(t, "comment and FORMAT", post(nil, "-- it's a comment\nSELECT 1 AS a FORMAT JSONEachRow").body, "{\"a\":1}\n")
	want(t, "default_format", post(url.Values{"default_format": {"CSV"}}, "SELECT 'x'").body, "\"x\"\n")
	want(t, "X-ClickHouse-Format", post(nil, "SELECT 'x'", "X-ClickHouse-Format", "CSV").body, "\"x\"\n")
	want(t, "param_", post(url.Values{"param_x": {"a'b"}}, "SELECT {x:String}").body, "a\\'b\n")
	if r := call(t, dsn, "GET", url.Values{"query": {"INSERT INTO t VALUES (1, 'x')"}}, ""); r.status == 200 {
		t.Error("a GET changed data")
	}
	file := filepath.Join(t.TempDir(), "written.csv")
	into := "INSERT INTO FUNCTION file('" + file + "', 'CSV', 'a Int') "
	for _, text := range []string{into + "VALUES (1)", into + "SELECT 1", "WITH 1 AS x " + into + "SELECT x", "/* c */ " + into + "FORMAT CSV\n1\n"} {
		if r := call(t, dsn, "GET", url.Values{"query": {text}}, ""); r.status == 200 {
			t.Errorf("a GET ran %s", text)
		}
		if r := post(url.Values{"readonly": {"2"}}, text); r.status == 200 {
			t.Errorf("readonly let through %s", text)
		}
		if _, err := os.Stat(file); err == nil {
			t.Fatalf("%s wrote a file", text)
		}
	}
	want(t, "INSERT in a text", call(t, dsn, "GET", url.Values{"query": {"SELECT 'INSERT' -- INSERT"}}, "").body, "INSERT\n")
	for what, in := range map[string][2]string{
		"values in the text":      {"", "INSERT INTO t VALUES (1, 'a\n\nb')\n\n, (2, 'c')"},
		"values in the body":      {"INSERT INTO t VALUES", "(1, 'a\n\nb'),\n\n(2, 'c')"},
		"format in the text":      {"", "INSERT INTO t FORMAT JSONEachRow\n{\"a\":1,\"s\":\"a\\n\\nb\"}\n\n{\"a\":2,\"s\":\"c\"}"},
		"format in the parameter": {"INSERT INTO t (a, s) FORMAT CSV", "1,\"a\n\nb\"\n2,c\n"},
		"columns turned round":    {"INSERT INTO t (s, a) SETTINGS max_threads = 1 FORMAT TSV", "a\\n\\nb\t1\nc\t2\n"},
	} {
		exec(t, open(t, dsn), "TRUNCATE TABLE t")
		params := url.Values{}
		if in[0] != "" {
			params.Set("query", in[0])
		}
		if r := post(params, in[1]); r.status != 200 {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
		want(t, what, post(nil, "SELECT a, s FROM t ORDER BY a").body, "1\ta\\n\\nb\n2\tc\n")
	}
	exec(t, open(t, dsn), "TRUNCATE TABLE t")
	long := "INSERT INTO t VALUES " + strings.Repeat("(1, 'a\n\nb'),", 200000) + "(1, 'a\n\nb')"
	want(t, "two megabytes of values", post(nil, long).status, 200)
	want(t, "all of them", post(nil, "SELECT count() FROM t WHERE s = 'a\\n\\nb'").body, "200001\n")
	want(t, "an empty INSERT", post(url.Values{"query": {"INSERT INTO t FORMAT TSV"}}, "").status, 200)
	for _, format := range []string{"PrettyCompact", "JSON", "JSONCompact", "CSVWithNames", "Parquet", "Arrow", "ArrowStream", "RowBinary", "Native", "Markdown", "Vertical", "XML"} {
		r := post(nil, "SELECT number, toString(number) FROM numbers(10000) FORMAT "+format)
		if r.status != 200 || len(r.body) < 1000 || strings.Contains(r.body, "__exception__") {
			t.Errorf("%s: status %d, %d bytes", format, r.status, len(r.body))
		}
		want(t, "header of "+format, r.header.Get("X-ClickHouse-Format"), format)
	}
	// The header and footer of an answer appear once, however many blocks it has.
	blocks := url.Values{"max_block_size": {"1000"}, "max_threads": {"1"}}
	for format, once := range map[string]string{
		"JSON": "\"meta\"", "JSONCompact": "\"rows\": 10000", "CSVWithNames": "\"n\"", "TSVWithNamesAndTypes": "UInt64", "XML": "</result>",
		"JSONCompactEachRowWithNames": "[\"n\"]", "Markdown": "| n |", "Vertical": "Row 1:",
	} {
		r := post(blocks, "SELECT number AS n FROM numbers(10000) FORMAT "+format)
		if n := strings.Count(r.body, once); r.status != 200 || n != 1 {
			t.Errorf("%s: %s %d times", format, once, n)
		}
	}
	var document struct{ Data [][]any }
	whole := call(t, dsn, "GET", url.Values{"query": {"SELECT number FROM system.numbers LIMIT 200000"}, "default_format": {"JSONCompact"}}, "")
	if err := json.Unmarshal([]byte(whole.body), &document); err != nil || len(document.Data) != 200000 {
		t.Errorf("a JSON answer of many blocks: %d rows, %v", len(document.Data), err)
	}
	want(t, "query id", post(url.Values{"query_id": {"q1"}}, "SELECT 1").header.Get("X-ClickHouse-Query-Id"), "q1")
}

func TestExternalTablesComeAlong(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	c := open(t, dsn)
	table, err := ext.NewTable("asins", ext.Column("asin", "String"), ext.Column("n", "UInt32"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := table.Append(fmt.Sprint("B", i), uint32(i)); err != nil {
			t.Fatal(err)
		}
	}
	var n uint64
	ctx := chgo.Context(t.Context(), chgo.WithExternalTable(table))
	if err := c.QueryRow(ctx, "SELECT sum(n) FROM asins").Scan(&n); err != nil || n != 3 {
		t.Errorf("got %d, %v", n, err)
	}
}

func TestDatabaseSQLWorks(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	db, err := sql.Open("clickhouse", dsn+"?max_threads=2")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE t (a UInt32, s String) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := tx.PrepareContext(t.Context(), "INSERT INTO t") //nolint:sqlclosecheck // the driver sends the batch with Commit; closing first would drop it
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		if _, err := st.ExecContext(t.Context(), uint32(i), "x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	var n, threads uint64
	if err := db.QueryRowContext(t.Context(), "SELECT count(), getSetting('max_threads') FROM t").Scan(&n, &threads); err != nil {
		t.Fatal(err)
	}
	want(t, "rows", n, 10)
	want(t, "a setting of the DSN", threads, 2)
}

func TestARepeatedInsertIsDroppedByItsToken(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	c := open(t, dsn)
	exec(t, c, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100")
	exec(t, c, "CREATE TABLE h (n AggregateFunction(groupBitmap, UInt64), c SimpleAggregateFunction(sum, UInt64)) ENGINE = AggregatingMergeTree ORDER BY tuple() SETTINGS non_replicated_deduplication_window = 100")
	exec(t, c, "CREATE MATERIALIZED VIEW mv TO h AS SELECT groupBitmapState(a) AS n, count() AS c FROM t")
	for range 3 {
		ctx := chgo.Context(t.Context(), chgo.WithSettings(chgo.Settings{"insert_deduplication_token": "verdicts:1:1-10:10"}))
		b, err := c.PrepareBatch(ctx, "INSERT INTO t")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if err := b.Append(uint64(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Send(); err != nil {
			t.Fatal(err)
		}
	}
	want(t, "rows", one[uint64](t, c, "SELECT count() FROM t"), 10)
	want(t, "rows in the view", one[uint64](t, c, "SELECT groupBitmapMerge(n) FROM h"), 10)
	want(t, "count in the view", one[uint64](t, c, "SELECT sum(c) FROM h"), 10)
}

// Faults of the engine that are worked around; each was observed.
func TestFaultsOfTheEngineDoNotReachUs(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	c := open(t, dsn)
	t.Run("dropping a table at once does not hang", func(t *testing.T) {
		exec(t, c, "CREATE TABLE d (a UInt8) ENGINE = MergeTree ORDER BY a")
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := c.Exec(ctx, "DROP TABLE d SYNC"); err != nil {
			t.Error(err)
		}
	})
	t.Run("a view with a scalar subquery gets the rows too", func(t *testing.T) {
		exec(t, c, "CREATE TABLE src (a UInt64) ENGINE = MergeTree ORDER BY a")
		exec(t, c, "CREATE TABLE dst (a UInt64, k UInt64) ENGINE = MergeTree ORDER BY a")
		exec(t, c, "CREATE TABLE dim (k UInt64) ENGINE = MergeTree ORDER BY k")
		exec(t, c, "INSERT INTO dim VALUES (4)")
		exec(t, c, "CREATE MATERIALIZED VIEW scalar TO dst AS SELECT a, (SELECT max(k) FROM dim) AS k FROM src")
		b, err := c.PrepareBatch(t.Context(), "INSERT INTO src")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(b.Append(uint64(1)), b.Send()); err != nil {
			t.Fatal(err)
		}
		want(t, "rows", one[uint64](t, c, "SELECT count() FROM dst WHERE k = 4"), 1)
	})
	t.Run("an answer cut short by the client leaves nothing behind", func(t *testing.T) {
		for range 5 {
			rows, err := c.Query(t.Context(), "SELECT number FROM numbers(5000000)")
			if err != nil {
				t.Fatal(err)
			}
			rows.Next()
			_ = rows.Close()
			want(t, "the next answer", one[uint8](t, c, "SELECT 9"), 9)
		}
	})
	t.Run("in a session too", func(t *testing.T) {
		in := url.Values{"session_id": {"cut" + fmt.Sprint(time.Now().UnixNano())}}
		_ = call(t, dsn, "POST", in, "SELECT throwIf(number = 100000) FROM numbers(200000)")
		want(t, "the next answer", call(t, dsn, "POST", in, "SELECT 9").body, "9\n")
	})
	t.Run("a body cut by the client inserts nothing", func(t *testing.T) {
		exec(t, c, "CREATE TABLE cut (a UInt64) ENGINE = MergeTree ORDER BY a")
		broken := io.MultiReader(strings.NewReader(strings.Repeat("1\n", 1<<20)), failing{})
		if r, err := try(t.Context(), dsn, "POST", url.Values{"query": {"INSERT INTO cut FORMAT TSV"}}, broken); err == nil && r.status == 200 {
			t.Error("a broken body was accepted")
		}
		if chtest.Embedded() { // a server inserts block by block
			want(t, "rows", one[uint64](t, c, "SELECT count() FROM cut"), 0)
		}
	})
	t.Run("deep nesting is an error", func(t *testing.T) {
		if err := c.Exec(t.Context(), "SELECT "+strings.Repeat("(", 5000)+"1"+strings.Repeat(")", 5000)); err == nil {
			t.Error("accepted")
		}
		want(t, "the next answer", one[uint8](t, c, "SELECT 9"), 9)
	})
}

// failing is a body whose sender has disconnected.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("the sender went away") }
