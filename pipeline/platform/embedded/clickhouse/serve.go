package clickhouse

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
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/cage"
	"ratchet/pipeline/platform/embedded/clickhouse/engine"
	"ratchet/pipeline/platform/embedded/clickhouse/httpd"
	"ratchet/pipeline/platform/process"
)

// Database is where statements run whose request names no database, and the one in URL.
// It is created at the start. The engine's own "default" also reads files by name.
const Database = "ratchet"

// ServeOptions configure an engine in this process.
type ServeOptions struct {
	Lib  string // path of libchdb, from Fetch
	Data string // directory; created
	Addr string // host:port; port 0 picks a free one
	// TLS is for an address that other machines can reach, which also requires a password.
	TLS       access.TLS
	MaxMemory int64 // bytes that the engine counts; 0: 90 % of the machine's. Actual use may be 2.5 times that for seconds
	// Silence is how long a client may neither send nor read during a request or an answer; 0: 5 minutes.
	Silence time.Duration
	// Standstill is how long a merge may make no progress before the engine is given up; 0: 15 minutes.
	Standstill time.Duration
	Log        *slog.Logger
	// Ready is called once, when requests are answered, with the address for clickhouse-go. It may be nil.
	Ready func(url string)
}

// How long a stop may take: running statements may finish, are then killed, and the engine writes its buffers.
const (
	drain     = 2 * time.Second
	stopAfter = 15 * time.Second
)

// standstill is how long a merge may make no progress. Its counters normally change
// within moments; writing a large part to a slow disk at its end may take minutes.
const standstill = 15 * time.Minute

// Serve runs the engine and its HTTP interface in this process until ctx is done. A process can
// do this once at a time. After ErrHung the engine is out of control and the process should exit.
//
// Before the library is loaded the process restricts itself (package cage): its program is executed again,
// with the same arguments, and calls Serve a second time. Whatever it does before this call happens twice.
//
// Clients send the first line of the file "password" in Data. Without
// that file the same user of this system is admitted (package access).
func Serve(ctx context.Context, o ServeOptions) error {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Standstill <= 0 {
		o.Standstill = standstill
	}
	l, err := listen(o.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() // the server closed it first, or nothing was accepted
	in, err := o.enter(l)
	if err != nil {
		return err
	}
	eng, err := openEngine(o)
	if err != nil {
		return err
	}
	front, err := httpd.New(httpd.Options{
		Engine: eng, Temp: filepath.Join(o.Data, "http-tmp"), Database: Database,
		Password: in.password, AnyHost: !access.Loopback(l.Addr()), Silence: o.Silence, Log: o.Log,
	})
	if err != nil {
		return errors.Join(err, eng.Close())
	}
	return serve(ctx, o, l, eng, front, in)
}

// An entrance is the configuration of access.
type entrance struct {
	password string      // that clients must send; empty: the same user needs none
	secure   *tls.Config // for connections from other machines; nil for plain text
}

// enter decides which clients are admitted and restricts the process. When
// it returns, the process is restricted or the kernel cannot restrict it.
func (o *ServeOptions) enter(l net.Listener) (in entrance, err error) {
	if in.password, err = admission("--addr", l.Addr(), o.Data, o.TLS); err != nil {
		return in, err
	}
	if o.Data, err = filepath.Abs(o.Data); err != nil {
		return in, fmt.Errorf("find data directory: %w", err)
	}
	if err := o.private(); err != nil {
		return in, fmt.Errorf("create data directory: %w; choose another with --data", err)
	}
	pem, err := certificate(o.TLS)
	if err == nil {
		in.secure, err = access.TLSConfig(pem)
	}
	if err == nil {
		err = o.restrict(l, pem)
	}
	if err != nil {
		return in, err
	}
	if err := os.Setenv("TZ", "UTC"); err != nil {
		return in, fmt.Errorf("set the engine's time zone: %w", err)
	}
	return in, nil
}

// private creates the data directory. What is below it is for this user alone, also if the directory
// existed and others may enter it: the engine leaves the mode of its files to this process.
func (o *ServeOptions) private() error {
	syscall.Umask(0o077)
	store := engine.Store(o.Data)
	if err := os.MkdirAll(store, 0o700); err != nil {
		return err
	}
	return os.Chmod(store, 0o700) // an earlier build left it open
}

// restrict executes the program again and passes on what it needs, or verifies the restriction.
func (o *ServeOptions) restrict(l net.Listener, pem []byte) error {
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		return fmt.Errorf("keep the listening socket: %w", err)
	}
	defer func() { _ = socket.Close() }() // l is a duplicate of it
	keep := map[string]*os.File{inherited: socket}
	if pem != nil && !cage.Inside() {
		pipe, err := handOver(pem)
		if err != nil {
			return err
		}
		defer func() { _ = pipe.Close() }() // unused if the kernel cannot restrict the process
		keep[inheritedPEM] = pipe
	}
	// The engine reads its time zone from the environment when it is loaded.
	env := append(engineEnv(new(exec.Cmd).Environ()), "TZ=UTC", "CHDB_LIB_PATH="+o.Lib)
	return cage.Enter(cage.Walls{Data: o.Data, Library: o.Lib, Env: env, Keep: keep, WithParent: os.Getenv(inherited) != ""})
}

// admission returns the password that clients must send, empty if the same
// user needs none. An address that other machines can reach needs one.
func admission(flag string, addr net.Addr, data string, t access.TLS) (password string, err error) {
	if cage.Inside() {
		password, err = access.Read(data) // as decided before the restriction
	} else {
		password, err = access.Password(data)
	}
	if err != nil {
		return "", err
	}
	return password, t.MayListen(flag, addr, data, password)
}

func openEngine(o ServeOptions) (*engine.Engine, error) {
	lib, err := engine.Load(o.Lib)
	if err != nil {
		return nil, &UnavailableError{Reason: "the library cannot be loaded", Err: err}
	}
	eng, err := lib.Open(engine.Options{Data: o.Data, MaxMemory: o.MaxMemory})
	if err != nil {
		return nil, err
	}
	conn, err := eng.Connect()
	if err == nil {
		err = conn.Exec("CREATE DATABASE IF NOT EXISTS " + Database)
		conn.Close()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create database %s: %w", Database, err), eng.Close())
	}
	return eng, nil
}

func serve(ctx context.Context, o ServeOptions, l net.Listener, eng *engine.Engine, front *httpd.Server, in entrance) error {
	srv := &http.Server{Handler: front, ConnContext: access.ConnContext, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Hour, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	failed := make(chan error, 2)
	go func() { failed <- srv.Serve(httpd.Patient(access.Secure(l, in.secure), o.Silence)) }()
	watching, stopWatching := context.WithCancel(ctx)
	defer stopWatching()
	go func() {
		if err := front.Watch(watching, httpd.Patience{Every: min(10*time.Second, o.Standstill), Answer: 5 * time.Second, Merge: o.Standstill}); err != nil {
			failed <- err
		}
	}()
	if o.Ready != nil {
		o.Ready(serverURL(l.Addr().String(), in.password))
	}
	var cause error
	select {
	case <-ctx.Done():
	case cause = <-failed:
	}
	stopWatching()
	if errors.Is(cause, httpd.ErrHung) {
		return cause // closing would hang too
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopAfter)
	defer cancel()
	// New connections are rejected at once; front ends the running requests.
	down := make(chan error, 1)
	go func() { down <- shutdown(stopping, srv) }()
	if err := front.Close(stopping, drain); err != nil {
		return errors.Join(cause, err)
	}
	return errors.Join(cause, <-down, eng.Close())
}

// shutdown ends HTTP: running requests may finish, and clients of killed ones receive the
// error; then all connections are closed, also of a client that neither sends nor reads.
func shutdown(ctx context.Context, srv *http.Server) error {
	soft, cancel := context.WithTimeout(ctx, drain+time.Second)
	defer cancel()
	if err := srv.Shutdown(soft); err == nil || ctx.Err() != nil {
		return err
	}
	return srv.Close()
}

// inherited names the environment variable with the descriptor of the listening socket that Start passes to
// its child. The socket stays open while the child is restarted, so clients wait instead of being rejected.
const inherited = "RATCHET_CLICKHOUSE_FD"

// listen opens the address, or takes over the socket that Start opened.
func listen(addr string) (net.Listener, error) {
	if fd, err := strconv.Atoi(os.Getenv(inherited)); err == nil {
		f := os.NewFile(uintptr(fd), "listener")
		defer f.Close()
		l, err := net.FileListener(f)
		if err != nil {
			return nil, fmt.Errorf("take over the listening socket: %w", err)
		}
		return l, nil
	}
	return process.Listen("--addr", addr)
}

// serverURL returns a URL for clickhouse-go's ParseDSN.
func serverURL(hostport, password string) string {
	const user = "default"
	u := url.URL{Scheme: "http", Host: hostport, Path: "/" + Database, User: url.User(user)}
	if password != "" {
		u.User = url.UserPassword(user, password)
	}
	return u.String()
}
