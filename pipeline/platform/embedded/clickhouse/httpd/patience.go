package httpd

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Silence is how long a client may neither send nor read during a
// request or an answer: a server's receive_timeout and send_timeout.
const Silence = 5 * time.Minute

// Patient returns a listener whose connections time out when a client does
// not read for that long. Its statement would occupy its slot for ever.
func Patient(l net.Listener, silence time.Duration) net.Listener {
	if silence <= 0 {
		silence = Silence
	}
	return patientListener{l, silence}
}

type patientListener struct {
	net.Listener
	silence time.Duration
}

func (l patientListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &patientConn{Conn: c, silence: l.silence}, nil
}

// A patientConn waits for its client to read, with a timeout.
type patientConn struct {
	net.Conn
	silence time.Duration // the timeout of one piece
	last    atomic.Int64  // Unix nanoseconds after which nothing is written any more; 0: no limit
}

// NetConn returns the underlying connection.
func (c *patientConn) NetConn() net.Conn { return c.Conn }

// SetWriteDeadline sets a deadline for all writes, now and later.
func (c *patientConn) SetWriteDeadline(t time.Time) error {
	last := int64(0)
	if !t.IsZero() {
		last = t.UnixNano()
	}
	c.last.Store(last)
	return c.Conn.SetWriteDeadline(t)
}

// patience returns the deadline of the next piece.
func (c *patientConn) patience() time.Time {
	until := time.Now().Add(c.silence)
	if last := c.last.Load(); last != 0 && last < until.UnixNano() {
		return time.Unix(0, last)
	}
	return until
}

// minRead is how much must be read within the timeout: a slow client is not a dead one.
const minRead = 256 << 10

func (c *patientConn) Write(b []byte) (n int, err error) {
	for {
		if err := c.Conn.SetWriteDeadline(c.patience()); err != nil {
			return n, err
		}
		k, err := c.Conn.Write(b[n:min(len(b), n+minRead)])
		if n += k; err != nil || n == len(b) {
			return n, err
		}
	}
}

// CloseWrite signals the end of the data to the client; net/http looks for it by this name.
func (c *patientConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// patientBody reads a request's body with the same timeout.
type patientBody struct {
	io.ReadCloser
	conn    *http.ResponseController
	silence time.Duration
	ended   bool
}

// patient wraps the request's body in a patientBody.
func patient(w http.ResponseWriter, r *http.Request, silence time.Duration) *patientBody {
	b := &patientBody{ReadCloser: r.Body, conn: http.NewResponseController(w), silence: silence, ended: r.Body == http.NoBody}
	r.Body = b
	return b
}

// A deadline can only fail to be set on a closed connection.

func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.conn.SetReadDeadline(time.Now().Add(b.silence))
	n, err := b.ReadCloser.Read(p)
	if b.ended = errors.Is(err, io.EOF); err == nil || b.ended {
		_ = b.conn.SetReadDeadline(time.Time{}) // nothing is expected while the statement runs
	}
	return n, err
}

// mostRest is how much may follow the end of a body's content.
const mostRest = 256 << 10

// end reads what follows the content of a body that has an end of its own: a compressed one, a form. The server
// would read it before it sends the first byte of an answer, but without a timeout and while the statement
// occupies its slot. Nor does the server notice that a client has disconnected before its body has ended.
func (b *patientBody) end() error {
	if b.ended {
		return nil
	}
	n, err := io.CopyN(io.Discard, b, mostRest)
	switch {
	case n == mostRest:
		return brokenBody(errors.New("it continues after its end"))
	case errors.Is(err, io.EOF):
		return nil
	default:
		return brokenBody(err)
	}
}

// leftovers bounds the time for the rest of a body that is not needed.
const leftovers = 10 * time.Second

// leave discards the rest of an unneeded body, for at most the timeout of a silent client.
func (b *patientBody) leave() {
	if !b.ended {
		_ = b.conn.SetReadDeadline(time.Now().Add(min(b.silence, leftovers)))
	}
}

// boundWrites bounds writes to a client that has disconnected, or closed its half of the connection, by
// leftovers: one that does not read would occupy its slot. The returned function ends the watch.
func (s *Server) boundWrites(present context.Context, w http.ResponseWriter) (over func() bool) {
	return context.AfterFunc(present, func() {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(min(s.o.Silence, leftovers))) // or the connection is closed
	})
}
