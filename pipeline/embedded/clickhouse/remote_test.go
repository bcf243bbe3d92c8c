package clickhouse_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/embedded/clickhouse/chtest"
)

// ClickHouse's own C++ client of the native protocol is in the engine: the table function remote() reads and writes
// another server's tables with it, and clickhouse-client is built on the same. Here it meets the door from the other side.

// other is a database, and how remote() in the engine that serves it reaches that same database through the door.
type other struct {
	dsn, native, at, user, password, database string
}

func elsewhere(t *testing.T) other {
	t.Helper()
	dsn, native := chtest.Both(t)
	if !strings.HasPrefix(dsn, "http") {
		t.Skip("CLICKHOUSE_TEST_URL names the native protocol, and this reads answers as text")
	}
	u, err := url.Parse(native)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	return other{dsn, native, u.Host, u.User.Username(), password, strings.Trim(u.Path, "/")}
}

// table is a table of the database, seen through the door.
func (o other) table(name string) string {
	return fmt.Sprintf("remote('%s', '%s', '%s', '%s', '%s')", o.at, o.database, name, o.user, o.password)
}

// function is what a table function yields there.
func (o other) function(text string) string {
	return fmt.Sprintf("remote('%s', %s, '%s', '%s')", o.at, text, o.user, o.password)
}

// says is an answer as text.
func (o other) says(t *testing.T, sql string, settings ...string) string {
	t.Helper()
	set := url.Values{}
	for i := 0; i+1 < len(settings); i += 2 {
		set.Set(settings[i], settings[i+1])
	}
	r := call(t, o.dsn, "POST", set, sql)
	if r.status != 200 {
		t.Fatalf("%s: %d %s", sql, r.status, r.body)
	}
	return r.body
}

// everyType has a column of every type that travels.
const everyType = `SELECT number AS k,
	toUInt8(number) AS u8, toInt256(number) AS i256, toFloat64(number) / 3 AS f, modulo(number, 2) = 0 AS even, toString(number) AS s, toFixedString('abc', 3) AS fs,
	toDate(number) AS d, toDate32(number) AS d32, toDateTime(number, 'UTC') AS dt, toDateTime64(number, 3, 'UTC') AS dt64, toDecimal128(number, 5) AS dec,
	toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AS id, toIPv4('127.0.0.1') AS ip4, toIPv6('::1') AS ip6, CAST('a', 'Enum8(\'a\' = 1, \'b, (c\' = 2)') AS e,
	toLowCardinality(toString(modulo(number, 3))) AS lc, toLowCardinality(if(even, NULL, toString(number))) AS lcn, if(even, NULL, number) AS n,
	range(modulo(number, 5)) AS a, arrayMap(x -> [toString(x)], range(modulo(number, 5))) AS aa, map('k', [number]) AS m,
	CAST((number, 'x'), 'Tuple(a UInt64, b String)') AS tup, [toLowCardinality(toString(number))] AS alc, arrayMap(x -> CAST((x, 'y'), 'Tuple(p UInt8, q String)'), [1, 2]) AS nested,
	CAST(number, 'Variant(UInt64, String)') AS v, CAST(number, 'Dynamic') AS dyn, CAST(concat('{"a":{"b":', toString(number), '}}'), 'JSON') AS j,
	(1.5, 2.5)::Point AS pt, toIntervalDay(number) AS iv
FROM numbers(10)`

func TestClickHousesOwnConnectionCarriesEveryTypeBothWays(t *testing.T) {
	t.Parallel()
	o := elsewhere(t)
	c := open(t, o.dsn)
	exec(t, c, "CREATE TABLE t ENGINE = MergeTree ORDER BY k AS "+everyType)
	exec(t, c, "CREATE TABLE u AS t")
	direct := o.says(t, "SELECT * FROM t ORDER BY k FORMAT TabSeparatedWithNamesAndTypes")
	if got := o.says(t, "SELECT * FROM "+o.table("t")+" ORDER BY k FORMAT TabSeparatedWithNamesAndTypes"); got != direct {
		t.Errorf("read through the door:\n%swant\n%s", got, direct)
	}
	o.says(t, "INSERT INTO FUNCTION "+o.table("u")+" SELECT * FROM t")
	if got := o.says(t, "SELECT * FROM u ORDER BY k FORMAT TabSeparatedWithNamesAndTypes"); got != direct {
		t.Errorf("written through the door:\n%swant\n%s", got, direct)
	}
	exec(t, c, "ALTER TABLE u ADD COLUMN late String DEFAULT 'late ' || s")
	want(t, "columns in another order, and not all", o.says(t, "INSERT INTO FUNCTION "+o.table("u")+" (s, k) VALUES ('it''s\n\n', 77)"), "")
	want(t, "the row", o.says(t, "SELECT s, k, u8, late FROM u WHERE k = 77"), "it\\'s\\n\\n\t77\t0\tlate it\\'s\\n\\n\n")
}

func TestClickHousesOwnConnectionCarriesManyBlocksHoweverTheyArePacked(t *testing.T) {
	t.Parallel()
	o := elsewhere(t)
	c := open(t, o.dsn)
	exec(t, c, "CREATE TABLE t (k UInt64, s String) ENGINE = MergeTree ORDER BY k")
	for i, method := range []string{"LZ4", "ZSTD", "NONE"} {
		o.says(t, "INSERT INTO FUNCTION "+o.table("t")+fmt.Sprintf(" SELECT number + %d, toString(number) FROM numbers(200000)", i*200000), "network_compression_method", method, "max_block_size", "10000")
		sum := "SELECT count(), sum(cityHash64(k, s)) FROM (SELECT * FROM %s)"
		got := o.says(t, fmt.Sprintf(sum, o.table("t")), "network_compression_method", method)
		want(t, method, got, o.says(t, fmt.Sprintf(sum, "t")))
		want(t, method, strings.HasPrefix(got, fmt.Sprintf("%d\t", (i+1)*200000)), true)
	}
	broken := call(t, o.dsn, "POST", nil, "INSERT INTO FUNCTION "+o.table("t")+" SELECT number, toString(throwIf(number = 150000)) FROM numbers(200000) SETTINGS max_block_size = 10000")
	want(t, "a source that breaks", broken.header.Get("X-ClickHouse-Exception-Code"), "395")
	want(t, "rows", o.says(t, "SELECT count() FROM t"), "600000\n")
}

func TestClickHousesOwnConnectionIsToldWhatIsWrong(t *testing.T) {
	t.Parallel()
	o := elsewhere(t)
	exec(t, open(t, o.dsn), "CREATE TABLE t (a UInt32) ENGINE = MergeTree ORDER BY a")
	stranger := o
	stranger.user = "nobody"
	for what, ask := range map[string]struct{ sql, code, words string }{
		"a stranger":                {"SELECT * FROM " + stranger.table("t"), "516", "Authentication failed"},
		"a table that is not there": {"SELECT * FROM " + o.table("nope"), "519", "There is no table"},
		"before the first block":    {"SELECT throwIf(1) FROM " + o.function("numbers(1)"), "395", "Received from " + o.at},
		"in the middle":             {"SELECT throwIf(number = 5000000) FROM " + o.function("numbers(10000000)") + " FORMAT Null", "395", "Received from " + o.at},
		"no time left":              {"SELECT count() FROM " + o.function("numbers(1e15)") + " SETTINGS max_execution_time = 0.2", "159", ""},
	} {
		r := call(t, o.dsn, "POST", nil, ask.sql)
		if got := r.header.Get("X-ClickHouse-Exception-Code"); got != ask.code || !strings.Contains(r.body, ask.words) {
			t.Errorf("%s: got code %s: %s", what, got, r.body)
		}
	}
	if chtest.Embedded() {
		twice := strings.Replace(o.function("numbers(9)"), o.at, o.at+","+o.at, 1)
		r := call(t, o.dsn, "POST", nil, "SELECT uniq(number) FROM "+twice)
		want(t, "states of a sum over several servers", strings.Contains(r.body, "there is one server"), true)
	}
	want(t, "the next answer", o.says(t, "SELECT count() FROM "+o.table("t")), "0\n")
}

// What another server works out before it asks travels beside its query: sets, scalars, joined tables, its settings.
func TestClickHousesOwnConnectionBringsWhatItsQueryNeeds(t *testing.T) {
	t.Parallel()
	o := elsewhere(t)
	exec(t, open(t, o.dsn), "CREATE TABLE t ENGINE = MergeTree ORDER BY a AS SELECT number AS a, toString(number) AS s FROM numbers(5)")
	for sql, rows := range map[string]string{
		"SELECT a FROM THERE WHERE a GLOBAL IN (SELECT number * 2 FROM numbers(2)) ORDER BY a":                          "0\n2\n",
		"SELECT count() FROM THERE WHERE s GLOBAL IN (SELECT toString(number) FROM numbers(200000))":                    "5\n",
		"SELECT count() FROM THERE WHERE a GLOBAL IN (SELECT number FROM numbers(2) WHERE 0)":                           "0\n",
		"SELECT a FROM THERE WHERE has((SELECT groupArray(number) FROM numbers(3)), a) ORDER BY a":                      "0\n1\n2\n",
		"SELECT (SELECT groupArray('it''s' || toString(number)) FROM numbers(2)) AS x, a FROM THERE ORDER BY a LIMIT 1": "['it\\'s0','it\\'s1']\t0\n",
		"SELECT n.number, r.s FROM numbers(3, 9) AS n JOIN THERE AS r ON r.a = n.number ORDER BY ALL":                   "3\t3\n4\t4\n",
		"SELECT s, row_number() OVER (ORDER BY a DESC) FROM THERE ORDER BY a LIMIT 2":                                   "0\t5\n1\t4\n",
		"SELECT 1 FROM THERE WHERE 0": "",
		"SELECT getSetting('max_insert_block_size') FROM THERE LIMIT 1 SETTINGS max_insert_block_size = 777": "777\n",
	} {
		sql = strings.ReplaceAll(sql, "THERE", o.table("t"))
		want(t, sql, o.says(t, sql), rows)
	}
	want(t, "a subquery there", o.says(t, "SELECT * FROM "+o.function("view(SELECT a * 2 AS x FROM "+o.database+".t WHERE a < 3 ORDER BY a)")), "0\n2\n4\n")
	exec(t, open(t, o.dsn), "CREATE TABLE d AS "+o.table("t"))
	exec(t, open(t, o.dsn), "INSERT INTO d VALUES (99, 'x')")
	want(t, "a table that stands for it", o.says(t, "SELECT count() FROM d WHERE a = 99"), "1\n")
}

func TestClickHousesOwnConnectionGetsTotalsAndExtremes(t *testing.T) {
	t.Parallel()
	o := elsewhere(t)
	for sql, rows := range map[string]string{
		"SELECT number % 2 AS k, count(), toString(k) || '\n' FROM THERE GROUP BY k WITH TOTALS ORDER BY k":  "0\t3\t0\\n\n1\t2\t1\\n\n\n0\t5\t0\\n\n",
		"SELECT '' AS k FROM THERE GROUP BY k WITH TOTALS":                                                   "\n\n\n",
		"SELECT number FROM THERE WHERE number > 2 SETTINGS extremes = 1":                                    "3\n4\n\n3\n4\n",
		"SELECT number % 2 AS k, count() FROM THERE GROUP BY k WITH TOTALS ORDER BY k SETTINGS extremes = 1": "0\t3\n1\t2\n\n0\t5\n\n0\t2\n1\t3\n",
	} {
		sql = strings.ReplaceAll(sql, "THERE", o.function("numbers(5)"))
		want(t, sql, o.says(t, sql), rows)
	}
}

func TestClickHousesOwnConnectionWaitsForAStatementThatIsSilentForLongerThanItsTimeout(t *testing.T) {
	t.Parallel()
	o := elsewhere(t)
	want(t, "the answer", o.says(t, "SELECT sleep(3) FROM "+o.function("numbers(1)")+" SETTINGS receive_timeout = 2"), "0\n")
}

func TestClickHousesOwnConnectionStopsWhatNobodyWaitsForAnyMore(t *testing.T) {
	t.Parallel()
	o := elsewhere(t)
	want(t, "enough", o.says(t, "SELECT number FROM remote('"+o.at+"', system, numbers, '"+o.user+"', '"+o.password+"') WHERE number % 100000 = 0 LIMIT 2"), "0\n100000\n")
	c := open(t, o.native)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- c.Exec(ctx, "SELECT count() FROM remote('"+o.at+"', system, numbers, '"+o.user+"', '"+o.password+"') WHERE number % 7654321 = 7654322")
	}()
	running := awaitQuery(t, o.native, "7654322")
	for until := time.Now().Add(10 * time.Second); running() < 2 && time.Now().Before(until); {
		// who asks, and who is asked
	}
	cancel()
	if err := <-ended; err == nil {
		t.Error("an endless query ended well")
	}
	for until := time.Now().Add(10 * time.Second); running() != 0; {
		if time.Now().After(until) {
			t.Fatal("it still runs behind the door")
		}
	}
}
