package natsd

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/process"
)

// User is the user name that goes with the password.
const User = "ratchet"

// An authenticator admits the clients of this process and, from outside, those of the same user or with the password.
type authenticator struct {
	password string
	srv      *server.Server
	log      *slog.Logger
}

// Check decides about one connection. NATS sends no reason of
// ours to a rejected client, so the reason is logged here.
func (g *authenticator) Check(c server.ClientAuthentication) bool {
	remote := c.RemoteAddress()
	if remote == nil {
		return false // it has disconnected
	}
	if remote.Network() == "pipe" {
		return true // in this process
	}
	if g.password != "" {
		o := c.GetOpts()
		return access.Equal(o.Username, User) && access.Equal(o.Password, g.password)
	}
	if err := access.Same(g.srv.Addr(), remote); err != nil {
		g.log.Warn("nats client of another user refused", "err", err)
		return false
	}
	return true
}

// openMonitor serves NATS's monitoring as the server itself would, but
// with access checks: the server would let every web page read it.
func (s *Server) openMonitor(o Options, secure *tls.Config) error {
	if o.Monitor == "" {
		return nil
	}
	l, err := process.Listen("--nats-monitor", o.Monitor)
	if err != nil {
		return err
	}
	if err := o.TLS.MayListen("--nats-monitor", l.Addr(), o.Data, s.password); err != nil {
		_ = l.Close() // nothing was accepted
		return err
	}
	door := access.Guard{Password: s.password, AnyHost: !access.Loopback(l.Addr())}
	s.monitor = &http.Server{
		Addr: l.Addr().String(), Handler: door.Before(s.monitoring()), ConnContext: access.ConnContext,
		ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	go func() { _ = s.monitor.Serve(access.Secure(l, secure)) }() // until it is closed
	return nil
}

func (s *Server) monitoring() http.Handler {
	m := http.NewServeMux()
	type srv = server.Server
	for path, serve := range map[string]func(*srv, http.ResponseWriter, *http.Request){
		server.RootPath + "{$}": (*srv).HandleRoot, server.VarzPath: (*srv).HandleVarz, server.ConnzPath: (*srv).HandleConnz,
		server.SubszPath: (*srv).HandleSubsz, server.AccountzPath: (*srv).HandleAccountz, server.AccountStatzPath: (*srv).HandleAccountStatz,
		server.JszPath: (*srv).HandleJsz, server.HealthzPath: (*srv).HandleHealthz,
	} {
		m.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { serve(s.srv.Load(), w, r) })
	}
	return m
}

// Monitor returns the address of the monitoring; empty without one.
func (s *Server) Monitor() string {
	if s.monitor == nil {
		return ""
	}
	return s.monitor.Addr
}
