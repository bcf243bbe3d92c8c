package warehouse_test

import (
	"slices"
	"strings"
	"testing"

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
