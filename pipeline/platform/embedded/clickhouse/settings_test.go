package clickhouse_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"
)

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
