package scenario

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/warehouse"
)

// recordedIn is the table of each stream that the recorder records.
var recordedIn = map[string]string{
	pipeline.StreamVerdicts: "verdicts", pipeline.StreamDeals: "deal_versions", pipeline.StreamLedger: "ledger", pipeline.StreamDead: "dead",
	pipeline.StreamActions: "actions",
}

// sumsOf are sums over the tables, each with the same query over the rows.
var sumsOf = map[string][2]string{
	"verdict_counts": {"SELECT toInt64(count()), toInt64(sum(tokens)) FROM verdicts FINAL", "SELECT toInt64(sum(verdicts)), toInt64(sum(tokens)) FROM verdict_counts"},
	"token_counts":   {"SELECT toInt64(count()), toInt64(sum(tokens)) FROM ledger FINAL", "SELECT toInt64(sum(entries)), toInt64(sum(tokens)) FROM token_counts"},
	"deals":          {"SELECT toInt64(count()), toInt64(0) FROM deal_versions FINAL", "SELECT toInt64(sum(versions)), toInt64(0) FROM deals"},
}

// recorded compares the streams with ClickHouse, if there is one: every
// message must be one row, and every sum must equal that of the rows.
func (f *Figures) recorded(ctx context.Context, r *Rig) error {
	if r.CH == "" {
		return nil
	}
	w, err := warehouse.Open(ctx, r.CH)
	if err != nil {
		return err
	}
	defer func() { _ = w.Close() }() // read only; nothing to lose
	for _, stream := range slices.Sorted(maps.Keys(recordedIn)) {
		s, err := r.Bus.JS.Stream(ctx, stream)
		if err != nil {
			return fmt.Errorf("inspect %s: %w", stream, err)
		}
		info := s.CachedInfo()
		rows, known, err := pair(ctx, w, fmt.Sprintf("SELECT toInt64(count()), toInt64(uniqExact(row_id)) FROM %s FINAL WHERE bitShiftRight(row_id, 32) = %d",
			recordedIn[stream], bus.Made(info)))
		if err != nil {
			return err
		}
		messages := int64(info.State.Msgs) //nolint:gosec // a count
		f.Messages += int(messages)
		f.Unrecorded += int(max(messages, known) - min(messages, known))
		f.RecordedTwice += int(rows - known)
	}
	for name, ask := range sumsOf {
		rows, tokens, err := pair(ctx, w, ask[0])
		if err != nil {
			return err
		}
		n, sum, err := pair(ctx, w, ask[1])
		if err != nil {
			return err
		}
		if n != rows || sum != tokens {
			f.SumsAstray = append(f.SumsAstray, fmt.Sprintf("%s: %d and %d tokens, the rows say %d and %d", name, n, sum, rows, tokens))
		}
	}
	return nil
}

// pair runs a query for two numbers.
func pair(ctx context.Context, w *warehouse.Warehouse, sql string) (a, b int64, err error) {
	t, err := w.SQL(ctx, sql, true)
	if err != nil {
		return 0, 0, err
	}
	a, _ = t.Rows[0][0].(int64)
	b, _ = t.Rows[0][1].(int64)
	return a, b, nil
}

// Recorded compares the streams with ClickHouse.
type Recorded struct {
	Messages      int      `json:"messages,omitempty"`    // of the recorded streams
	Unrecorded    int      `json:"unrecorded"`            // of them without a row
	RecordedTwice int      `json:"recorded_twice"`        // surplus rows
	SumsAstray    []string `json:"sums_astray,omitempty"` // sums that differ from the rows
}
