package page

import (
	"net/http"
	"time"
)

// Hurried has pages follow what happens as quickly as a browser can take it.
func (o Options) Hurried() Options {
	o.pace = pace{calm: 50 * time.Millisecond, fresh: 200 * time.Millisecond, look: 50 * time.Millisecond}
	return o
}

// LANHandler is what is served to other machines; LANAddr where.
func (s *Server) LANHandler() http.Handler { return s.lan.before(s.pages()) }

// LANAddr is the address with its port.
func (s *Server) LANAddr() string { return s.lan.addr.String() }

// ForgetOdds makes the next request ask ClickHouse again.
func (s *Server) ForgetOdds() {
	s.odds.mu.Lock()
	defer s.odds.mu.Unlock()
	s.odds.asked = time.Time{}
}
