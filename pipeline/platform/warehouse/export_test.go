package warehouse

import (
	"context"

	"ratchet/schemas"
)

// Statements are those of each migration, in their order, and Cut cuts a file into its own.
func Statements() (all [][]string) {
	for _, m := range must(migrations(schemas.ClickHouse)) {
		all = append(all, m.statements)
	}
	return all
}

// Cut is a file of statements, one by one.
func Cut(sql string) []string { return statements(sql) }

// Exec runs a statement with its parameters, name and value in turn.
func (w *Warehouse) Exec(ctx context.Context, sql string, pairs ...string) error {
	return w.exec(ctx, sql, pairs...)
}
