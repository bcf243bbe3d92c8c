package warehouse

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"ratchet/pipeline/platform/process"
)

// rejectMemory is how long rejects of ASINs without a deal are kept, on the stream's clock: longer than the day after
// which the recorder stores nothing older. Every question about deals reads them as well.
const rejectMemory = 2 * 24 * time.Hour

// worthForgetting is how many useless rejects justify their removal, which rewrites the table.
const worthForgetting = 20_000

// ForgetRejects removes rejects that cannot hide a deal any more, once there are at least
// worth of them, and returns their number. Table deal_facts holds the newest reject of
// everything, because a deal may be recorded after a later look has rejected it; without
// removal it would grow with every ASIN ever seen, although one in thirty is a deal.
//
// A reject is useless if no deal is known for it and whatever confirms one can only come later in the
// stream. That is so once verdicts stored rejectMemory after it are recorded, because the recorder never
// holds anything that is older by a dedup window (a day) than what it has recorded: see "eligible"
// there. A deal that is found later is confirmed by a later verdict, which no earlier reject hides.
func (w *Warehouse) ForgetRejects(ctx context.Context, worth int) (int, error) {
	// The first to be kept, not the last to be removed: after a period with the clock ahead everything would be old.
	first, err := w.number(ctx, `SELECT min(row_id) FROM verdicts WHERE run = 'live'
		AND stored_at >= (SELECT max(stored_at) FROM verdicts WHERE run = 'live') - toIntervalSecond({memory:UInt32})`,
		map[string]string{"memory": strconv.Itoa(int(rejectMemory.Seconds()))})
	if err != nil {
		return 0, fmt.Errorf("find the first reject to keep: %w", err)
	}
	useless := "rejected_id < " + strconv.FormatUint(first, 10) + " AND deal NOT IN (SELECT deal FROM deal_facts WHERE last_at > 0 OR confirmed_id > 0 OR marked_id > 0)"
	n, err := w.number(ctx, "SELECT count() FROM deal_facts WHERE "+useless, nil)
	if err != nil {
		return 0, fmt.Errorf("count rejects to forget: %w", err)
	}
	if n < uint64(max(worth, 1)) { //nolint:gosec // positive
		return 0, nil
	}
	if err := w.exec(ctx, "ALTER TABLE deal_facts DELETE WHERE "+useless+" SETTINGS mutations_sync = 0"); err != nil {
		return 0, fmt.Errorf("forget %d rejects: %w", n, err)
	}
	return int(n), w.mutated(ctx, "deal_facts") //nolint:gosec // a count of rows
}

// mutatedEvery is the interval at which the end of a mutation is polled.
const mutatedEvery = 50 * time.Millisecond

// mutated waits until the mutations of a table have ended. It polls, so that
// no connection is held and the wait ends with ctx, whatever the engine does.
func (w *Warehouse) mutated(ctx context.Context, table string) error {
	for {
		left, err := w.number(ctx, "SELECT count() FROM system.mutations WHERE database = currentDatabase() AND table = {table:String} AND NOT is_done",
			map[string]string{"table": table})
		if err != nil || left == 0 {
			return err
		}
		if process.Sleep(ctx, mutatedEvery) != nil {
			return fmt.Errorf("wait for %d mutations of %s: %w", left, table, ctx.Err())
		}
	}
}

// Tidy runs the maintenance that ClickHouse does not do by itself: it removes rejects
// (ForgetRejects) and merges the table through which deals are counted, so that
// each deal is one row in it. Without it a count is correct, but takes twice as long.
func (w *Warehouse) Tidy(ctx context.Context) (forgotten int, err error) {
	if forgotten, err = w.ForgetRejects(ctx, worthForgetting); err != nil {
		return 0, err
	}
	if err := w.exec(ctx, "OPTIMIZE TABLE deal_facts FINAL SETTINGS optimize_skip_merged_partitions = 1"); err != nil {
		return forgotten, fmt.Errorf("merge deal_facts: %w", err)
	}
	return forgotten, nil
}

// number returns the result of a query with one number.
func (w *Warehouse) number(ctx context.Context, sql string, params map[string]string) (uint64, error) {
	t, err := w.query(ctx, sql, params, readOnly())
	if err != nil {
		return 0, err
	}
	return number(t.Rows[0][0]), nil
}
