package sqlcheck_test

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/embedded/clickhouse/engine"
	"ratchet/pipeline/platform/embedded/sqlcheck"
)

// open starts an engine in this process, without a cage.
func open(t testing.TB, data string) (*engine.Engine, *sqlcheck.Checker) {
	t.Helper()
	lib, err := engine.Load(chtest.Library(t))
	if err != nil {
		t.Fatal(err)
	}
	e, err := lib.Open(engine.Options{Data: data})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	c, err := sqlcheck.New(e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return e, c
}

func run(e *engine.Engine, sql string) (string, error) {
	c, err := e.Connect()
	if err != nil {
		return "", err
	}
	defer c.Close()
	b, _, err := c.Query(sql, "TabSeparated", nil)
	return string(b), err
}

// A kernel without Landlock has no cage.
func TestSQLReachesNothingOutsideTheDatabaseWithoutACageEither(t *testing.T) {
	data, outside := t.TempDir(), t.TempDir()
	e, check := open(t, data)
	if _, err := run(e, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	called := make(chan struct{}, 100)
	go func() {
		for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
			called <- struct{}{}
			_ = conn.Close()
		}
	}()
	statements, err := os.ReadFile("testdata/reaching.sql")
	if err != nil {
		t.Fatal(err)
	}
	for sql := range strings.Lines(strings.NewReplacer("HERE", l.Addr().String(), "SECRET", filepath.Join(data, "engine.xml"), "NEW", filepath.Join(outside, "new")).Replace(string(statements))) {
		sql = strings.TrimSpace(sql)
		err := check.Check(sql, nil)
		if again := check.Check(sql, nil); (again == nil) != (err == nil) {
			t.Errorf("%s: got %v and, asked again, %v", sql, err, again)
		}
		if _, values, ok := strings.Cut(sql, "VALUES"); ok && err == nil {
			var literals bool
			if literals, err = check.Values(values); literals {
				continue // without expressions there is no function
			}
		}
		if err == nil {
			if said, err := run(e, sql); err == nil {
				t.Errorf("%s: got %q", sql, said)
			}
		}
		select {
		case <-called:
			t.Errorf("%s: it reached out", sql)
		default:
		}
	}
	if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
		t.Errorf("files outside: %v, %v", left, err)
	}
}

func TestOrdinaryStatementsAreHarmless(t *testing.T) {
	_, check := open(t, t.TempDir())
	for _, sql := range []string{
		"SELECT 1", "SELECT 1;", "SELECT 'a file', 'back\\\\slash' FROM system.one -- profile", "WITH 1 AS file SELECT file", "SELECT `file` FROM (SELECT 1 AS file)",
		"CREATE TABLE t (a Int, profile String) ENGINE = ReplacingMergeTree ORDER BY (a, lower(profile)) PARTITION BY toYYYYMM(now()) COMMENT 'of files'",
		"CREATE TABLE t (a Int) ORDER BY tuple()", "CREATE TABLE t (a Int) PRIMARY KEY a", "CREATE TABLE t ENGINE = Memory AS SELECT 1 AS a", "CREATE DATABASE d ENGINE = Atomic",
		"CREATE MATERIALIZED VIEW v ENGINE = AggregatingMergeTree ORDER BY a AS SELECT a, countState() FROM t GROUP BY a", "INSERT INTO t VALUES (1, 'file;')", "INSERT INTO t FORMAT Native",
		"INSERT INTO t SELECT number, 'file' FROM numbers(3)", "KILL QUERY WHERE query_id = 'file'", "ALTER TABLE t DELETE WHERE profile = 'file'", "ALTER TABLE t MODIFY TTL now() + INTERVAL 1 DAY",
		"SELECT 'a\nSYSTEM query\n Function file' AS file", "EXPLAIN SELECT 'file'", "OPTIMIZE TABLE t FINAL", "USE system", "SET max_threads = 1", "SHOW TABLES LIKE '%file%'",
	} {
		if err := check.Check(sql, nil); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if err := check.Check("SELECT {p:String}, 'file'", []engine.Param{{Name: "p", Value: "x"}}); err != nil {
		t.Errorf("with a parameter: %v", err)
	}
	if err := check.Check("SELEC 1", nil); err == nil || !strings.Contains(err.Error(), "Syntax error") || strings.Contains(err.Error(), "formatQuery") {
		t.Errorf("what does not parse: %v", err)
	}
}

// bar is the most that a check may add to a statement.
const bar = time.Millisecond

// BenchmarkStatement measures what a check adds to a statement.
func BenchmarkStatement(b *testing.B) {
	e, check := open(b, b.TempDir())
	serial := 0
	next := func() string { serial++; return strconv.Itoa(serial) }
	for _, c := range []struct {
		name      string
		unchecked bool
		sql       func() string
	}{
		{"unchecked", true, func() string { return "SELECT 1" }},
		{"remembered", false, func() string { return "SELECT 1" }},
		{"new", false, func() string { return "SELECT " + next() }},
		{"new, looked into", false, func() string { return "SELECT 'file', " + next() }},
	} {
		b.Run(c.name, func(b *testing.B) {
			var checking time.Duration
			for b.Loop() {
				sql := c.sql()
				if !c.unchecked {
					began := time.Now()
					err := check.Check(sql, nil)
					checking += time.Since(began)
					if err != nil {
						b.Fatal(err)
					}
				}
				if _, err := run(e, sql); err != nil {
					b.Fatal(err)
				}
			}
			if c.unchecked || b.Elapsed() < 100*time.Millisecond {
				return // a trial run is too short to say anything
			}
			added := checking / time.Duration(b.N)
			b.ReportMetric(float64(added)/float64(bar), "added/bar")
			if added > bar {
				b.Errorf("a check adds %s to a statement, want at most %s", added, bar)
			}
		})
	}
}
