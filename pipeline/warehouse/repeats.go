package warehouse

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// idsInAQuery is how many ids are asked for at once: with more, the query's text would be too long.
const idsInAQuery = 10_000

// WithoutRepeats is the rows without verdicts that are stored already under another row id: the same verdict, published
// again after the stream had forgotten its id. Of two rows of one verdict the one with the lesser row id stays. It is right only
// while nobody else inserts a row of the same verdict; the recorder sees to that.
func (w *Warehouse) WithoutRepeats(ctx context.Context, rows []VerdictRow) ([]VerdictRow, error) {
	ids := make([]uint64, len(rows))
	first := make(map[uint64]uint64, len(rows)) // of each verdict the row that stays
	for i := range rows {
		ids[i] = rows[i].verdictID()
		if at, seen := first[ids[i]]; !seen || rows[i].RowID() < at {
			first[ids[i]] = rows[i].RowID()
		}
	}
	for from := 0; from < len(ids); from += idsInAQuery {
		if err := w.recorded(ctx, ids[from:min(from+idsInAQuery, len(ids))], first); err != nil {
			return nil, fmt.Errorf("look for %d verdicts: %w", len(rows), err)
		}
	}
	out := make([]VerdictRow, 0, len(rows))
	for i := range rows {
		if rows[i].WorkID == "" || first[ids[i]] == rows[i].RowID() {
			out = append(out, rows[i])
		}
	}
	return out, nil
}

// recorded replaces in first what is stored.
func (w *Warehouse) recorded(ctx context.Context, ids []uint64, first map[uint64]uint64) error {
	var list strings.Builder
	for i, id := range ids {
		if i > 0 {
			list.WriteByte(',')
		}
		list.WriteString(strconv.FormatUint(id, 10))
	}
	rows, err := w.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(readOnly())),
		"SELECT id, min(row_id) FROM verdict_ids WHERE id IN ("+list.String()+") GROUP BY id")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is that of Err below
	var id, rowID uint64
	for rows.Next() {
		if err := rows.Scan(&id, &rowID); err != nil {
			return err
		}
		first[id] = rowID
	}
	return rows.Err()
}

// verdictID is what table verdict_ids calls the verdict.
func (r *VerdictRow) verdictID() uint64 {
	sum := sha256.Sum256([]byte(r.ID(r.Run, r.WorkID)))
	return binary.LittleEndian.Uint64(sum[:8])
}
