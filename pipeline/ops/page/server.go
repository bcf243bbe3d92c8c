package page

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/process"
)

// Options configure the page.
type Options struct {
	Addr string // host:port
	Flag string // names Addr in errors
	// Data is the directory whose password is asked for, if it has one; empty: Password.
	Data     string
	Password string // asked for by Basic authentication; empty: only the same user is admitted
	TLS      access.TLS
	// ClickHouse is its URL; empty or none: the streams answer.
	ClickHouse string
	Rules      string // the rule file if no rules are applied; empty: the built-in rules
	Simulated  bool   // Keepa is simulated: every page shows it
	// LAN also serves it on this machine's private address, in plain HTTP, to machines with a code of Invite.
	LAN bool

	pace pace // zero: as usual
}

// Server is the running page.
type Server struct {
	o       Options
	pace    pace
	b       *bus.Bus
	env     process.Env
	live    *cli.Live
	machine *machine
	hub     hub
	deals   cache
	what    whatIf
	odds    odds
	token   string // of forms: a page of another site cannot know it
	epoch   string // of this process: a page of an earlier one is loaded again

	visible *cli.Visible // of live alone
	http    []*http.Server
	lan     *lan // nil: other machines are not served in plain HTTP
	addr    net.Addr
	secure  bool
	running context.Context // until Stop
	stop    context.CancelFunc
	wait    sync.WaitGroup
}

// Listener is the address of a page that is not served yet; Listen has reserved it.
type Listener struct {
	o      Options
	l      net.Listener
	lan    net.Listener // nil without
	secure *tls.Config
}

// Listen takes the address. One that other machines reach wants a password and TLS.
func Listen(o Options) (*Listener, error) {
	if o.Password == "" && o.Data != "" {
		var err error
		if o.Password, err = access.Password(o.Data); err != nil {
			return nil, err
		}
	}
	secure, err := o.TLS.Config()
	if err != nil {
		return nil, err
	}
	l, err := process.Listen(o.Flag, o.Addr)
	if err != nil {
		return nil, err
	}
	d := &Listener{o: o, l: l, secure: secure}
	if err := d.mayListen(); err != nil {
		d.Close()
		return nil, err
	}
	if o.LAN {
		tcp, _ := l.Addr().(*net.TCPAddr) // that is what was listened on
		if d.lan, err = listenLAN(tcp.Port); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

// mayListen refuses an address that other machines reach without a password and TLS. Plain text is for private
// networks alone, by LAN.
func (d *Listener) mayListen() error {
	loopback := access.Loopback(d.l.Addr())
	switch {
	case !loopback && d.o.LAN:
		return process.Usagef("--page-lan: other machines reach %s already; use %s 127.0.0.1:8080 with it", d.l.Addr(), d.o.Flag)
	case !loopback && d.secure == nil:
		return process.Usagef("%s: other machines reach %s, and the page is served there with TLS alone; give --tls-cert and --tls-key, or use 127.0.0.1, for a phone with --page-lan", d.o.Flag, d.l.Addr())
	}
	return d.o.TLS.MayListen(d.o.Flag, d.l.Addr(), d.o.Data, d.o.Password)
}

// Close releases addresses on which nothing is served.
func (d *Listener) Close() {
	_ = d.l.Close() // nothing was accepted
	if d.lan != nil {
		_ = d.lan.Close() // nothing was accepted
	}
}

// Start serves the page until Stop.
func Start(ctx context.Context, b *bus.Bus, env process.Env, o Options) (*Server, error) {
	d, err := Listen(o)
	if err != nil {
		return nil, err
	}
	return d.Serve(ctx, b, env, o.ClickHouse), nil
}

// Serve serves the page until Stop; clickhouse is the URL to ask, as in Options.
func (d *Listener) Serve(ctx context.Context, b *bus.Bus, env process.Env, clickhouse string) *Server {
	d.o.ClickHouse = clickhouse
	s := newServer(b, env, d.o)
	s.addr, s.secure = d.l.Addr(), d.secure != nil && !access.Loopback(d.l.Addr())
	s.run(context.WithoutCancel(ctx))
	if d.lan != nil {
		s.lan = newLAN(d.lan)
		s.serve(d.lan, s.lan.before(s.pages()))
	}
	s.serve(access.Secure(d.l, d.secure), s.Handler())
	return s
}

// serve answers the requests of a listener until Stop.
func (s *Server) serve(l net.Listener, h http.Handler) {
	server := &http.Server{
		Handler: h, ConnContext: access.ConnContext,
		ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(s.env.Log.Handler(), slog.LevelDebug),
	}
	s.http = append(s.http, server)
	s.wait.Go(func() { _ = server.Serve(l) }) // until it is closed
}

func newServer(b *bus.Bus, env process.Env, o Options) *Server {
	s := &Server{o: o, pace: cmp.Or(o.pace, usualPace), b: b, env: env, token: rand.Text(), epoch: rand.Text(), visible: cli.NewVisible(b, o.ClickHouse)}
	s.live = cli.NewLive(b, s.visible, s.touched)
	s.machine = newMachine(s)
	return s
}

// run keeps the pages current.
func (s *Server) run(ctx context.Context) {
	ctx, s.stop = context.WithCancel(ctx)
	s.running, s.hub.done = ctx, ctx.Done()
	s.wait.Go(func() { s.live.Run(ctx); s.visible.Close() })
	s.wait.Go(func() { s.machine.run(ctx) })
}

// Stop ends every open page and waits for it.
func (s *Server) Stop() {
	s.stop() // ends the open pages
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	for _, server := range s.http {
		_ = server.Shutdown(ctx)
		_ = server.Close() // no request is worth waiting for
	}
	s.what.forget()
	s.wait.Wait()
}

// endWithin is how long the requests under way have to end.
const endWithin = 500 * time.Millisecond

// URL is the address for people.
func (s *Server) URL() string {
	scheme := "http"
	if s.secure {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s/", scheme, s.addr)
}

// Handler answers requests; its server's connections want access.ConnContext.
func (s *Server) Handler() http.Handler {
	door := access.Guard{Password: s.o.Password, AnyHost: s.addr != nil && !access.Loopback(s.addr), Pages: true}
	m := http.NewServeMux()
	m.Handle("/", s.pages())
	if s.lan != nil {
		m.Handle("GET /phone", headers(http.HandlerFunc(s.phone)))
	}
	return door.Before(m)
}

// pages answers admitted clients.
func (s *Server) pages() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /{$}", s.show(dealsView))
	m.HandleFunc("GET /deal/{asin}", s.show(dealView))
	m.HandleFunc("GET /find", s.find)
	m.HandleFunc("GET /machine", s.show(machineView))
	m.HandleFunc("GET /reason", s.show(reasonView))
	m.HandleFunc("GET /whatif", s.show(whatIfView))
	m.HandleFunc("GET /replays", s.show(replaysView))
	m.HandleFunc("GET /events", s.events)
	m.HandleFunc("POST /act", s.act)
	m.HandleFunc("GET /static/{file}", static)
	m.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, asset("icon.svg"), http.StatusFound) })
	return headers(m)
}

// policy lets a page load its own style, script and answers, and nothing else from anywhere.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func headers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			// Not no-referrer: with it a browser sends forms without their origin.
			"Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
			"Cache-Control": "no-store",
		} {
			w.Header().Set(name, value)
		}
		h.ServeHTTP(w, r)
	})
}

// Open returns how many pages are open and kept current.
func (s *Server) Open() int { return s.hub.count() }
