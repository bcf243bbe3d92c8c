package pipeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Stored is a message as its stream holds it. Readers of a stream and the recorder both decode it
// with the methods below, so they cannot disagree on its meaning or on whether it is valid.
type Stored struct {
	Subject  string
	Sequence uint64
	StoredAt time.Time // machine time of the server
	Header   map[string][]string
	Body     []byte
}

// Origin is a message's position in its stream, its run, and its times.
type Origin struct {
	Sequence uint64    // in the stream; below 2^32
	StoredAt time.Time // when the stream stored it, machine time
	At       time.Time // the message's own time, pipeline time
	Run      string    // RunLive, or a replay's name
	WorkID   string
	Build    string // the build that published it
	MsgID    string // its Nats-Msg-Id; empty when absent
}

// The reasons why a message is never recorded, as its dead letter carries them.
const (
	UnknownMessage = "unknown_message" // its position or its time is unknown
	UnknownSchema  = "unknown_schema"  // a schema that this build does not know
	BadMessage     = "bad_message"     // the body does not match its schema
	BadRow         = "bad_row"         // a value that no table can hold
)

// Unrecordable is the error for a message that can never be recorded. The
// recorder writes a dead letter; every other reader skips the message.
type Unrecordable struct {
	Reason string // UnknownMessage …
	Err    error
}

func (e *Unrecordable) Error() string { return e.Err.Error() }
func (e *Unrecordable) Unwrap() error { return e.Err }

func unrecordable(reason, format string, args ...any) error {
	return &Unrecordable{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// Origin reads the headers. A message without a run was published by hand and counts as live; one without a
// time gets the time at which it was stored. A reader that finds a better time in the body uses that.
func (m Stored) Origin() (Origin, error) {
	o := Origin{
		Sequence: m.Sequence, StoredAt: m.StoredAt.UTC(), Run: m.head(HeaderRunID), WorkID: m.head(HeaderWorkID),
		Build: m.head(HeaderBuild), MsgID: m.head(HeaderMsgID),
	}
	o.Run = cmp.Or(o.Run, RunLive)
	if o.Sequence > math.MaxUint32 {
		return o, unrecordable(UnknownMessage, "sequence %d: want less than 2^32; start a new stream", o.Sequence)
	}
	at := m.head(HeaderAt)
	if at == "" {
		o.At = o.StoredAt
		return o, nil
	}
	var err error
	if o.At, err = time.Parse(time.RFC3339Nano, at); err != nil {
		return o, unrecordable(UnknownMessage, "header %s: %w", HeaderAt, err)
	}
	return o, nil
}

// Decode reads the body of a schema into v.
func (m Stored) Decode(schema string, v any) error {
	if got := m.head(HeaderSchema); got != schema {
		return unrecordable(UnknownSchema, "unknown schema %q: want %s", got, schema)
	}
	if err := json.Unmarshal(m.Body, v); err != nil {
		return unrecordable(BadMessage, "decode %s: %w", schema, err)
	}
	return nil
}

// Schema returns the schema that the header names; "" when it is absent.
func (m Stored) Schema() string { return m.head(HeaderSchema) }

// head returns a header's first value; "" when it is absent.
func (m Stored) head(name string) string {
	if v := m.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Bound is a number for a column, and the column's range.
type Bound struct {
	Name        string
	Value       int
	Least, Most int
}

// Fits returns an error for the first value that no table can hold: the position, the times, or one of numbers.
func (o Origin) Fits(numbers ...Bound) error {
	if o.Sequence > math.MaxUint32 {
		return unrecordable(BadRow, "stream sequence %d: want less than 2^32", o.Sequence)
	}
	for _, t := range [...]time.Time{o.At, o.StoredAt} {
		if y := t.Year(); y < 1971 || y > 2105 {
			return unrecordable(BadRow, "time %s: want 1971 to 2105", t.Format(time.RFC3339))
		}
	}
	for _, b := range numbers {
		if b.Value < b.Least || b.Value > b.Most {
			return unrecordable(BadRow, "%s %d: want %d to %d", b.Name, b.Value, b.Least, b.Most)
		}
	}
	return nil
}

// Numbers returns the verdict's numbers that may be too large for their columns.
func (v *Verdict) Numbers() [4]Bound {
	return [4]Bound{
		{"domain", v.Domain, 0, math.MaxUint16},
		{"price_type", v.PriceType, 0, math.MaxUint16},
		{"tokens", v.Tokens, math.MinInt32, math.MaxInt32},
		{"tokens_spent", v.TokensSpent, math.MinInt32, math.MaxInt32},
	}
}
