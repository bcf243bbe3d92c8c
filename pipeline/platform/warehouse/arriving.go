package warehouse

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"ratchet/pipeline/domain/visibility"
)

// Arriving are visible deals that arrive one by one. Close them.
type Arriving struct {
	rows    driver.Rows
	types   []driver.ColumnType
	columns []string // the members that have one
	// extracted are the members that are only in the message.
	extracted []string

	next visibility.Shown
	more bool
}

// fixedColumns are those of every visible deal, before the columns of members.
var fixedColumns = []string{"domain", "asin", "price_type", "last_seen_at", "last_confirmed_at", "stale_because", "work_id"}

// Arrive asks for the visible deals with a version since then, with these members of their messages, in the order of
// an ORDER BY; "" is any. It returns when the first one is here: what is stored later is not among them.
func (w *Warehouse) Arrive(ctx context.Context, since time.Time, members []string, order string) (*Arriving, error) {
	a := &Arriving{}
	for _, c := range dealMembers() {
		if slices.Contains(members, c.name) {
			a.columns = append(a.columns, c.name)
		}
	}
	selected := slices.Concat(fixedColumns, a.columns)
	for _, name := range members {
		if !slices.Contains(a.columns, name) { // a message is most of a deal's bytes: it does not leave the server
			a.extracted = append(a.extracted, name)
			selected = append(selected, "JSONExtractRaw(message, '"+name+"')")
		}
	}
	selected = append(selected, "if(isValidJSON(message), '', message)") // ClickHouse reads no number like 1e999, and Go does
	if since.Before(time.Unix(0, 0)) {
		since = time.Unix(0, 0)
	}
	sql := "SELECT " + strings.Join(selected, ", ") + " FROM visible_deals WHERE last_seen_at >= {since:DateTime64(3, 'UTC')}"
	if order != "" {
		sql += " ORDER BY " + order
	}
	var err error
	a.rows, err = w.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(readOnly()),
		clickhouse.WithParameters(clickhouse.Parameters{"since": since.UTC().Format("2006-01-02 15:04:05.000")})), sql)
	if err == nil {
		a.types = a.rows.ColumnTypes()
		if err = a.read(); err != nil {
			a.Close()
		}
	}
	if err != nil {
		return nil, w.noTables(ctx, fmt.Errorf("read visible deals: %w", err))
	}
	return a, nil
}

// read reads the next deal.
func (a *Arriving) read() error {
	if a.more = a.rows.Next(); !a.more {
		return a.rows.Err()
	}
	row, err := scan(a.rows, a.types)
	if err != nil {
		return err
	}
	a.next = visibility.Shown{State: visibility.State{
		DealKey: placeIn(row), LastSeen: instantIn(row[3]), LastConfirmed: instantIn(row[4]), StaleBecause: text(row[5]),
	}, WorkID: text(row[6])}
	if a.next.Members, err = a.membersIn(row[len(fixedColumns):]); err != nil {
		return fmt.Errorf("read the deal of %s: %w", a.next.ASIN, err)
	}
	return nil
}

// membersIn returns members of a deal: those with a column from the column, the others from the newest message.
func (a *Arriving) membersIn(values []any) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for i, name := range a.columns {
		raw, err := json.Marshal(values[i])
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", name, err)
		}
		if s := string(raw); s != "null" && s != "[]" && s != "{}" {
			out[name] = raw
		}
	}
	values = values[len(a.columns):]
	var message map[string]json.RawMessage
	if odd := text(values[len(a.extracted)]); odd != "" {
		if err := json.Unmarshal([]byte(odd), &message); err != nil {
			return nil, fmt.Errorf("decode message: %w", err)
		}
	}
	for i, name := range a.extracted {
		raw := json.RawMessage(text(values[i]))
		if message != nil {
			raw = message[name]
		}
		if len(raw) > 0 {
			out[name] = raw
		}
	}
	return out, nil
}

// Next returns the next deal; false after the last one.
func (a *Arriving) Next() (visibility.Shown, bool, error) {
	if !a.more {
		return visibility.Shown{}, false, nil
	}
	s := a.next
	if err := a.read(); err != nil {
		return s, false, fmt.Errorf("read visible deals: %w", err)
	}
	return s, true, nil
}

// Close ends the question.
func (a *Arriving) Close() { _ = a.rows.Close() } // it was only read

// Visible returns the visible deals with a version since then, with these members of their messages.
func (w *Warehouse) Visible(ctx context.Context, since time.Time, members []string) ([]visibility.Shown, error) {
	a, err := w.Arrive(ctx, since, members, "")
	if err != nil {
		return nil, err
	}
	defer a.Close()
	out := []visibility.Shown{}
	for {
		s, ok, err := a.Next()
		if err != nil || !ok {
			return out, err
		}
		out = append(out, s)
	}
}
