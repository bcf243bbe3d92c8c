package pipeline

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Stored is a message as its stream holds it. What it says, and whether it says anything, is a function of this
// alone: whoever reads a stream and whoever records it read it here, so that they cannot differ.
type Stored struct {
	Subject  string
	Sequence uint64
	StoredAt time.Time // machine time of the server
	Header   map[string][]string
	Body     []byte
}

// Origin is where a message stands in its stream, whose it is, and when it was made.
type Origin struct {
	Sequence uint64    // in the stream; below 2^32
	StoredAt time.Time // when the stream took it, machine time
	At       time.Time // the message's own time, pipeline time
	Run      string    // RunLive, or a replay's name
	WorkID   string
	Build    string // the build that published it
	MsgID    string // its Nats-Msg-Id; empty without one
}

// The reasons for which a message is never recorded. They stand on its dead letter.
const (
	UnknownMessage = "unknown_message" // nobody can say where it stands or when it was made
	UnknownSchema  = "unknown_schema"  // of a shape that this build does not know
	BadMessage     = "bad_message"     // it does not say what its schema wants
	BadRow         = "bad_row"         // no table can hold what it says
)

// Unrecordable is why a message can never be recorded. The recorder buries it, and every other reader passes it over.
type Unrecordable struct {
	Reason string // UnknownMessage …
	Err    error
}

func (e *Unrecordable) Error() string { return e.Err.Error() }
func (e *Unrecordable) Unwrap() error { return e.Err }

func unrecordable(reason, format string, args ...any) error {
	return &Unrecordable{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// Origin reads the headers. What names no run was published by hand and is live; what names no time is of when it was
// stored. Where the body says a better time, whoever reads it says so.
func (m Stored) Origin() (Origin, error) {
	o := Origin{
		Sequence: m.Sequence, StoredAt: m.StoredAt.UTC(), Run: m.head(HeaderRunID), WorkID: m.head(HeaderWorkID),
		Build: m.head(HeaderBuild), MsgID: m.head(HeaderMsgID),
	}
	if o.Run == "" {
		o.Run = RunLive
	}
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

// Schema is what the message says that its body is; "" where it does not.
func (m Stored) Schema() string { return m.head(HeaderSchema) }

// head is a header's first value; "" when it is absent.
func (m Stored) head(name string) string {
	if v := m.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Bound is a number that a column holds, and what it can hold.
type Bound struct {
	Name        string
	Value       int
	Least, Most int
}

// Fits names the first thing that no table can hold: of where a message comes from, and of numbers that it says.
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

// Numbers are those of a verdict that a column may be too small for.
func (v *Verdict) Numbers() [4]Bound {
	return [4]Bound{
		{"domain", v.Domain, 0, math.MaxUint16},
		{"price_type", v.PriceType, 0, math.MaxUint16},
		{"tokens", v.Tokens, math.MinInt32, math.MaxInt32},
		{"tokens_spent", v.TokensSpent, math.MinInt32, math.MaxInt32},
	}
}
