package warehouse

import (
	"context"
	"fmt"
	"strings"
)

// KeepDays is the default retention of rows, which is also the tables' TTL.
const KeepDays = 400

// keptTables are those whose rows expire: what was recorded, row by row. The sums over
// them and the deals stay for ever; the IDs of verdicts have a retention of their own.
var keptTables = []string{"verdicts", "ledger", "balance_points", "dead"}

// Keep sets the number of days after which rows expire, counted from their storage, machine time.
// It changes a table only if needed; of several processes with different values the last one wins.
// Fewer days than before: ClickHouse removes older rows in the background, part by part. More
// days: removed rows do not return, except by recording the streams again while they hold them.
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
