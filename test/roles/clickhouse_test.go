package roles_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/roles"
	"ratchet/pipeline/platform/warehouse"
)

// TestTheRightsAreStatementsThatClickHouseKnows has the engine parse them, which has every access
// type as a keyword. Whether they are the least that suffice needs a server: the embedded engine has one user.
func TestTheRightsAreStatementsThatClickHouseKnows(t *testing.T) {
	w, err := warehouse.Open(t.Context(), chtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	users, err := os.ReadFile(filepath.Join("..", "..", "deploy", "clickhouse", "users.sql"))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(users)) {
		if !strings.HasPrefix(line, "--") {
			lines = append(lines, line)
		}
	}
	n := 0
	for statement := range strings.SplitSeq(strings.Join(lines, ""), ";") {
		if statement = strings.TrimSpace(statement); statement == "" {
			continue
		}
		n++
		for _, r := range roles.Rights() {
			statement = strings.ReplaceAll(statement, "{"+r.User+":String}", "'password'")
		}
		if _, err := w.SQL(t.Context(), "SELECT formatQuery('"+strings.ReplaceAll(statement, "'", "''")+"')", true); err != nil {
			t.Errorf("%s: %v", statement, err)
		}
	}
	if n < 6 {
		t.Errorf("%d statements, want a user and a grant for each of three", n)
	}
}

func TestTheMigratorHasWhatMigrationsNeedAndTheOthersDefineNothing(t *testing.T) {
	for _, r := range roles.Rights() {
		for _, g := range r.Grants {
			rights, _, _ := strings.Cut(g, " ON ")
			for _, right := range strings.Split(rights, ", ") {
				defines := strings.HasPrefix(right, "CREATE") || strings.HasPrefix(right, "DROP") || right == "ALTER" || right == "TRUNCATE" || right == "ALL"
				if defines && r.User != "migrator" {
					t.Errorf("%s may %s", r.User, right)
				}
				if right == "INSERT" && r.User == "reader" {
					t.Error("the reader may insert")
				}
			}
			if !strings.Contains(g, " ON ratchet.") {
				t.Errorf("%s: %s reaches beyond the database", r.User, g)
			}
		}
	}
}
