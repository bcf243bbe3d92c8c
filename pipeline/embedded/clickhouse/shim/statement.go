package shim

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"

	"ratchet/pipeline/embedded/clickhouse/engine"
	"ratchet/pipeline/embedded/clickhouse/native"
)

// query answers one statement. An error means that the connection is of no more use; one of the statement itself is
// told to the client, and the connection goes on.
func (p *peer) query() error {
	sent, err := native.ReadQuery(p.in, p.revision)
	if err != nil {
		return err
	}
	job := &work{}
	defer job.forget()
	if p.from.large {
		p.unpack() // without the memory that took
	}
	if err := p.tables(job, &sent); err != nil {
		return err
	}
	q := p.request()
	q.id, q.compress, q.inner = sent.ID, sent.Compress, sent.Inner
	for _, s := range sent.Settings {
		if !slices.Contains(ignored, s.Name) {
			q.settings = append(q.settings, setting{s.Name, s.Value, s.Optional})
		}
	}
	for _, s := range sent.Params {
		q.params = append(q.params, engine.Param{Name: s.Name, Value: s.Value})
	}
	err = p.shape(job, q, sent.Text)
	var broken *lineError
	if errors.As(err, &broken) {
		return broken.err
	}
	cancelled := false
	if job.totals || job.extremes {
		q.settings = plainly(q.settings)
	}
	if err == nil {
		cancelled, err = p.do(q, job)
	}
	if errors.As(err, &broken) {
		return broken.err
	}
	if err != nil && (!cancelled || job.insert) { // who calls a SELECT off wants no error
		exception(&p.small, err)
	} else {
		proto.ServerCodeEndOfStream.Encode(&p.small)
	}
	return p.send()
}

// lineError is a fault of the connection, not of a statement.
type lineError struct{ err error }

func (e *lineError) Error() string { return e.err.Error() }
func (e *lineError) Unwrap() error { return e.err }

func onLine(err error) error {
	if err == nil {
		return nil
	}
	return &lineError{err}
}

// do runs the statement and sends its blocks, while somebody listens whether the client calls it off or leaves.
func (p *peer) do(q *request, job *work) (cancelled bool, err error) {
	ctx, cancel := context.WithCancel(p.door.ctx)
	defer cancel()
	stop := p.listen(cancel)
	if !job.insert { // clients wait for its end and nothing else
		defer p.pulse(cancel)()
	}
	err = p.door.s.do(ctx, q, func() (*work, error) { return job, nil }, func(c *engine.Conn, job *work) (bool, error) {
		spoilt, err := p.run(c, q, job)
		switch {
		case err != nil:
		case job.verb == "USE":
			err = p.moved(c)
		case job.verb == "SET":
			err = p.keep(c, q)
		}
		return spoilt, err
	})
	cancelled, fault := stop()
	if fault != nil {
		return false, onLine(fault)
	}
	return cancelled, err
}

// listen waits for the client to cancel, to leave or to break the rules, and calls cancel then. The returned function ends
// that and says which it was.
func (p *peer) listen(cancel func()) func() (cancelled bool, fault error) {
	var cancelled, stopping bool
	var fault error
	heard, stop := make(chan struct{}), make(chan struct{})
	p.conn.receiving = 0 // it may be silent for as long as its statement takes
	_ = p.conn.SetReadDeadline(time.Time{})
	go func() {
		defer close(heard)
		b, err := p.in.Peek(1)
		select {
		case <-stop:
			stopping = true
		default:
		}
		switch {
		case err != nil && stopping: // told to stop, by the deadline
		case err != nil:
			fault = io.EOF
			_ = p.conn.Close() // who has closed one half may leave us waiting to write into the other
			cancel()
		case b[0] == byte(proto.ClientCodeCancel):
			_, _ = p.in.Discard(1) // it was just peeked at
			cancelled = true
			cancel()
		default: // as on a server: nothing but that may be said, and behind it a departure would not be heard
			fault = refuse(unexpectedPacket, "Packet %d is not expected here: the statement has not ended", b[0])
			cancel()
		}
	}()
	return func() (bool, error) {
		close(stop)
		_ = p.conn.SetReadDeadline(time.Unix(1, 0)) // fails only if the connection is gone
		<-heard
		_ = p.conn.SetReadDeadline(time.Time{}) // the same
		p.conn.receiving = p.door.s.o.Silence
		return cancelled, fault
	}
}

// run runs the statement and sends what it yields.
func (p *peer) run(c *engine.Conn, q *request, job *work) (spoilt bool, err error) {
	var n engine.Counts
	blocks := 0
	if job.totals || job.extremes {
		if n, err = p.inParts(c, q, job); err != nil {
			return true, err
		}
		return false, p.finish(c, q, job, 1, n)
	}
	if !job.insert {
		stream, err := c.Stream(job.text, "Native", q.params)
		if err == nil {
			blocks, err = p.stream(q, stream)
			n = stream.Counts()
			stream.Close()
			if err != nil {
				return true, err
			}
			return false, p.finish(c, q, job, blocks, n)
		}
		if !engine.NotStreamable(err) {
			return false, err
		}
	}
	b, n, err := c.Query(job.text, "Native", q.params)
	if err != nil {
		return false, err
	}
	if blocks, err = p.blocks(q, proto.ServerCodeData, b); err != nil {
		return false, err
	}
	return false, p.finish(c, q, job, blocks, n)
}

func (p *peer) stream(q *request, stream *engine.Stream) (blocks int, err error) {
	for {
		piece, err := stream.Next()
		if err != nil || piece == nil {
			return blocks, err
		}
		k, err := p.blocks(q, proto.ServerCodeData, piece)
		if err != nil {
			return blocks, err
		}
		blocks += k
	}
}

// blocks sends what the engine wrote, as the client's revision has it: rows, or another kind of block; with other names of
// the columns, if there are any.
func (p *peer) blocks(q *request, kind proto.ServerCode, b []byte, names ...string) (n int, err error) {
	in := bufio.NewReaderSize(bytes.NewReader(b), 4<<10)
	for {
		if _, err := in.Peek(1); err != nil {
			return n, onLine(p.flush()) // a slow statement's rows arrive
		}
		p.block.Reset()
		if _, err := native.Recode(&p.block, in, 0, p.revision, names...); err != nil {
			var wrong *native.ProtocolError
			if errors.As(err, &wrong) {
				return n, refuse(unsupported, "%s", wrong.Text)
			}
			return n, err
		}
		if err := p.sendBlock(q, kind); err != nil {
			return n, onLine(err)
		}
		n++
	}
}

// most is how large the buffer for blocks stays.
const mostBlock = 16 << 20

func (p *peer) sendBlock(q *request, kind proto.ServerCode) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	native.Data(&p.small, kind)
	if err := p.write(); err != nil {
		return err
	}
	var to io.Writer = p.out
	if q.compress {
		to = nativePacker{to: p.out, enc: compress.NewWriter(compress.LevelZero, methodOf(q))}
	}
	_, err := to.Write(p.block.Bytes())
	if p.block.Reset(); p.block.Cap() > mostBlock {
		p.block = bytes.Buffer{}
	}
	return err
}

func (p *peer) flush() error {
	p.sending.Lock()
	defer p.sending.Unlock()
	return p.out.Flush()
}

// finish sends the columns of an answer without rows, and what was read and written.
func (p *peer) finish(c *engine.Conn, q *request, job *work, blocks int, n engine.Counts) error {
	if blocks == 0 && !job.insert && slices.Contains(answers, job.verb) {
		columns, err := headings(c, job, q.params)
		if err != nil {
			return err
		}
		if err := p.heading(q, columns); err != nil {
			return onLine(err)
		}
	}
	if job.insert {
		return nil // clients wait for the end and nothing else
	}
	native.Progress(&p.small, n.RowsRead, n.BytesRead, n.RowsWritten, n.BytesWritten, p.revision)
	return onLine(p.send())
}

func (p *peer) heading(q *request, columns []native.Column) error {
	var b proto.Buffer
	native.Header(&b, columns, p.revision)
	p.block.Reset()
	p.block.Write(b.Buf)
	return p.sendBlock(q, proto.ServerCodeData)
}

// answers are the first words of statements that have columns also when they have no rows.
var answers = []string{"SELECT", "WITH", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK"}

// headings are the columns of a statement that yielded no rows, for which the engine writes nothing. Describing a SELECT
// does not run it; the others are run once more.
func headings(c *engine.Conn, job *work, params []engine.Param) ([]native.Column, error) {
	if describable(job.verb) {
		return describe[native.Column](c, "("+job.text+"\n)", params)
	}
	b, _, err := c.Query(job.text, "JSONCompact", params)
	if err != nil {
		return nil, err
	}
	var said struct{ Meta []native.Column }
	if err := json.Unmarshal(b, &said); err != nil {
		return nil, refuse(unsupported, "The columns of this statement cannot be told: %v", err)
	}
	return said.Meta, nil
}

// describable reports whether a statement may stand in DESCRIBE.
func describable(verb string) bool { return verb == "SELECT" || verb == "WITH" || verb == "FROM" }

// describe asks for the columns of a table, or of a SELECT in parentheses.
func describe[Column any](c *engine.Conn, what string, params []engine.Param) ([]Column, error) {
	b, _, err := c.Query("DESCRIBE "+what, "JSONEachRow", params)
	if err != nil {
		return nil, err
	}
	var columns []Column
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		var one Column
		switch err := d.Decode(&one); {
		case errors.Is(err, io.EOF):
			return columns, nil
		case err != nil:
			return nil, refuse(unsupported, "The columns of this statement cannot be told: %v", err)
		}
		columns = append(columns, one)
	}
}

// moved keeps the database that a USE chose: it holds for the connection.
func (p *peer) moved(c *engine.Conn) error {
	b, _, err := c.Query("SELECT currentDatabase()", "TabSeparatedRaw", nil)
	if err == nil {
		p.database = strings.TrimSuffix(string(b), "\n")
	}
	return err
}
