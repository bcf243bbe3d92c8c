package clickhouse_test

import (
	"testing"

	chgo "github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline/embedded/clickhouse/chtest"
)

func TestDriverInsertsAndReads(t *testing.T) {
	o, err := chgo.ParseDSN(chtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	c, err := chgo.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Exec(t.Context(), "CREATE TABLE t (a UInt32, s String) ENGINE = MergeTree ORDER BY a"); err != nil {
		t.Fatal(err)
	}
	b, err := c.PrepareBatch(t.Context(), "INSERT INTO t")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100000 {
		if err := b.Append(uint32(i), "x\n\ny"); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Send(); err != nil {
		t.Fatal(err)
	}
	var n uint64
	if err := c.QueryRow(t.Context(), "SELECT count() FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	if n != 100000 {
		t.Fatal(n)
	}
}
