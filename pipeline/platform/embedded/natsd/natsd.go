// Package natsd is a NATS server with JetStream inside this process: file store, every write synced,
// a listener for the nats CLI and a monitoring port. Without a password (a file of that name in the
// data directory) both admit only the user that runs this process, and root: see package access.
package natsd

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"golang.org/x/sys/unix"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/process"
)

// Options configure the server.
type Options struct {
	Data    string // directory of the store; created if missing
	Addr    string // host:port for clients; empty: no listener, in-process only
	Monitor string // host:port for monitoring; empty: none
	// TLS is for addresses that other machines can reach, which also require a password.
	TLS access.TLS
	Log *slog.Logger
}

// Server is a running embedded NATS.
type Server struct {
	srv    atomic.Pointer[server.Server] // another one after a restart: see disk.go
	o      Options
	secure *tls.Config
	lock   dirLock
	data   string
	before marks // the contents of the store when the server last ran
	aside  []Aside

	mu    sync.Mutex
	marks marks
	done  context.CancelFunc
	wait  sync.WaitGroup

	password string
	monitor  *http.Server // nil without one
}

// ErrInUse means that another process holds the data directory.
var ErrInUse = errors.New("another process is using this data directory")

// Start runs the server and returns once it accepts connections. It locks the
// directory first, because two servers on one store would both accept writes.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("create data directory %s: %w; choose another with --data", o.Data, err)
	}
	lock, err := lockDir(o.Data)
	if err != nil {
		return nil, err
	}
	password, err := access.Password(o.Data)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	secure, err := o.TLS.Config()
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	opts, err := serverOptions(o, password, secure)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	before := readMarks(o.Data)
	restored, err := before.restore(o.Data)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	aside, err := setAside(o.Data)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	for _, name := range restored {
		o.Log.Warn("a stream's configuration could not be read, it was restored", "stream", name, "dir", streamDir(o.Data, name))
	}
	running, done := context.WithCancel(context.WithoutCancel(ctx))
	s := &Server{o: o, secure: secure, lock: lock, data: o.Data, before: before, marks: before, aside: aside, done: done, password: password}
	if err = s.configure(opts); err == nil {
		err = s.openMonitor(o, secure)
	}
	if err != nil {
		done()
		return nil, errors.Join(err, lock.Close())
	}
	if err := s.run(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	s.wait.Go(func() { s.keep(running) })
	return s, nil
}

// configure makes the server that runs next.
func (s *Server) configure(opts *server.Options) error {
	auth := &authenticator{password: s.password, log: s.o.Log}
	opts.CustomClientAuthentication = auth
	srv, err := server.NewServer(opts)
	if err != nil {
		return fmt.Errorf("configure NATS: %w", err)
	}
	srv.SetLoggerV2(logger{s.o.Log}, false, false, false)
	auth.srv = srv
	s.srv.Store(srv)
	return nil
}

// run starts the configured server, and returns once it accepts connections.
func (s *Server) run(ctx context.Context) error {
	srv := s.srv.Load()
	srv.Start()
	for deadline := time.Now().Add(30 * time.Second); !srv.ReadyForConnections(200 * time.Millisecond); {
		if ctx.Err() != nil || time.Now().After(deadline) {
			return fmt.Errorf("start NATS in %s: not ready in time", s.data)
		}
	}
	return nil
}

// InProcess returns the option that connects without a socket, also after a restart.
func (s *Server) InProcess() nats.Option { return nats.InProcessServer(s) }

// InProcessConn opens a connection without a socket.
func (s *Server) InProcessConn() (net.Conn, error) { return s.srv.Load().InProcessConn() }

// URL returns the address for clients outside this process; empty without a
// listener. It contains the password if there is one: redact it before showing it.
func (s *Server) URL() string {
	a := s.srv.Load().Addr()
	if a == nil {
		return ""
	}
	u := url.URL{Scheme: "nats", Host: a.String()}
	if s.password != "" {
		u.User = url.UserPassword(User, s.password)
	}
	return u.String()
}

// Stop shuts the server down and releases the directory. Everything that JetStream acknowledged is on disk.
func (s *Server) Stop() {
	if s.monitor != nil {
		_ = s.monitor.Close() // no request is worth waiting for
	}
	s.done()
	s.wait.Wait()
	srv := s.srv.Load()
	if srv.JetStreamEnabled() {
		_ = s.mark() // the earlier marks are older, but correct
	}
	srv.Shutdown()
	srv.WaitForShutdown()
	_ = s.lock.Close() // an error needs no action
}

func serverOptions(o Options, password string, secure *tls.Config) (*server.Options, error) {
	opts := &server.Options{
		ServerName: "ratchet", StoreDir: o.Data, JetStream: true, SyncAlways: true, NoSigs: true,
		MaxPayload: 8 << 20, JetStreamMaxStore: mostStored, JetStreamMaxMemory: 256 << 20,
		DontListen: o.Addr == "",
	}
	if o.Addr == "" {
		return opts, nil
	}
	addr, err := free("--nats", o, password)
	if err != nil {
		return nil, err
	}
	if opts.Host, opts.Port, err = process.Address("--nats", o.Addr); err != nil {
		return nil, err
	}
	opts.Port = cmp.Or(opts.Port, server.RANDOM_PORT)
	if !access.Loopback(addr) {
		opts.TLSConfig, opts.TLSTimeout = secure, handshakeWithin.Seconds()
	}
	return opts, nil
}

// mostStored is more than any disk holds: what is stored is limited by the streams, whose limits are configured.
const mostStored = 1 << 50

// handshakeWithin bounds the TLS handshake of a client.
const handshakeWithin = 5 * time.Second

// free rejects a port in use, for which the server would exit, and an address that must not be listened on.
func free(flag string, o Options, password string) (net.Addr, error) {
	l, err := process.Listen(flag, o.Addr)
	if err != nil {
		return nil, err
	}
	return l.Addr(), errors.Join(o.TLS.MayListen(flag, l.Addr(), o.Data, password), l.Close())
}

// dirLock is a directory that this process has locked.
type dirLock struct{ file *os.File }

// Close releases the lock at once. Closing only the file would leave it to a child that
// was just forked, which holds a copy of the file until it executes another program.
func (l dirLock) Close() error {
	return errors.Join(unix.Flock(int(l.file.Fd()), unix.LOCK_UN), l.file.Close())
}

// lockDir takes an advisory lock that the kernel releases with the process, however it ends.
func lockDir(dir string) (dirLock, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return dirLock{}, fmt.Errorf("lock data directory %s: %w; choose another with --data", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close() // the lock was not acquired
		if errors.Is(err, unix.EWOULDBLOCK) {
			return dirLock{}, fmt.Errorf("%s: %w; stop it or choose another directory with --data", dir, ErrInUse)
		}
		return dirLock{}, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	return dirLock{f}, nil
}

// logger passes the server's warnings to slog and drops its notices.
type logger struct{ log *slog.Logger }

func (l logger) Noticef(f string, v ...any) { l.log.Debug("nats server", "says", fmt.Sprintf(f, v...)) }

func (l logger) Warnf(f string, v ...any) { l.log.Debug("nats server", "says", fmt.Sprintf(f, v...)) }

func (l logger) Fatalf(f string, v ...any) { l.log.Error("nats server", "says", fmt.Sprintf(f, v...)) }

func (l logger) Errorf(f string, v ...any) { l.log.Error("nats server", "says", fmt.Sprintf(f, v...)) }
func (l logger) Debugf(string, ...any)     {}
func (l logger) Tracef(string, ...any)     {}
