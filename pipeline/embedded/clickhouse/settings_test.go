package clickhouse_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/proto"
)

// clickhouse-client sends its settings without insisting on any of them, in their order.
func TestNativelyAReadOnlyClientReadsAndDoesNotWriteHoweverItSaysSo(t *testing.T) {
	t.Parallel()
	dsn := nativeOf(t)
	c := open(t, dsn)
	exec(t, c, "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
	table := one[string](t, c, "SELECT currentDatabase()") + ".t"
	r := dial(t, dsn)
	r.hello(rawRevision)
	for _, insists := range []bool{false, true} {
		set := []proto.Setting{{Key: "readonly", Value: "1", Important: insists}, {Key: "max_threads", Value: "3", Important: insists}, {Key: "enable_analyzer", Value: "1", Important: insists}}
		r.query("SELECT toUInt8(1) FROM system.one WHERE getSetting('max_threads') = 3", set...)
		if rows, fault := r.ends(); rows != 1 || fault != nil {
			t.Errorf("reading: got %d rows, %v", rows, fault)
		}
		for _, sql := range []string{"INSERT INTO " + table + " SELECT 1", "DROP TABLE " + table, "CREATE TABLE " + table + "2 AS " + table} {
			r.query(sql, set...)
			if _, fault := r.ends(); fault == nil || fault.Code != 164 {
				t.Errorf("%s: got %v", sql, fault)
			}
		}
	}
	want(t, "rows", one[uint64](t, c, "SELECT count() FROM t"), 0)
}

func TestNativelyWhatASetSaysHoldsForTheConnection(t *testing.T) {
	t.Parallel()
	dsn := nativeOf(t)
	r := dial(t, dsn)
	r.hello(rawRevision)
	says := func(what, sql string, rows int, code proto.Error, settings ...proto.Setting) {
		t.Helper()
		r.query(sql, settings...)
		got, fault := r.ends()
		if got != rows || (fault == nil) != (code == 0) || fault != nil && fault.Code != code {
			t.Errorf("%s: got %d rows, %v", what, got, fault)
		}
	}
	threads := "SELECT toUInt8(1) FROM system.one WHERE getSetting('max_threads') = "
	says("SET", "SET max_threads = 7, max_block_size = 1", 0, 0, proto.Setting{Key: "max_insert_threads", Value: "2"})
	says("after it", threads+"7", 1, 0)
	says("what came beside it", "SELECT toUInt8(1) FROM system.one WHERE getSetting('max_insert_threads') = 2", 0, 0)
	says("a statement's own", threads+"5", 1, 0, proto.Setting{Key: "max_threads", Value: "5"})
	says("and back", threads+"7", 1, 0)
	says("another one", "SET max_insert_threads = 3", 0, 0)
	says("both", threads+"7 AND getSetting('max_insert_threads') = 3", 1, 0)
	says("a wrong one", "SET max_nope = 3", 0, 115)
	says("its default", "SET max_threads = DEFAULT", 0, 0)
	says("after that", threads+"7", 0, 0)
	says("read-only", "SET readonly = 1", 0, 0)
	says("a write", "CREATE TABLE t (a UInt8) ENGINE = Memory", 0, 164)
	says("no way back", "SET readonly = 0", 0, 164)
	want(t, "the others", one[uint8](t, open(t, dsn), "SELECT toUInt8(getSetting('readonly'))"), 0)
}

func TestTheSettingsOfARequestDoNotStayInItsSession(t *testing.T) {
	t.Parallel()
	dsn := byHTTP(t)
	session := "s" + fmt.Sprint(time.Now().UnixNano())
	says := func(sql string, params ...string) reply {
		v := url.Values{"session_id": {session}}
		for i := 0; i+1 < len(params); i += 2 {
			v.Set(params[i], params[i+1])
		}
		return call(t, dsn, "POST", v, sql)
	}
	threads := "SELECT getSetting('max_threads')"
	want(t, "SET", says("SET max_threads = 7").status, 200)
	want(t, "a request's own", says(threads, "max_threads", "3", "max_block_size", "77").body, "3\n")
	want(t, "after it", says(threads).body, "7\n")
	want(t, "a default", says("SELECT getSetting('max_block_size') = 77").body, "0\n")
	want(t, "reading, read-only", says("SELECT 1", "readonly", "1").body, "1\n")
	want(t, "writing, read-only", says("CREATE TABLE t (a UInt8) ENGINE = Memory", "readonly", "1").header.Get("X-ClickHouse-Exception-Code"), "164")
	want(t, "writing after that", says("CREATE TABLE t (a UInt8) ENGINE = Memory").status, 200)
	want(t, "an error in between", says("SELECT nope", "max_threads", "3").status, 404)
	want(t, "after that", says(threads).body, "7\n")
}
