package shim

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"ratchet/pipeline/embedded/clickhouse/engine"
	"ratchet/pipeline/embedded/clickhouse/native"
)

// A peer is one client of the native protocol. Its goroutine reads a packet, answers it and reads the next.
type peer struct {
	door *Door
	conn *patientConn
	in   *bufio.Reader
	raw  *bufio.Reader // in, decompressed
	from *frames       // raw's
	out  *bufio.Writer

	revision                 int
	user, password, database string
	kept                     []setting // by SET

	small proto.Buffer // for packets
	block bytes.Buffer // for blocks

	sending sync.Mutex // a packet goes out whole, also while the pulse beats
}

// How long a client may take to introduce itself, and to be silent between two statements.
const (
	helloWithin = 10 * time.Second
	idleFor     = time.Hour
)

func newPeer(d *Door, conn *patientConn) *peer {
	in := bufio.NewReaderSize(conn, 64<<10)
	p := &peer{door: d, conn: conn, in: in, out: bufio.NewWriterSize(conn, 64<<10)}
	p.unpack()
	return p
}

// unpack begins to read compressed blocks.
func (p *peer) unpack() {
	p.from = &frames{in: p.in}
	p.raw = bufio.NewReaderSize(p.from.unpacked(), 64<<10)
}

// live serves the client until it leaves or breaks the rules.
func (p *peer) live() {
	defer func() {
		if r := recover(); r != nil {
			p.door.s.o.Log.Error("native connection broke", "panic", r, "stack", string(debug.Stack()))
		}
	}()
	stop := context.AfterFunc(p.door.ctx, func() { _ = p.conn.Close() }) // wherever it waits
	defer stop()
	if err := p.hello(); err != nil {
		p.refuse(err)
		return
	}
	for {
		if err := p.conn.SetReadDeadline(time.Now().Add(idleFor)); err != nil {
			return
		}
		code, err := p.in.ReadByte()
		if err != nil || !p.door.busy(p, true) {
			return
		}
		p.conn.receiving = p.door.s.o.Silence
		err = p.packet(proto.ClientCode(code))
		p.conn.receiving = 0
		if err != nil {
			p.refuse(err)
			return
		}
		if err := p.out.Flush(); err != nil || !p.door.busy(p, false) {
			return
		}
	}
}

// packet answers one. After an error the connection is of no more use.
func (p *peer) packet(code proto.ClientCode) error {
	switch code {
	case proto.ClientCodePing:
		return p.out.WriteByte(byte(proto.ServerCodePong))
	case proto.ClientCodeCancel:
		return nil // of a statement that has ended meanwhile
	case proto.ClientCodeQuery:
		return p.query()
	case proto.ClientTablesStatusRequest:
		return p.tablesStatus()
	default:
		return refuse(unexpectedPacket, "Packet %d is not expected here", code)
	}
}

// hello lets the client in, if it is who it says and its database is there.
func (p *peer) hello() error {
	if err := p.conn.SetReadDeadline(time.Now().Add(helloWithin)); err != nil {
		return err
	}
	code, err := p.in.ReadByte()
	switch {
	case err != nil:
		return err
	case code == 'G' || code == 'P' || code == 'H':
		_, err := io.WriteString(p.out, "HTTP/1.0 400 Bad Request\r\n\r\nthis port speaks ClickHouse's native protocol; HTTP is on the other one\n")
		return errors.Join(err, io.EOF)
	case proto.ClientCode(code) != proto.ClientCodeHello:
		return io.EOF // no client of ours
	}
	h, err := native.ReadHello(p.in)
	if err != nil {
		return err
	}
	p.revision, p.user, p.password, p.database = h.Revision, h.User, h.Password, h.Database
	if p.user == "" {
		p.user = "default"
	}
	if p.database == "" {
		p.database = p.door.s.o.Database
	}
	if err := p.door.s.admit(p.request()); err != nil {
		return err
	}
	if err := p.door.s.execAside("USE " + name(p.database)); err != nil {
		return err
	}
	native.Welcome(&p.small, p.door.version, p.revision)
	if err := errors.Join(p.send(), p.out.Flush()); err != nil {
		return err
	}
	return native.ReadAddendum(p.in, p.revision)
}

// request is what holds for every statement of this client.
func (p *peer) request() *request {
	return &request{user: p.user, password: p.password, database: p.database, format: "Native", settings: slices.Clone(p.kept)}
}

// send writes the small packet.
func (p *peer) send() error {
	p.sending.Lock()
	defer p.sending.Unlock()
	return p.write()
}

func (p *peer) write() error {
	_, err := p.out.Write(p.small.Buf)
	p.small.Reset()
	return err
}

// refuse says why the connection ends. What the client still sends is read for a moment: closing on it would throw
// away the words before they are read.
func (p *peer) refuse(err error) {
	if sayable(err) {
		p.small.Reset()
		exception(&p.small, err)
		_ = p.send() // Flush says it again
	}
	if p.out.Flush() != nil {
		return // whoever left does not read
	}
	if p.conn.CloseWrite() == nil {
		_ = p.conn.SetReadDeadline(time.Now().Add(time.Second)) // the end comes either way
		_, _ = io.Copy(io.Discard, p.conn)                      // the same
	}
}

// sayable reports whether there is somebody to tell: the error is about what the client sent, not about the line.
func sayable(err error) bool {
	var e *engine.Error
	var wrong *native.ProtocolError
	return errors.As(err, &e) || errors.As(err, &wrong)
}
