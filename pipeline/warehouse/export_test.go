package warehouse

import (
	"context"

	"ratchet/schemas"
)

// Migrations is how many there are.
func Migrations() int { return len(must(migrations(schemas.ClickHouse))) }

// MigrateTo applies the first n migrations, as an earlier build did.
func (w *Warehouse) MigrateTo(ctx context.Context, n int) error {
	return w.migrate(ctx, must(migrations(schemas.ClickHouse))[:n])
}

// Exec runs a statement with its parameters, name and value in turn.
func (w *Warehouse) Exec(ctx context.Context, sql string, pairs ...string) error {
	return w.exec(ctx, sql, pairs...)
}

// Late are the statements of the migrations, by the migration's name.
func Late() (names []string, statements [][]string) {
	for _, m := range must(migrations(schemas.ClickHouse)) {
		names, statements = append(names, m.name), append(statements, m.statements)
	}
	return names, statements
}
