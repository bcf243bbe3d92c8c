package warehouse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"ratchet/schemas"
)

// migrationsTable records what was applied. Several processes may write
// the same line; the newest of equal lines is as good as the first.
const migrationsTable = `CREATE TABLE IF NOT EXISTS schema_migrations
(
    name       String COMMENT 'file of schemas/clickhouse, without .sql',
    checksum   String COMMENT 'SHA-256 of the file, hexadecimal',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'machine time'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY name
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
COMMENT 'Which migrations were applied to this database?'`

// The baseline replaced the migrations up to lastBefore. In a database that has them all it finds the tables, and
// replaces the views by the same ones.
const lastBefore = "0045_facts_codec"

// migration is one file of schemas/clickhouse.
type migration struct {
	name       string // 0046_verdicts
	checksum   string
	statements []string
}

// Migrate brings the tables to this build's version. Every statement is idempotent, so a crash between
// two statements is repaired by the next start, and several processes of one build may start at once. An
// applied migration with other content is an error: migrations are not rewritten, new files are added. So
// is a database of a newer build, whose tables may have another meaning, and one from before lastBefore.
func (w *Warehouse) Migrate(ctx context.Context) error {
	all, err := migrations(schemas.ClickHouse)
	if err != nil {
		return err
	}
	if err := w.exec(ctx, migrationsTable); err != nil {
		return fmt.Errorf("create schema_migrations: %w", err)
	}
	applied, err := w.applied(ctx)
	if err != nil {
		return err
	}
	todo, err := pending(all, applied)
	if err != nil {
		return fmt.Errorf("database %s %w", w.database, err)
	}
	for _, m := range todo {
		if err := w.apply(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// appliedByAnother reports whether another process has applied a migration meanwhile. That process may have
// continued with a later one, which drops what this one reads. The other statements still run, because this process
// may just have replaced a view by an earlier one.
func (w *Warehouse) appliedByAnother(ctx context.Context, m migration) bool {
	applied, err := w.applied(ctx)
	return err == nil && applied[m.name] == m.checksum
}

// pending returns the migrations that a database still needs. The error describes the state of the database.
func pending(all []migration, applied map[string]string) (todo []migration, err error) {
	last := ""
	for name := range applied {
		last = max(last, name)
	}
	switch {
	case last > all[len(all)-1].name:
		return nil, fmt.Errorf("has migration %s, which this build does not know: a newer build made it; run that one, or let CLICKHOUSE_URL name another database", last)
	case last != "" && last < lastBefore:
		return nil, fmt.Errorf("has migrations up to %s, and this build upgrades from %s: run the build that has that one once, or let CLICKHOUSE_URL name another database", last, lastBefore)
	}
	for _, m := range all {
		switch sum, done := applied[m.name]; {
		case !done:
			todo = append(todo, m)
		case sum != m.checksum:
			return nil, fmt.Errorf("has migration %s with other content than this build: run the build that applied it, or let CLICKHOUSE_URL name another database", m.name)
		}
	}
	return todo, nil
}

func (w *Warehouse) apply(ctx context.Context, m migration) error {
	for n, s := range m.statements {
		if err := w.exec(ctx, s); err != nil && (Classify(err) != NoSchema || !w.appliedByAnother(ctx, m)) {
			return fmt.Errorf("apply migration %s, statement %d: %w", m.name, n+1, err)
		}
	}
	// After a crash on the line above the next start runs the statements again, which changes nothing.
	if err := w.exec(ctx, "INSERT INTO schema_migrations (name, checksum) SETTINGS async_insert = 0 VALUES ({name:String}, {sum:String})",
		"name", m.name, "sum", m.checksum); err != nil {
		return fmt.Errorf("record migration %s: %w", m.name, err)
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

// statements splits a file at semicolons that end a line. Comment
// lines end nothing and belong to the statement that follows them.
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
