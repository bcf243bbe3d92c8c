package warehouse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"ratchet/schemas"
)

// migrationsTable remembers what was applied. Several processes may write the same line; the newest of equal lines is
// as good as the first.
const migrationsTable = `CREATE TABLE IF NOT EXISTS schema_migrations
(
    name       String,
    checksum   String,
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1`

// migration is one file of schemas/clickhouse.
type migration struct {
	name       string // 0001_verdicts
	checksum   string
	statements []string
}

// Migrate brings the tables up to what this build knows. Every statement may be run again, so several processes may
// migrate at once and a crash between two statements is repaired by the next start. A migration that was applied with
// other content is refused: history is not rewritten, a new file is added. So is one of a newer build, whose tables may
// mean something else.
func (w *Warehouse) Migrate(ctx context.Context) error {
	all, err := migrations(schemas.ClickHouse)
	if err != nil {
		return err
	}
	return w.migrate(ctx, all)
}

func (w *Warehouse) migrate(ctx context.Context, all []migration) error {
	if err := w.exec(ctx, migrationsTable); err != nil {
		return fmt.Errorf("create schema_migrations: %w", err)
	}
	applied, err := w.applied(ctx)
	if err != nil {
		return err
	}
	if name, is := newer(applied, all); is {
		return fmt.Errorf("database %s has migration %s, which this build does not know: a newer build made it; run that one, or let CLICKHOUSE_URL name another database", w.database, name)
	}
	return w.bring(ctx, all, applied)
}

// newer is a migration that was applied and comes after all that this build knows.
func newer(applied map[string]string, all []migration) (name string, is bool) {
	for name := range applied {
		if name > all[len(all)-1].name {
			return name, true
		}
	}
	return "", false
}

// bring applies what is not applied. Before each migration it asks again what is, since another process may have been faster.
func (w *Warehouse) bring(ctx context.Context, all []migration, applied map[string]string) error {
	for _, m := range all {
		if _, done := applied[m.name]; !done {
			now, err := w.applied(ctx)
			if err != nil {
				return err
			}
			applied = now
		}
		sum, done := applied[m.name]
		if done && sum != m.checksum {
			return fmt.Errorf("migration %s in database %s was applied with other content than this build has: run the build that applied it, or use an empty database", m.name, w.database)
		}
		if done {
			continue
		}
		if err := w.apply(ctx, m); err != nil {
			// Another process may be ahead: a later migration of its removes what this one fills.
			now, e := w.applied(ctx)
			if e != nil || now[m.name] != m.checksum {
				return errors.Join(err, e)
			}
			applied = now
		}
	}
	return w.settle(ctx, all)
}

// settle says the last word on every view, and on all that was dropped, once more. Who is frozen before a statement and thaws when another
// process has applied everything replaces a view by an earlier definition, or makes again what a later migration dropped; then he comes here. If he
// dies first, the next start comes here. The rest of the statements change nothing when they are late: what they make is there, what they fill is
// a set, a maximum or a newest value, or the table or column is gone and they fail.
func (w *Warehouse) settle(ctx context.Context, all []migration) error {
	applied, err := w.applied(ctx)
	if err != nil {
		return err
	}
	if _, is := newer(applied, all); is {
		return nil // a newer build was faster: the last word is not ours
	}
	for _, s := range lastWords(all) {
		if err := w.exec(ctx, s); err != nil {
			return fmt.Errorf("say once more what the migrations came to: %w", err)
		}
	}
	return nil
}

// What makes or unmakes a table or view by its name.
var aboutName = regexp.MustCompile(`^(CREATE OR REPLACE VIEW|DROP (?:VIEW|TABLE) IF EXISTS|CREATE (?:TABLE|MATERIALIZED VIEW) IF NOT EXISTS) (\w+)`)

// lastWords are the statements that replace or drop something of which no later statement says anything, in the order in which these things
// were first made: one that reads another comes after it.
func lastWords(all []migration) []string {
	var names []string
	last := map[string]string{}
	for _, m := range all {
		for _, s := range m.statements {
			sql := withoutHeading(s)
			said := aboutName.FindStringSubmatch(sql)
			if said == nil {
				continue
			}
			name := said[2]
			if _, seen := last[name]; !seen {
				names = append(names, name)
			}
			if last[name] = sql; strings.HasSuffix(said[1], "IF NOT EXISTS") {
				last[name] = ""
			}
		}
	}
	var out []string
	for _, name := range names {
		if last[name] != "" {
			out = append(out, last[name])
		}
	}
	return out
}

// withoutHeading is a statement without the lines of comment before it.
func withoutHeading(s string) string {
	for {
		s = strings.TrimSpace(s)
		if !strings.HasPrefix(s, "--") {
			return s
		}
		_, s, _ = strings.Cut(s, "\n")
	}
}

func (w *Warehouse) apply(ctx context.Context, m migration) error {
	for n, s := range m.statements {
		if err := w.exec(ctx, s); err != nil {
			return fmt.Errorf("apply migration %s, statement %d: %w", m.name, n+1, err)
		}
	}
	// A crash on the line above: the next start runs the statements again, which changes nothing.
	if err := w.exec(ctx, "INSERT INTO schema_migrations (name, checksum) SETTINGS async_insert = 0 VALUES ({name:String}, {sum:String})",
		"name", m.name, "sum", m.checksum); err != nil {
		return fmt.Errorf("note migration %s: %w", m.name, err)
	}
	return nil
}

func (w *Warehouse) applied(ctx context.Context) (map[string]string, error) {
	t, err := w.query(ctx, "SELECT name, checksum FROM schema_migrations FINAL", nil, nil)
	if err != nil {
		return nil, fmt.Errorf("read schema_migrations: %w", err)
	}
	out := make(map[string]string, len(t.Rows))
	for _, r := range t.Rows {
		out[r[0].(string)] = r[1].(string)
	}
	return out, nil
}

func migrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "clickhouse/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(names)
	out := make([]migration, 0, len(names))
	for _, name := range names {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		sum := sha256.Sum256(body)
		out = append(out, migration{
			name:       strings.TrimSuffix(path.Base(name), ".sql"),
			checksum:   hex.EncodeToString(sum[:]),
			statements: statements(string(body)),
		})
	}
	return out, nil
}

// statements cuts a file where a line ends with a semicolon. Lines of comment do not end anything and go with the
// statement that follows them.
func statements(sql string) []string {
	var out, cur []string
	for line := range strings.Lines(sql) {
		text := strings.TrimSpace(line)
		cur = append(cur, line)
		if strings.HasSuffix(text, ";") && !strings.HasPrefix(text, "--") {
			out = append(out, strings.TrimSuffix(strings.TrimSpace(strings.Join(cur, "")), ";"))
			cur = nil
		}
	}
	return out
}
