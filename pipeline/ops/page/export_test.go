package page

import "net/http"

// LANHandler is what is served to other machines; LANAddr where.
func (s *Server) LANHandler() http.Handler { return s.lan.before(s.pages()) }

// LANAddr is the address with its port.
func (s *Server) LANAddr() string { return s.lan.addr.String() }

// PrivateAddr is the private address of this machine.
func PrivateAddr() error { _, err := privateAddr(); return err }
