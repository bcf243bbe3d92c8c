package page

import (
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
	Rules      string // the rule file that holds where none was applied; empty: the built-in rules
	Simulated  bool   // Keepa is simulated: every page says so
}

// Server is the running page.
type Server struct {
	o       Options
	b       *bus.Bus
	env     process.Env
	live    *cli.Live
	machine *machine
	hub     hub
	deals   cache
	token   string // of forms: a page of another site cannot know it
	epoch   string // of this process: a page of an earlier one is loaded again

	visible *cli.Visible // of live alone
	http    *http.Server
	addr    net.Addr
	secure  bool
	stop    context.CancelFunc
	wait    sync.WaitGroup
}

// Door is an address on which a page will be served, held from Listen on.
type Door struct {
	o      Options
	l      net.Listener
	secure *tls.Config
}

// Listen takes the address. One that other machines reach wants a password and TLS.
func Listen(o Options) (*Door, error) {
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
	if err := o.TLS.MayListen(o.Flag, l.Addr(), o.Data, o.Password); err != nil {
		_ = l.Close() // nothing was accepted
		return nil, err
	}
	return &Door{o: o, l: l, secure: secure}, nil
}

// Close gives an address back on which nothing is served.
func (d *Door) Close() { _ = d.l.Close() } // nothing was accepted

// Start serves the page until Stop.
func Start(ctx context.Context, b *bus.Bus, env process.Env, o Options) (*Server, error) {
	d, err := Listen(o)
	if err != nil {
		return nil, err
	}
	return d.Serve(ctx, b, env, o.ClickHouse), nil
}

// Serve serves the page until Stop; clickhouse is the URL to ask, as in Options.
func (d *Door) Serve(ctx context.Context, b *bus.Bus, env process.Env, clickhouse string) *Server {
	d.o.ClickHouse = clickhouse
	s := newServer(b, env, d.o)
	s.addr, s.secure = d.l.Addr(), d.secure != nil && !access.Loopback(d.l.Addr())
	s.run(context.WithoutCancel(ctx))
	s.http = &http.Server{
		Handler: s.Handler(), ConnContext: access.ConnContext,
		ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog: slog.NewLogLogger(env.Log.Handler(), slog.LevelDebug),
	}
	s.wait.Go(func() { _ = s.http.Serve(access.Secure(d.l, d.secure)) }) // until it is closed
	return s
}

func newServer(b *bus.Bus, env process.Env, o Options) *Server {
	s := &Server{o: o, b: b, env: env, token: rand.Text(), epoch: rand.Text(), visible: cli.NewVisible(b, o.ClickHouse)}
	s.live = cli.NewLive(b, s.visible, s.touched)
	s.machine = newMachine(s)
	return s
}

// run keeps what is shown current.
func (s *Server) run(ctx context.Context) {
	ctx, s.stop = context.WithCancel(ctx)
	s.hub.done = ctx.Done()
	s.wait.Go(func() { s.live.Run(ctx); s.visible.Close() })
	s.wait.Go(func() { s.machine.run(ctx) })
}

// Stop ends every open page and waits for it.
func (s *Server) Stop() {
	s.stop() // what is open ends by it
	ctx, cancel := context.WithTimeout(context.Background(), endWithin)
	defer cancel()
	_ = s.http.Shutdown(ctx)
	_ = s.http.Close() // no request is worth waiting for
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
	m := http.NewServeMux()
	m.HandleFunc("GET /{$}", s.show(dealsView))
	m.HandleFunc("GET /deal/{asin}", s.show(dealView))
	m.HandleFunc("GET /find", s.find)
	m.HandleFunc("GET /machine", s.show(machineView))
	m.HandleFunc("GET /reason", s.show(reasonView))
	m.HandleFunc("GET /replays", s.show(replaysView))
	m.HandleFunc("GET /events", s.events)
	m.HandleFunc("POST /act", s.act)
	m.HandleFunc("GET /static/{file}", static)
	m.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, asset("icon.svg"), http.StatusFound) })
	door := access.Door{Password: s.o.Password, AnyHost: s.addr != nil && !access.Loopback(s.addr), Pages: true}
	return door.Before(headers(m))
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

// Open is how many pages are open and kept current.
func (s *Server) Open() int { return s.hub.seats() }
