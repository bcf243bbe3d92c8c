package warehouse

import (
	"context"

	"ratchet/schemas"
)

// MigrationsTable creates the table that records what was applied.
const MigrationsTable = migrationsTable

// Statements returns the statements of each migration, in order.
func Statements() (all [][]string) {
	for _, m := range must(migrations(schemas.ClickHouse)) {
		all = append(all, m.statements)
	}
	return all
}

// ApplyFrom applies the migrations from one on, whatever was applied, as
// a process does that looked before another one migrated.
func (w *Warehouse) ApplyFrom(ctx context.Context, name string) error {
	for _, m := range must(migrations(schemas.ClickHouse)) {
		if m.name < name {
			continue
		}
		if err := w.apply(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// MigrateButLast leaves the database as a build before the last migration does.
func (w *Warehouse) MigrateButLast(ctx context.Context) error {
	all := must(migrations(schemas.ClickHouse))
	if err := w.exec(ctx, migrationsTable); err != nil {
		return err
	}
	for _, m := range all[:len(all)-1] {
		if err := w.apply(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// Cut splits a file into its statements.
func Cut(sql string) []string { return statements(sql) }

// Exec runs a statement with parameters, as pairs of name and value.
func (w *Warehouse) Exec(ctx context.Context, sql string, pairs ...string) error {
	return w.exec(ctx, sql, pairs...)
}
