package engine

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"unsafe"
)

// Conn is one session of the engine: its settings, database and temporary
// tables. It runs one statement at a time and is not safe for concurrent use.
type Conn struct {
	lib    *Library
	outer  unsafe.Pointer // for closing
	handle unsafe.Pointer // for statements
}

// Param is a query parameter {name:Type}; the value is escaped as in TSV.
type Param struct{ Name, Value string }

// Error is the engine's error for a failed statement.
type Error struct {
	Code int    // ClickHouse's error code; 0 if the text has none
	Text string // begins with "Code: N."
}

// Error returns the engine's text.
func (e *Error) Error() string { return e.Text }

// Counts are what a statement has read and written.
type Counts struct{ RowsRead, BytesRead, RowsWritten, BytesWritten uint64 }

// Connect opens a session with default settings. It takes a quarter of a millisecond.
func (e *Engine) Connect() (*Conn, error) {
	outer, err := e.connect()
	if err != nil {
		return nil, fmt.Errorf("connect to the engine: %w", err)
	}
	return &Conn{lib: e.lib, outer: outer, handle: *(*unsafe.Pointer)(outer)}, nil
}

// Close ends the session. It waits for a statement that still runs.
func (c *Conn) Close() {
	if c.outer != nil {
		c.lib.c.closeConn(c.outer)
		c.outer, c.handle = nil, nil
	}
}

// Exec runs a statement without a result.
func (c *Conn) Exec(sql string) error {
	_, _, err := c.Query(sql, "Null", nil)
	return err
}

// Query runs a statement and returns its complete result in the given format.
func (c *Conn) Query(sql, format string, params []Param) ([]byte, Counts, error) {
	r := call(c.lib.c.query, c.handle, sql, format, params)
	defer c.release(r)
	if err := c.fault(r); err != nil {
		return nil, Counts{}, err
	}
	return append([]byte(nil), c.bytes(r)...), c.counts(r), nil
}

// Stream starts a statement whose result arrives in pieces. Statements without a result
// set are rejected with an error for which NotStreamable is true; they have not run then.
func (c *Conn) Stream(sql, format string, params []Param) (*Stream, error) {
	r := call(c.lib.c.stream, c.handle, sql, format, params)
	if err := c.fault(r); err != nil {
		c.release(r)
		return nil, err
	}
	return &Stream{conn: c, handle: r}, nil
}

// NotStreamable reports whether Stream rejected a statement
// only because it has no result set to stream. Query runs it.
func NotStreamable(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == 36 && streamingRefused.MatchString(e.Text)
}

var streamingRefused = regexp.MustCompile(`(?i)streaming query is not supported`)

// Stream is a result that arrives in pieces, in Native format one block each.
type Stream struct {
	conn    *Conn
	handle  unsafe.Pointer
	piece   unsafe.Pointer // the piece returned last
	fetched bool
	ended   bool
	counts  Counts
}

// Next returns the next piece, valid until the following call; nil at the end.
func (s *Stream) Next() ([]byte, error) {
	s.drop()
	if s.ended {
		return nil, nil
	}
	s.fetched = true
	r := s.conn.lib.c.fetch(s.conn.handle, s.handle)
	if err := s.conn.fault(r); err != nil {
		s.conn.release(r)
		s.ended = true
		return nil, err
	}
	s.piece = r
	n := s.conn.counts(r) // of this piece
	s.counts.RowsRead += n.RowsRead
	s.counts.BytesRead += n.BytesRead
	b := s.conn.bytes(r)
	if len(b) == 0 {
		// Another fetch would be an error in some releases.
		s.ended = true
		return nil, nil
	}
	return b, nil
}

// Counts returns what the statement has read so far.
func (s *Stream) Counts() Counts { return s.counts }

// Close ends the statement if it is still running. A stream from which nothing was
// fetched cannot be cancelled: the library waits for its end, so kill the query first.
func (s *Stream) Close() {
	s.drop()
	if s.handle == nil {
		return
	}
	if s.fetched && !s.ended {
		s.conn.lib.c.cancel(s.conn.handle, s.handle)
	}
	s.conn.release(s.handle)
	s.handle = nil
}

func (s *Stream) drop() {
	if s.piece != nil {
		s.conn.release(s.piece)
		s.piece = nil
	}
}

func (c *Conn) release(r unsafe.Pointer) {
	if r != nil {
		c.lib.c.destroy(r)
	}
}

// bytes returns the library's own memory: valid until the result is released.
func (c *Conn) bytes(r unsafe.Pointer) []byte {
	n := c.lib.c.length(r)
	p := c.lib.c.buffer(r)
	if n == 0 || p == nil {
		return nil
	}
	return unsafe.Slice((*byte)(p), n)
}

func (c *Conn) counts(r unsafe.Pointer) Counts {
	f := &c.lib.c
	return Counts{RowsRead: f.rowsRead(r), BytesRead: f.bytesRead(r), RowsWritten: f.rowsWritten(r), BytesWritten: f.bytesWritten(r)}
}

var codePattern = regexp.MustCompile(`Code: (\d+)\.`)

func (c *Conn) fault(r unsafe.Pointer) error {
	if r == nil {
		return &Error{Text: "the engine returned no result"}
	}
	text := c.lib.c.errorText(r)
	if text == "" {
		return nil
	}
	e := &Error{Text: text}
	if m := codePattern.FindStringSubmatch(text); m != nil {
		e.Code, _ = strconv.Atoi(m[1]) // too many digits leave 0, unknown
	}
	return e
}

// starter is the common signature of the two functions that start a statement.
type starter func(conn, sql unsafe.Pointer, n uintptr, format unsafe.Pointer, fn uintptr, names, nameLens, values, valueLens unsafe.Pointer, count uintptr) unsafe.Pointer

// call passes text to the library in place. Everything that it can reach
// from C is pinned until the call returns; the library copies what it keeps.
func call(start starter, conn unsafe.Pointer, sql, format string, params []Param) unsafe.Pointer {
	var pin runtime.Pinner
	defer pin.Unpin()
	text := func(s string) (unsafe.Pointer, uintptr) {
		p := unsafe.Pointer(&append([]byte(s), 0)[0])
		pin.Pin(p)
		return p, uintptr(len(s))
	}
	n := len(params)
	names, values := make([]unsafe.Pointer, n+1), make([]unsafe.Pointer, n+1)
	nameLens, valueLens := make([]uintptr, n+1), make([]uintptr, n+1)
	for i, p := range params {
		names[i], nameLens[i] = text(p.Name)
		values[i], valueLens[i] = text(p.Value)
	}
	array := func(p unsafe.Pointer) unsafe.Pointer { pin.Pin(p); return p }
	q, qn := text(sql)
	f, fn := text(format)
	return start(conn, q, qn, f, fn,
		array(unsafe.Pointer(&names[0])), array(unsafe.Pointer(&nameLens[0])),
		array(unsafe.Pointer(&values[0])), array(unsafe.Pointer(&valueLens[0])), uintptr(n))
}
