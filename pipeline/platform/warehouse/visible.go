package warehouse

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/visibility"
)

// Only the views deal_states and visible_deals decide what is visible; they
// are queried here. Package visibility decides the same from the streams.

// States returns the states of all deals.
func (w *Warehouse) States(ctx context.Context) ([]visibility.State, error) {
	t, err := w.query(ctx, `SELECT domain, asin, price_type, first_seen_at, last_seen_at, last_confirmed_at, hidden_because, stale_because
		FROM deal_states ORDER BY domain, asin, price_type`, nil, readOnly())
	if err != nil {
		return nil, w.noTables(ctx, fmt.Errorf("read the states of deals: %w", err))
	}
	out := make([]visibility.State, 0, len(t.Rows))
	for _, row := range t.Rows {
		out = append(out, visibility.State{
			DealKey: placeIn(row), FirstSeen: instantIn(row[3]), LastSeen: instantIn(row[4]), LastConfirmed: instantIn(row[5]),
			HiddenBecause: text(row[6]), StaleBecause: text(row[7]),
		})
	}
	return out, nil
}

// Counts returns the number of deals in each state.
func (w *Warehouse) Counts(ctx context.Context) (visibility.Counts, error) {
	invalid := "('" + strings.Join([]string{visibility.NoProfit, visibility.OldEstimate}, "', '") + "')"
	aside := "('" + strings.Join(action.Reasons(), "', '") + "')"
	t, err := w.query(ctx, `SELECT countIf(last_confirmed_at > toDateTime64(0, 3, 'UTC')), count(), countIf(hidden_because = ''), countIf(hidden_because = '' AND stale_because != ''),
		countIf(hidden_because NOT IN `+invalid+` AND hidden_because NOT IN `+aside+` AND hidden_because != ''), countIf(hidden_because IN `+invalid+`),
		countIf(hidden_because IN `+aside+`) FROM deal_states`, nil, readOnly())
	if err != nil || len(t.Rows) != 1 {
		return visibility.Counts{}, w.noTables(ctx, fmt.Errorf("count deals: %w", err))
	}
	n := make([]int, len(t.Rows[0]))
	for i, v := range t.Rows[0] {
		n[i] = int(number(v)) //nolint:gosec // a count
	}
	return visibility.Counts{Found: n[0], Stored: n[1], Visible: n[2], Stale: n[3], Expired: n[4], Invalid: n[5], SetAside: n[6]}, nil
}

// Newest returns the row IDs of the newest version, verdict and action that the views of deals rest on; 0 without one.
// A later answer of a view rests on these at least, and an earlier one on no newer ones.
func (w *Warehouse) Newest(ctx context.Context) (version, verdict, act uint64, err error) {
	t, err := w.query(ctx, `SELECT
		greatest((SELECT max(row_id) FROM deal_versions), (SELECT toUInt64(bitShiftRight(max(greatest(newest_profit, newest_sale_price)), 64)) FROM deal_facts)),
		(SELECT greatest(max(confirmed_id), max(rejected_id), max(marked_id)) FROM deal_facts),
		(SELECT max(row_id) FROM actions)`, nil, readOnly())
	if err != nil || len(t.Rows) != 1 {
		return 0, 0, 0, w.noTables(ctx, fmt.Errorf("read the newest rows of deals: %w", err))
	}
	return number(t.Rows[0][0]), number(t.Rows[0][1]), number(t.Rows[0][2]), nil
}

// Filled identifies the deals: it returns the newest version's row ID,
// which contains the epoch of its stream, and the number of deals.
func (w *Warehouse) Filled(ctx context.Context) (newest uint64, deals int, err error) {
	t, err := w.query(ctx, "SELECT max(row_id), uniqExact(domain, asin, price_type) FROM deal_versions WHERE run = 'live'", nil, readOnly())
	if err != nil || len(t.Rows) != 1 {
		return 0, 0, w.noTables(ctx, fmt.Errorf("read the newest deal: %w", err))
	}
	return number(t.Rows[0][0]), int(number(t.Rows[0][1])), nil //nolint:gosec // a count
}

func placeIn(row []any) visibility.DealKey {
	return visibility.DealKey{Domain: int(number(row[0])), ASIN: text(row[1]), PriceType: int(number(row[2]))} //nolint:gosec // 16 bits
}

// number returns the value of an unsigned column.
func number(v any) uint64 {
	switch n := v.(type) {
	case uint64:
		return n
	case uint32:
		return uint64(n)
	case uint16:
		return uint64(n)
	case uint8:
		return uint64(n)
	}
	return 0
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// instantIn returns a column's time; ClickHouse's value for none is the zero time.
func instantIn(v any) time.Time {
	at, _ := v.(time.Time)
	if at.Unix() <= 0 {
		return time.Time{}
	}
	return at.UTC()
}
