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

// Row is a row of any stream: what happened, and the message that says so. The same event in two messages is two row ids.
type Row interface {
	EventID() uint64
	RowID() uint64
	StoredOn() time.Time // when the stream stored it, machine time
}

// MessageID is a message's Nats-Msg-Id as a row holds it: 64 bits of a hash. Such an id means something within its stream
// alone, so the stream's epoch is part of it. 0: the message has none.
func MessageID(epoch uint32, id string) uint64 {
	if id == "" {
		return 0
	}
	return hash(fmt.Sprintf("%d:%s", epoch, id))
}

// hash is the first 8 bytes of SHA-256, least first.
func hash(s string) uint64 {
	sum := sha256.Sum256([]byte(s))
	return binary.LittleEndian.Uint64(sum[:8])
}

// Events is the event of each row.
func Events[R Row](rows []R) []uint64 {
	events := make([]uint64, len(rows))
	for i := range rows {
		events[i] = rows[i].EventID()
	}
	return events
}

// WithoutRepeats is the rows, of such events, without those whose event is stored under another row id, or stands twice
// among them: it was published again after the stream had forgotten its id. What is stored stays, and of two rows that are
// not, the one with the lesser row id. A row whose event nobody can tell stays. seen says of each that is left out where its event is.
func WithoutRepeats[R Row](rows []R, events []uint64, stored map[uint64]uint64) (anew []R, seen []Seen) {
	first := make(map[uint64]uint64, len(rows)) // of each event the row that stays
	for i, event := range events {
		row := rows[i].RowID()
		if at, is := stored[event]; is {
			first[event] = at
		} else if at, seen := first[event]; !seen || row < at {
			first[event] = row
		}
	}
	anew = make([]R, 0, len(rows))
	for i, event := range events {
		if event == 0 || first[event] == rows[i].RowID() {
			anew = append(anew, rows[i])
		} else {
			seen = append(seen, Seen{Event: event, Row: first[event], At: rows[i].StoredOn()})
		}
	}
	return anew, seen
}

// Seen is an event of which another message was stored at that time than the one whose row stays.
type Seen struct {
	Event uint64
	Row   uint64
	At    time.Time
}

// ids are the tables in which events are remembered for a time, whatever becomes of their rows.
var ids = map[string]string{pipeline.StreamVerdicts: "verdict_ids", pipeline.StreamLedger: "entry_ids"}

// Remember keeps events of a stream in mind for as long as their last message may come again, and not only their first. Elsewhere an
// event is remembered as long as its row. It may be said again.
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

// idsInAQuery is how many ids are asked for at once: with more, the query's text would be too long.
const idsInAQuery = 10_000

// stored is where each stream's events are found. Where sums outlive the rows, the ids have a table of their own; the other tables are
// small enough to be gone through.
var stored = map[string]string{
	pipeline.StreamVerdicts: "SELECT id, min(row_id) FROM verdict_ids WHERE id IN (%s) GROUP BY id",
	pipeline.StreamDeals:    "SELECT msg_id, min(row_id) FROM deal_versions WHERE msg_id IN (%s) GROUP BY msg_id",
	pipeline.StreamLedger:   "SELECT id, min(row_id) FROM entry_ids WHERE id IN (%s) GROUP BY id",
	pipeline.StreamActions:  "SELECT msg_id, min(row_id) FROM actions WHERE msg_id IN (%s) GROUP BY msg_id",
	pipeline.StreamDead:     "SELECT msg_id, min(row_id) FROM dead WHERE msg_id IN (%s) GROUP BY msg_id",
}

// Stored is the row id under which each event of a stream is stored; an event that is not is missing, and so is 0. It is
// of use only while nobody else stores the same event under another row id; the recorder sees to that.
func (w *Warehouse) Stored(ctx context.Context, stream string, events []uint64) (map[uint64]uint64, error) {
	sql, is := stored[stream]
	if !is {
		return nil, fmt.Errorf("look for %d events: stream %q has no table", len(events), stream)
	}
	out := map[uint64]uint64{}
	for from := 0; from < len(events); from += idsInAQuery {
		if err := w.lookUp(ctx, sql, events[from:min(from+idsInAQuery, len(events))], out); err != nil {
			return nil, fmt.Errorf("look for %d events of %s: %w", len(events), stream, err)
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
