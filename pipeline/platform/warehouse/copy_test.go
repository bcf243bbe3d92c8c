package warehouse_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/warehouse"
)

// copied copies every part of a database into another one, which has its tables, so many times.
func copied(t *testing.T, from, to *warehouse.Warehouse, times int) {
	t.Helper()
	parts, err := from.Parts(t.Context())
	must(t, err)
	for range times {
		for _, p := range parts {
			var file bytes.Buffer
			must(t, from.Export(t.Context(), p, &file))
			must(t, to.Import(t.Context(), p, &file))
		}
	}
}

// TestACopyOfAllPartsHasEveryRowAndTheSumsOfThoseThatHaveExpired copies rows of several months, of which the oldest
// have expired: their sums stay, and only the parts of the sums have them.
func TestACopyOfAllPartsHasEveryRowAndTheSumsOfThoseThatHaveExpired(t *testing.T) {
	t.Parallel()
	dsn := chtest.Database(t)
	if !strings.HasPrefix(dsn, "http") {
		t.Skip("tables are copied by HTTP")
	}
	from, to := openAt(t, dsn), open(t)
	seed(t, from)
	months := verdicts(30)
	for i := range months {
		r := &months[i]
		r.Sequence += 2000
		r.Origin.WorkID += "months"
		r.At = r.At.AddDate(0, -i%5, 0)
		r.DecidedAt = r.At
	}
	for i := range months[:10] {
		months[i].StoredAt = time.Now().UTC().Add(-60 * 24 * time.Hour)
	}
	must(t, from.InsertVerdicts(t.Context(), months, "months"))
	must(t, from.InsertActions(t.Context(), sureActions(1), "actions"))
	must(t, from.Keep(t.Context(), 30))
	must(t, exec(t.Context(), from, "OPTIMIZE TABLE verdicts FINAL")) // what ClickHouse eventually does by itself
	want(t, from, "SELECT sum(verdicts) - (SELECT count() FROM verdicts FINAL) FROM verdict_counts", "10")

	copied(t, from, to, 2) // a restore that was repeated
	for _, table := range []string{"verdicts", "ledger", "deal_versions", "dead", "actions", "verdict_ids", "entry_ids"} {
		sql := "SELECT count(), groupBitXor(row_id) FROM " + table + " FINAL"
		want(t, to, sql, ask(t, from, sql))
	}
	for name, pair := range sums {
		if got, should := ask(t, to, pair[1]), ask(t, from, pair[1]); got != should {
			t.Errorf("%s: the copy says\n%s\nand it is\n%s", name, got, should)
		}
	}
}
