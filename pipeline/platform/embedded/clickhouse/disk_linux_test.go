package clickhouse_test

import (
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"ratchet/pipeline/platform/machinetest"
)

func TestAFullDiskIsNotTakenForBadData(t *testing.T) {
	t.Parallel()
	embeddedOnly(t, "its disk is not ours to fill")
	s := start(t, filepath.Join(machinetest.SmallDisk(t, "48m"), "clickhouse"))
	c := open(t, s.URL())
	exec(t, c, "CREATE TABLE t (s String CODEC(NONE)) ENGINE = MergeTree ORDER BY tuple()")
	exec(t, c, "INSERT INTO t VALUES ('first')")
	insert := url.Values{"query": {"INSERT INTO t FORMAT RawBLOB"}}
	r := call(t, s.URL(), "POST", insert, strings.Repeat("x", 60<<20))
	want(t, "no room for the body", r.header.Get("X-ClickHouse-Exception-Code"), "243")
	r = call(t, s.URL(), "POST", insert, strings.Repeat("x", 30<<20))
	want(t, "no room for the part", r.header.Get("X-ClickHouse-Exception-Code"), "243")
	want(t, "reads go on", one[uint64](t, c, "SELECT count() FROM t"), 1)
	exec(t, c, "INSERT INTO t VALUES ('second')")
	want(t, "small inserts go on", one[uint64](t, c, "SELECT count() FROM t"), 2)
}
