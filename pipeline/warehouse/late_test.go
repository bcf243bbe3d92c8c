package warehouse_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline/embedded/clickhouse/chtest"
	"ratchet/pipeline/warehouse"
)

// TestAStatementOfAMigrationThatComesLateIsUndone runs each statement of each migration once more when all are applied, as a
// process does that was frozen before it while another migrated, and dies after it. The next start must find, or make, the tables and
// views as they were: a view by an earlier definition would show deals that are hidden, and nobody would hear of it.
func TestAStatementOfAMigrationThatComesLateIsUndone(t *testing.T) {
	t.Parallel()
	w := open(t)
	const made = "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
	should := ask(t, w, made)
	late := func(what string, statements []string) {
		t.Helper()
		changed := false
		for _, s := range statements {
			if w.Exec(t.Context(), s) != nil {
				break // as a migration ends with its first failure
			}
			changed = changed || ask(t, w, made) != should
		}
		if !changed {
			return
		}
		must(t, w.Migrate(t.Context()))
		if got := ask(t, w, made); got != should {
			var other []string
			for line := range strings.Lines(got) {
				if !strings.Contains(should, line) {
					other = append(other, line[:min(len(line), 120)])
				}
			}
			t.Fatalf("after %s, late:\n%s", what, strings.Join(other, "\n"))
		}
	}
	names, all := warehouse.Late()
	for n, statements := range all {
		late(names[n], statements)
		if testing.Short() {
			continue
		}
		for k := range statements {
			late(names[n]+" alone", statements[k:k+1])
		}
	}
	late("everything until the first failure", slices.Concat(all...))
}

// TestAProcessThatDiesAfterEveryStatementMigratesInTheEnd runs the migrations over rows, and dies after the first statement of
// each, after its second, and so on; each next start runs the migration from its beginning.
func TestAProcessThatDiesAfterEveryStatementMigratesInTheEnd(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("several hundred statements")
	}
	whole := open(t)
	seed(t, whole)
	w, err := warehouse.Open(t.Context(), chtest.Database(t))
	must(t, err)
	defer func() { _ = w.Close() }()
	recorded := map[string]bool{}
	_, all := warehouse.Late()
	for n, statements := range all {
		for died := range statements {
			for _, s := range statements[:died] {
				must(t, w.Exec(t.Context(), s))
			}
		}
		must(t, w.MigrateTo(t.Context(), n+1))
		for _, table := range strings.Fields(ask(t, w, "SELECT name FROM system.tables WHERE database = currentDatabase() AND name IN ('verdicts', 'deal_versions', 'ledger', 'dead')")) {
			if !recorded[table] {
				recordedBy(t, w, whole, table)
			}
			recorded[table] = true
		}
	}
	for _, q := range warehouse.Questions() {
		if got, should := answer(t, w, q), answer(t, whole, q); !bytes.Equal(got, should) {
			t.Errorf("%s:\ngot\n%swant\n%s", q.Name, got, should)
		}
	}
}

// TestWhatIsConfirmedIsOnTheDisk: a message is acknowledged on the strength of it, and comes never again.
func TestWhatIsConfirmedIsOnTheDisk(t *testing.T) {
	t.Parallel()
	w := open(t)
	want(t, w, `SELECT count() FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
		AND NOT (engine_full LIKE '%fsync_after_insert = 1%' AND engine_full LIKE '%fsync_part_directory = 1%')`, "0")
}
