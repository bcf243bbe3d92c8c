package warehouse

import (
	"context"
	"fmt"
	"strings"
)

// KeepDays is how long rows are kept where nobody says otherwise, as the tables' TTL has it.
const KeepDays = 400

// keptTables are those whose rows leave by age: what was recorded, row by row. The sums over them stay for ever, and so do
// the deals; the ids of verdicts have an age of their own.
var keptTables = []string{"verdicts", "ledger", "balance_points", "dead"}

// Keep makes rows leave so many days after they were stored, machine time. It asks for a change only where there is one,
// and of several processes with different wishes the last has its way. Fewer days than before: ClickHouse removes what
// is older in the background, part by part. More days: what has left does not come back, except that the streams, where
// they still hold it, can be recorded anew.
func (w *Warehouse) Keep(ctx context.Context, days int) error {
	for _, table := range keptTables {
		t, err := w.query(ctx, "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = '"+table+"'", nil, nil)
		if err != nil {
			return fmt.Errorf("read the retention of %s: %w", table, err)
		}
		if len(t.Rows) == 1 && strings.Contains(fmt.Sprint(t.Rows[0][0]), fmt.Sprintf("toIntervalDay(%d)", days)) {
			continue
		}
		if err := w.exec(ctx, fmt.Sprintf("ALTER TABLE %s MODIFY TTL toDateTime(stored_at) + toIntervalDay(%d)", table, days)); err != nil {
			return fmt.Errorf("keep %s for %d days: %w", table, days, err)
		}
	}
	return nil
}
