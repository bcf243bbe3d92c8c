package roles_test

import (
	"os"
	"path/filepath"
	"slices"
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

// TestTheMigratorHasWhatMigrationsNeedAndTheOthersDefineNothing has the rights a second time, because the statements
// are made from the first.
func TestTheMigratorHasWhatMigrationsNeedAndTheOthersDefineNothing(t *testing.T) {
	of := map[string][]string{
		"reader": {"SELECT"},
		"writer": {"SELECT", "INSERT", "ALTER DELETE", "OPTIMIZE"},
		"migrator": {
			"CREATE DATABASE", "CREATE TABLE", "CREATE VIEW", "DROP TABLE", "DROP VIEW", "ALTER", "SELECT", "INSERT", "TRUNCATE", "OPTIMIZE", "SHOW",
		},
	}
	for _, r := range roles.Rights() {
		var has []string
		for _, g := range r.Grants {
			rights, on, _ := strings.Cut(g, " ON ")
			has = append(has, strings.Split(rights, ", ")...)
			if !strings.HasPrefix(on, "ratchet.") {
				t.Errorf("%s: %s reaches beyond the database", r.User, g)
			}
		}
		if !slices.Equal(has, of[r.User]) {
			t.Errorf("%s may %v, and needs %v", r.User, has, of[r.User])
		}
	}
}
