package warehouse

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline"
)

// InsertVerdicts stores rows of verdicts. The token identifies the content: a batch whose token is stored already
// is dropped, so the same batch may be inserted until it is known to be stored. Another batch needs another token.
func (w *Warehouse) InsertVerdicts(ctx context.Context, rows []VerdictRow, token string) error {
	return insert(ctx, w, "verdicts", verdictColumns, rows, token, (*VerdictRow).fits)
}

// InsertDeals stores versions of deals; the token as for InsertVerdicts.
func (w *Warehouse) InsertDeals(ctx context.Context, rows []DealRow, token string) error {
	return insert(ctx, w, "deal_versions", dealColumns, rows, token, (*DealRow).fits)
}

// InsertLedger stores entries of the ledger; the token as for InsertVerdicts.
func (w *Warehouse) InsertLedger(ctx context.Context, rows []LedgerRow, token string) error {
	return insert(ctx, w, "ledger", ledgerColumns, rows, token, (*LedgerRow).fits)
}

// InsertDead stores dead letters; the token as for InsertVerdicts.
func (w *Warehouse) InsertDead(ctx context.Context, rows []DeadRow, token string) error {
	return insert(ctx, w, "dead", deadColumns, rows, token, (*DeadRow).fits)
}

// InsertActions stores the user's actions; the token as for InsertVerdicts.
func (w *Warehouse) InsertActions(ctx context.Context, rows []ActionRow, token string) error {
	return insert(ctx, w, "actions", actionColumns, rows, token, (*ActionRow).fits)
}

func insert[R any](ctx context.Context, w *Warehouse, table string, columns []column[R], rows []R, token string, fits func(*R) error) error {
	if len(rows) == 0 {
		return nil
	}
	for i := range rows {
		if err := fits(&rows[i]); err != nil {
			return fmt.Errorf("insert %d rows into %s: %w", len(rows), table, err)
		}
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"async_insert":                                       0, // an insert that has returned is stored
		"max_partitions_per_insert_block":                    0, // however many months a batch spans: a limit would reject the same batch for ever
		"insert_deduplication_token":                         token,
		"insert_deduplicate":                                 1,
		"deduplicate_blocks_in_dependent_materialized_views": 1, // a repeat fills in what a view lacks, once
		"parallel_view_processing":                           1, // the views run in parallel
	}))
	batch, err := w.conn.PrepareBatch(ctx, "INSERT INTO "+table+" ("+strings.Join(names, ", ")+")")
	if err != nil {
		return fmt.Errorf("insert %d rows into %s: %w", len(rows), table, err)
	}
	// A batch counts as sent even if sending fails, so the rows stay the caller's and a repeat builds a new one.
	for i, c := range columns {
		if err := batch.Column(i).Append(c.fill(rows)); err != nil {
			return errors.Join(fmt.Errorf("insert %d rows into %s: column %s: %w", len(rows), table, c.name, &pipeline.Unrecordable{Reason: pipeline.BadRow, Err: err}), batch.Abort())
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("insert %d rows into %s: %w", len(rows), table, err)
	}
	return nil
}
