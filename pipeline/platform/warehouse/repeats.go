package warehouse

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline"
)

// Row is a row of any stream: an event, and the message that
// reports it. The same event in two messages has two row IDs.
type Row interface {
	EventID() uint64
	RowID() uint64
	StoredOn() time.Time // when the stream stored it, machine time
}

// MessageID returns a message's Nats-Msg-Id as rows hold it: 64 bits of a hash. Such an ID is
// unique only within its stream, so the stream's epoch is part of it. 0: the message has none.
func MessageID(epoch uint32, id string) uint64 {
	if id == "" {
		return 0
	}
	return hash(fmt.Sprintf("%d:%s", epoch, id))
}

// hash returns the first 8 bytes of SHA-256, little endian.
func hash(s string) uint64 {
	sum := sha256.Sum256([]byte(s))
	return binary.LittleEndian.Uint64(sum[:8])
}

// Events returns the event of each row.
func Events[R Row](rows []R) []uint64 {
	events := make([]uint64, len(rows))
	for i := range rows {
		events[i] = rows[i].EventID()
	}
	return events
}

// WithoutRepeats removes the rows whose event is stored under another row ID, or occurs twice
// among them: it was published again after the stream had forgotten its ID. Stored rows take
// precedence; of two rows that are not stored, the one with the lower row ID stays. A row
// with an unknown event stays. seen reports for each removed row where its event is stored.
func WithoutRepeats[R Row](rows []R, events []uint64, stored map[uint64]uint64) (fresh []R, seen []Seen) {
	first := make(map[uint64]uint64, len(rows)) // for each event, the row that stays
	for i, event := range events {
		row := rows[i].RowID()
		if at, is := stored[event]; is {
			first[event] = at
		} else if at, seen := first[event]; !seen || row < at {
			first[event] = row
		}
	}
	fresh = make([]R, 0, len(rows))
	for i, event := range events {
		if event == 0 || first[event] == rows[i].RowID() {
			fresh = append(fresh, rows[i])
		} else {
			seen = append(seen, Seen{Event: event, Row: first[event], At: rows[i].StoredOn()})
		}
	}
	return fresh, seen
}

// Seen is an event for which another message than that of the stored row arrived.
type Seen struct {
	Event uint64
	Row   uint64
	At    time.Time
}

// ids are the tables that remember events for a time, independently of their rows.
var ids = map[string]string{pipeline.StreamVerdicts: "verdict_ids", pipeline.StreamLedger: "entry_ids"}

// Remember keeps events of a stream in mind for as long as their last message may be repeated, not only
// their first. In other streams an event is remembered as long as its row. It may be called again.
func (w *Warehouse) Remember(ctx context.Context, stream string, seen []Seen) error {
	table, is := ids[stream]
	if !is || len(seen) == 0 {
		return nil
	}
	events, rows, months := make([]uint64, len(seen)), make([]uint64, len(seen)), make([]time.Time, len(seen))
	for i, s := range seen {
		at := s.At.UTC()
		events[i], rows[i], months[i] = s.Event, s.Row, time.Date(at.Year(), at.Month()+1, 0, 0, 0, 0, 0, time.UTC)
	}
	batch, err := w.conn.PrepareBatch(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"async_insert": 0})),
		"INSERT INTO "+table+" (id, row_id, stored_at)")
	if err != nil {
		return fmt.Errorf("remember %d events of %s: %w", len(seen), stream, err)
	}
	for i, column := range []any{events, rows, months} {
		if err := batch.Column(i).Append(column); err != nil {
			return errors.Join(fmt.Errorf("remember %d events of %s: %w", len(seen), stream, err), batch.Abort())
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("remember %d events of %s: %w", len(seen), stream, err)
	}
	return nil
}

// idsInAQuery is how many IDs one query contains: with more, its text would be too long.
const idsInAQuery = 10_000

// stored are the queries that find each stream's events. Tables whose sums outlive
// the rows have a table for the IDs; the other tables are small enough to be scanned.
var stored = map[string]string{
	pipeline.StreamVerdicts: "SELECT id, min(row_id) FROM verdict_ids WHERE id IN (%s) GROUP BY id",
	pipeline.StreamDeals:    "SELECT msg_id, min(row_id) FROM deal_versions WHERE msg_id IN (%s) GROUP BY msg_id",
	pipeline.StreamLedger:   "SELECT id, min(row_id) FROM entry_ids WHERE id IN (%s) GROUP BY id",
	pipeline.StreamActions:  "SELECT msg_id, min(row_id) FROM actions WHERE msg_id IN (%s) GROUP BY msg_id",
	pipeline.StreamDead:     "SELECT msg_id, min(row_id) FROM dead WHERE msg_id IN (%s) GROUP BY msg_id",
}

// Stored returns the row ID under which each event of a stream is stored; events
// that are not stored, and 0, are absent. The result is valid only while no other
// process stores the same event under another row ID, which the recorder ensures.
func (w *Warehouse) Stored(ctx context.Context, stream string, events []uint64) (map[uint64]uint64, error) {
	sql, is := stored[stream]
	if !is {
		return nil, fmt.Errorf("find %d events: stream %q has no table", len(events), stream)
	}
	out := map[uint64]uint64{}
	for from := 0; from < len(events); from += idsInAQuery {
		if err := w.lookUp(ctx, sql, events[from:min(from+idsInAQuery, len(events))], out); err != nil {
			return nil, fmt.Errorf("find %d events of %s: %w", len(events), stream, err)
		}
	}
	return out, nil
}

// lookUp adds to out which of the events are stored.
func (w *Warehouse) lookUp(ctx context.Context, sql string, events []uint64, out map[uint64]uint64) error {
	var list strings.Builder
	for _, e := range events {
		if e == 0 {
			continue
		}
		if list.Len() > 0 {
			list.WriteByte(',')
		}
		list.WriteString(strconv.FormatUint(e, 10))
	}
	if list.Len() == 0 {
		return nil
	}
	rows, err := w.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(readOnly())), fmt.Sprintf(sql, list.String()))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // its error is that of Err below
	var event, rowID uint64
	for rows.Next() {
		if err := rows.Scan(&event, &rowID); err != nil {
			return err
		}
		out[event] = rowID
	}
	return rows.Err()
}
