package httpd

import (
	"strconv"
	"sync"
	"time"

	"ratchet/pipeline/platform/embedded/clickhouse/engine"
)

// sessions are the engine sessions that outlive a request, by session_id.
type sessions struct {
	mu   sync.Mutex
	open map[string]*session
}

type session struct {
	conn  *engine.Conn
	busy  bool
	fresh bool // has run nothing yet
	ends  *time.Timer
}

const (
	sessionDefault = 60 * time.Second
	sessionMost    = time.Hour
)

// enter returns the request's engine session and a function to call at its end: with true if its answer was aborted.
func (s *Server) enter(q *request) (*engine.Conn, func(aborted bool), error) {
	if q.session == "" {
		c, err := s.o.Engine.Connect()
		if err != nil {
			return nil, nil, err
		}
		return c, func(bool) { c.Close() }, nil
	}
	timeout, err := q.timeout()
	if err != nil {
		return nil, nil, err
	}
	one, err := s.sessions.take(q, s.o.Engine)
	if err != nil {
		return nil, nil, err
	}
	if one.fresh && q.database == "" {
		q.database = s.o.Database
	}
	one.fresh = false
	return one.conn, func(aborted bool) { s.sessions.leave(q.session, one, aborted, timeout) }, nil
}

func (q *request) timeout() (time.Duration, error) {
	if q.sessionTimeout == "" {
		return sessionDefault, nil
	}
	n, err := strconv.Atoi(q.sessionTimeout)
	if err != nil || n < 0 || n > int(sessionMost/time.Second) {
		return 0, refuse(badArguments, "Invalid session timeout: '%s'", q.sessionTimeout)
	}
	return time.Duration(n) * time.Second, nil
}

func (l *sessions) take(q *request, e *engine.Engine) (*session, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.open[q.session]
	switch {
	case one == nil && q.sessionCheck:
		return nil, refuse(sessionNotFound, "Session %s not found", q.session)
	case one == nil:
		c, err := e.Connect()
		if err != nil {
			return nil, err
		}
		one = &session{conn: c, fresh: true}
		l.open[q.session] = one
	case one.busy:
		return nil, refuse(sessionLocked, "Session %s is locked by a concurrent client", q.session)
	case one.ends != nil:
		one.ends.Stop()
	}
	one.busy = true
	return one, nil
}

func (l *sessions) leave(id string, one *session, aborted bool, timeout time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one.busy = false
	if aborted && !drained(one.conn) {
		delete(l.open, id)
		one.conn.Close()
		return
	}
	one.ends = time.AfterFunc(timeout, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.open[id] == one && !one.busy {
			delete(l.open, id)
			one.conn.Close()
		}
	})
}

// drained discards what an aborted answer left in the session, which the next answer would begin with. It reports
// whether a statement after that is answered correctly.
func drained(c *engine.Conn) bool {
	if _, _, err := c.Query("SELECT 1", "TabSeparated", nil); err != nil {
		return false
	}
	b, _, err := c.Query("SELECT 1", "TabSeparated", nil)
	return err == nil && string(b) == "1\n"
}

func (l *sessions) closeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, one := range l.open {
		if one.ends != nil {
			one.ends.Stop()
		}
		one.conn.Close()
		delete(l.open, id)
	}
}
