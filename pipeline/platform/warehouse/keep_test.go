package warehouse_test

import (
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/platform/warehouse"
)

func TestWhatIsOlderThanTheRetentionLeavesAndTheSumsStay(t *testing.T) {
	t.Parallel()
	w := open(t)
	rows := verdicts(30)
	for i := range rows[:10] {
		rows[i].StoredAt = time.Now().UTC().Add(-100 * 24 * time.Hour)
	}
	must(t, w.Keep(t.Context(), warehouse.KeepDays)) // unchanged: no statement is sent
	must(t, w.InsertVerdicts(t.Context(), rows, "v"))
	must(t, w.Keep(t.Context(), 30))
	must(t, exec(t.Context(), w, "OPTIMIZE TABLE verdicts FINAL")) // what ClickHouse eventually does by itself
	want(t, w, "SELECT count() FROM verdicts", "20")
	want(t, w, "SELECT sum(verdicts) FROM verdict_counts", "30")
	for _, table := range []string{"verdicts", "ledger", "balance_points", "dead"} {
		if says := ask(t, w, "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '"+table+"'"); !strings.Contains(says, "toIntervalDay(30)") {
			t.Errorf("%s: %s", table, says)
		}
	}
	// Longer again: later rows stay, removed rows return if they are recorded again, and the sums do not change.
	must(t, w.Keep(t.Context(), 365))
	must(t, w.InsertVerdicts(t.Context(), rows, "again"))
	want(t, w, "SELECT count() FROM verdicts FINAL", "30")
	want(t, w, "SELECT sum(verdicts) FROM verdict_counts", "30")
}
