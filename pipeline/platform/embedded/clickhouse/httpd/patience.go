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

// Silence is how long a client may neither send nor read in the middle of something: a server's receive_timeout and
// send_timeout.
const Silence = 5 * time.Minute

// Patient makes a listener whose connections give up a client that reads nothing for so long. Its statement would hold
// its place for ever.
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

// A patientConn waits for its client to read, but not for ever.
type patientConn struct {
	net.Conn
	silence time.Duration // a piece may take so long
	last    atomic.Int64  // instant after which nothing is written any more, in ns; 0 for none
}

// NetConn is the connection itself.
func (c *patientConn) NetConn() net.Conn { return c.Conn }

// SetWriteDeadline sets an end to everything that is written, now and later.
func (c *patientConn) SetWriteDeadline(t time.Time) error {
	last := int64(0)
	if !t.IsZero() {
		last = t.UnixNano()
	}
	c.last.Store(last)
	return c.Conn.SetWriteDeadline(t)
}

// patience is until when a piece may take.
func (c *patientConn) patience() time.Time {
	until := time.Now().Add(c.silence)
	if last := c.last.Load(); last != 0 && last < until.UnixNano() {
		return time.Unix(0, last)
	}
	return until
}

// gulp is how much must be read within the time: a slow client is not a dead one.
const gulp = 256 << 10

func (c *patientConn) Write(b []byte) (n int, err error) {
	for {
		if err := c.Conn.SetWriteDeadline(c.patience()); err != nil {
			return n, err
		}
		k, err := c.Conn.Write(b[n:min(len(b), n+gulp)])
		if n += k; err != nil || n == len(b) {
			return n, err
		}
	}
}

// CloseWrite tells the client that nothing more comes: net/http asks for it by this name.
func (c *patientConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// patientBody reads a request's body in the same way.
type patientBody struct {
	io.ReadCloser
	conn    *http.ResponseController
	silence time.Duration
	ended   bool
}

// patient makes the request's body a patient one.
func patient(w http.ResponseWriter, r *http.Request, silence time.Duration) *patientBody {
	b := &patientBody{ReadCloser: r.Body, conn: http.NewResponseController(w), silence: silence, ended: r.Body == http.NoBody}
	r.Body = b
	return b
}

// Deadlines that cannot be set are those of a connection that is gone.

func (b *patientBody) Read(p []byte) (int, error) {
	_ = b.conn.SetReadDeadline(time.Now().Add(b.silence))
	n, err := b.ReadCloser.Read(p)
	if b.ended = errors.Is(err, io.EOF); err == nil || b.ended {
		_ = b.conn.SetReadDeadline(time.Time{}) // while the statement runs nothing is expected
	}
	return n, err
}

// mostRest is how much may follow what a body says is its end.
const mostRest = 256 << 10

// end reads what follows the end that the body itself has: a compressed one, a form. The server would do so before it sends
// the first word of an answer, but without a deadline, and the statement would have its place by then. Nor does it hear a
// client leave whose body has not ended.
func (b *patientBody) end() error {
	if b.ended {
		return nil
	}
	n, err := io.CopyN(io.Discard, b, mostRest)
	switch {
	case n == mostRest:
		return brokenBody(errors.New("it goes on behind its end"))
	case errors.Is(err, io.EOF):
		return nil
	default:
		return brokenBody(err)
	}
}

// leftovers is how long the rest of a body may take of which nobody needs the end.
const leftovers = 10 * time.Second

// leave lets the rest of a body that nobody wants come, for as long as a client may be silent at most.
func (b *patientBody) leave() {
	if !b.ended {
		_ = b.conn.SetReadDeadline(time.Now().Add(min(b.silence, leftovers)))
	}
}

// hurry ends what is written to a client that has left, or closed its half of the connection, after what leftovers may take: one that
// does not read would keep its place. The returned function ends the watch.
func (s *Server) hurry(present context.Context, w http.ResponseWriter) (over func() bool) {
	return context.AfterFunc(present, func() {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(min(s.o.Silence, leftovers))) // or it is gone
	})
}
