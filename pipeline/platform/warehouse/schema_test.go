package warehouse_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/warehouse"
)

var settings = regexp.MustCompile(`SETTINGS (\w+ = \w+(?:, \w+ = \w+)*)`)

// shape is ClickHouse's own description of every table, view and column of a database.
// The order of a table's settings is irrelevant: one that was changed later comes last.
func shape(t *testing.T, w *warehouse.Warehouse) string {
	t.Helper()
	a, err := w.SQL(t.Context(), `SELECT replaceAll(formatQuery(create_table_query), concat(currentDatabase(), '.'), '') FROM system.tables WHERE database = currentDatabase() ORDER BY name`, true)
	must(t, err)
	var out strings.Builder
	for _, r := range a.Rows {
		sql := settings.ReplaceAllStringFunc(fmt.Sprint(r[0]), func(list string) string {
			each := strings.Split(strings.TrimPrefix(list, "SETTINGS "), ", ")
			slices.Sort(each)
			return "SETTINGS " + strings.Join(each, ", ")
		})
		out.WriteString(sql + ";\n\n")
	}
	return out.String()
}

// shapeDigest is asked in place of shape, which formats everything, where mostly nothing changes.
const shapeDigest = `SELECT sipHash64(groupArray(create_table_query)) FROM
	(SELECT create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name)`

// differ returns the lines of one text that the other lacks.
func differ(got, want string) string {
	var out []string
	have := strings.Split(want, "\n")
	for n, line := range strings.Split(got, "\n") {
		if !slices.Contains(have, line) {
			out = append(out, fmt.Sprintf("%d: %s", n+1, line))
		}
	}
	return strings.Join(out, "\n")
}

func sameShape(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: it has\n%s\nand should have\n%s", what, differ(got, want), differ(want, got))
	}
}

func TestTheSchemaIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	got, file := shape(t, open(t)), filepath.Join("testdata", "schema.sql")
	if *update {
		must(t, os.WriteFile(file, []byte(got), 0o600))
	}
	golden, err := os.ReadFile(file)
	must(t, err)
	sameShape(t, "a new database", got, string(golden))
}

// TestEveryTableViewAndColumnIsExplained: a materialized view has the columns of its table; deals
// and visible_deals have those of deal_versions, and their comments explain what they have besides.
func TestEveryTableViewAndColumnIsExplained(t *testing.T) {
	t.Parallel()
	w := open(t)
	want(t, w, "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''", "")
	want(t, w, `SELECT c.table, c.name FROM system.columns AS c INNER JOIN system.tables AS t ON c.database = t.database AND c.table = t.name
		WHERE c.database = currentDatabase() AND c.comment = '' AND t.engine != 'MaterializedView' AND NOT (c.table IN ('deals', 'visible_deals')
			AND (c.name IN (SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'deal_versions') OR position(t.comment, c.name) > 0))`, "")
}

// TestAStatementOfTheSchemaThatRunsAgainChangesNothing: a process that died between two statements
// runs the statements of that migration again, and several processes may start at once. A later
// migration may replace or drop what an earlier one made, so each is tested while it is the last.
func TestAStatementOfTheSchemaThatRunsAgainChangesNothing(t *testing.T) {
	t.Parallel()
	whole := shape(t, open(t))
	w, _ := bare(t)
	must(t, w.Exec(t.Context(), warehouse.MigrationsTable))
	for _, statements := range warehouse.Statements() {
		for _, s := range statements {
			must(t, w.Exec(t.Context(), s))
		}
		should, digest := shape(t, w), ask(t, w, shapeDigest)
		for _, s := range statements {
			must(t, w.Exec(t.Context(), s))
			now := ask(t, w, shapeDigest)
			if now == digest {
				continue
			}
			digest = now
			if got := shape(t, w); got != should { // not only another order of the settings
				sameShape(t, s, got, should)
				should = got
			}
		}
	}
	sameShape(t, "every migration again", shape(t, w), whole)
}

// Of processes that start together one may be done before another one begins.
func TestAProcessThatMigratesAfterAnotherHasChangesNothing(t *testing.T) {
	t.Parallel()
	w := open(t)
	whole := shape(t, w)
	for _, name := range []string{"0046", "0051"} {
		must(t, w.ApplyFrom(t.Context(), name))
		sameShape(t, "again from "+name, shape(t, w), whole)
	}
}

// earlier begins a migration from before the baseline in testdata: its name and its checksum.
var earlier = regexp.MustCompile(`(?m)^-- (\d{4}_\w+) (\w{64})\n`)

// before applies the first n of the 15 migrations before the baseline.
func before(t *testing.T, w *warehouse.Warehouse, n int) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", "before_0046.sql"))
	must(t, err)
	must(t, w.Exec(t.Context(), warehouse.MigrationsTable))
	heads, bodies := earlier.FindAllSubmatch(file, -1), earlier.Split(string(file), -1)[1:]
	if len(heads) != 15 {
		t.Fatalf("%d migrations, want 15", len(heads))
	}
	for i, head := range heads[:n] {
		for _, s := range warehouse.Cut(bodies[i]) {
			must(t, w.Exec(t.Context(), s))
		}
		must(t, w.Exec(t.Context(), "INSERT INTO schema_migrations (name, checksum) VALUES ({name:String}, {sum:String})", "name", string(head[1]), "sum", string(head[2])))
	}
}

// bare returns a database without tables.
func bare(t *testing.T) (w *warehouse.Warehouse, dsn string) {
	t.Helper()
	dsn = chtest.Database(t)
	w, err := warehouse.Open(t.Context(), dsn)
	must(t, err)
	t.Cleanup(func() { _ = w.Close() })
	return w, dsn
}

func TestADatabaseOfTheMigrationsBeforeTheBaselineBecomesTheSameAsANewOneAndKeepsItsRows(t *testing.T) {
	t.Parallel()
	upgraded(t, func(w *warehouse.Warehouse) { before(t, w, 15) })
}

func TestADatabaseOfTheLastBuildBecomesTheSameAsANewOneAndKeepsItsRows(t *testing.T) {
	t.Parallel()
	upgraded(t, func(w *warehouse.Warehouse) { must(t, w.MigrateButLast(t.Context())) })
}

// upgraded fills a database of an earlier build and compares it, after its migration, with one of this build.
func upgraded(t *testing.T, earlier func(*warehouse.Warehouse)) {
	t.Helper()
	fresh := open(t)
	seedVerdicts(t, fresh)
	seedDeals(t, fresh)
	seedLedger(t, fresh)
	seedDead(t, fresh)
	w, dsn := bare(t)
	earlier(w)
	for _, table := range []string{"verdicts", "deal_versions", "ledger", "dead"} {
		recordedBy(t, w, fresh, table)
	}
	must(t, w.Keep(t.Context(), 30)) // what an operator changed stays
	var wait sync.WaitGroup
	for range 3 { // several recorders
		wait.Go(func() {
			w, err := warehouse.Open(t.Context(), dsn)
			if err != nil {
				t.Error(err)
				return
			}
			if err := w.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
			_ = w.Close()
		})
	}
	wait.Wait()
	must(t, fresh.Keep(t.Context(), 30))
	sameShape(t, "upgraded", shape(t, w), shape(t, fresh))
	columns := "SELECT table, name, position, type, default_kind, default_expression, comment, compression_codec FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
	if got, should := ask(t, w, columns), ask(t, fresh, columns); got != should {
		sameShape(t, "columns", got, should)
	}
	sameAnswers(t, w, fresh)
	// later continues as the other database does.
	later := verdicts(30)
	for i := range later {
		later[i].Sequence += 500
		later[i].Origin.WorkID += "later"
	}
	for _, w := range []*warehouse.Warehouse{w, fresh} {
		must(t, w.InsertVerdicts(t.Context(), later, "later"))
	}
	sameAnswers(t, w, fresh)
}

// sameAnswers compares every question and every sum of two databases.
func sameAnswers(t *testing.T, w, fresh *warehouse.Warehouse) {
	t.Helper()
	for _, q := range warehouse.Questions() {
		if got, should := answer(t, w, q), answer(t, fresh, q); !bytes.Equal(got, should) {
			t.Errorf("%s:\ngot\n%swant\n%s", q.Name, got, should)
		}
	}
	for name, pair := range sums {
		if rows, sum, should := ask(t, w, pair[0]), ask(t, w, pair[1]), ask(t, fresh, pair[1]); rows != sum || sum != should {
			t.Errorf("%s: the rows say\n%s\nthe sum says\n%s\nand of the new database\n%s", name, rows, sum, should)
		}
	}
	want(t, w, "SELECT count() FROM verdict_ids FINAL", ask(t, fresh, "SELECT count() FROM verdict_ids FINAL"))
}

// recordedBy gives a table of an earlier build the rows of whole, as that
// build recorded them: with the columns that it had and that still exist.
func recordedBy(t *testing.T, w, whole *warehouse.Warehouse, table string) {
	t.Helper()
	columns := strings.Join(strings.Fields(ask(t, w, "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '"+table+"' AND default_kind = '' AND name IN (SELECT name FROM system.columns WHERE database = '"+
		ask(t, whole, "SELECT currentDatabase()")+"' AND table = '"+table+"') ORDER BY position")), ", ")
	must(t, exec(t.Context(), w, fmt.Sprintf("INSERT INTO %s (%s) SELECT %s FROM %s.%s SETTINGS async_insert = 0",
		table, columns, columns, ask(t, whole, "SELECT currentDatabase()"), table)))
}

func TestADatabaseBeforeTheLastOfTheEarlierMigrationsIsRefused(t *testing.T) {
	t.Parallel()
	w, _ := bare(t)
	before(t, w, 5)
	should := shape(t, w)
	if err := w.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "0035_deals") || !strings.Contains(err.Error(), "0045_facts_codec") {
		t.Errorf("got %v, want a refusal that names what it has and what it needs", err)
	}
	sameShape(t, "refused", shape(t, w), should)
}

// TestWhatIsConfirmedIsOnTheDisk: a message is acknowledged once its insert is confirmed, and never redelivered.
func TestWhatIsConfirmedIsOnTheDisk(t *testing.T) {
	t.Parallel()
	w := open(t)
	want(t, w, `SELECT count() FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'
		AND NOT (engine_full LIKE '%fsync_after_insert = 1%' AND engine_full LIKE '%fsync_part_directory = 1%')`, "0")
}
