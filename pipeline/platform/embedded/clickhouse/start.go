package clickhouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/process"
)

// StartOptions configure a supervised engine.
type StartOptions struct {
	Lib  string // path of libchdb, from Fetch
	Data string // directory; created
	Addr string // host:port; port 0 picks a free one, which is kept across restarts
	// TLS is for an address that other machines can reach, which also requires a password.
	TLS access.TLS
	// Exe is the program to run; empty: this one.
	Exe string
	// Args make it call Serve; nil: clickhouse --lib LIB --data DATA --addr ADDR.
	Args []string
	Env  []string // additions to this process's environment
	// ReadyWithin is how long a child that replaces another may take to answer, before
	// it is replaced too; 0: 5 minutes. After a crash it may have much to repair.
	ReadyWithin time.Duration
	Log         *slog.Logger
}

// Server is a supervised engine.
type Server struct {
	o      StartOptions
	socket *os.File // for the children
	addr   string
	url    string

	stop  context.CancelFunc // stops the child and the supervision
	ended chan struct{}      // closed when no child runs any more

	mu     sync.Mutex
	up     bool  // the first child has answered
	fate   error // why the first child died before that
	child  *os.Process
	deaths int
}

// How long the first child and the later ones may take to answer. Tables with many parts take seconds.
const (
	firstReady = 60 * time.Second
	laterReady = 5 * time.Minute
)

// Start opens the address, runs the child and returns when it answers. A child that dies later is replaced.
func Start(ctx context.Context, o StartOptions) (*Server, error) {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.ReadyWithin <= 0 {
		o.ReadyWithin = laterReady
	}
	s := &Server{o: o, ended: make(chan struct{})}
	if err := s.listen(); err != nil {
		return nil, err
	}
	if err := s.complete(); err != nil {
		return nil, errors.Join(err, s.socket.Close())
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	go s.supervise(running)
	if err := s.firstAnswer(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start ClickHouse: %w", err), s.Stop(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// firstAnswer waits for the first child to answer or to die.
func (s *Server) firstAnswer(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, firstReady)
	defer cancel()
	answered := make(chan error, 1)
	go func() { answered <- ping(waiting, s.addr) }()
	var err error
	select {
	case err = <-answered:
	case <-s.ended:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fate != nil {
		return s.fate
	}
	s.up = err == nil
	return err
}

// ping retries until there is an answer. The socket is open already, so
// the first request usually waits for exactly as long as the child needs.
func ping(ctx context.Context, addr string) error {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/ping", http.NoBody)
		if err != nil {
			return fmt.Errorf("ask ClickHouse whether it is ready: %w", err)
		}
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close() // only the status matters
			return nil
		}
		if process.Sleep(ctx, 100*time.Millisecond) != nil {
			return fmt.Errorf("ask ClickHouse whether it is ready: %w", err)
		}
	}
}

// URL returns the server's address with user and database, for clickhouse-go.
// It contains the password if there is one: redact it before showing it.
func (s *Server) URL() string { return s.url }

// Stop asks the child to finish and waits for it; at ctx's end, or after 20
// seconds, it is killed. What was acknowledged is on disk in either case.
func (s *Server) Stop(ctx context.Context) error {
	s.stop()
	select {
	case <-s.ended:
	case <-ctx.Done():
		s.kill()
		<-s.ended
	}
	return s.socket.Close()
}

// listen opens the address and keeps it for the children.
func (s *Server) listen() error {
	l, err := process.Listen("--clickhouse-addr", s.o.Addr)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }() // it only reserves the port until the child takes it
	password, err := admission("--clickhouse-addr", l.Addr(), s.o.Data, s.o.TLS)
	if err != nil {
		return err
	}
	if s.socket, err = l.(*net.TCPListener).File(); err != nil {
		return fmt.Errorf("keep the listening socket: %w", err)
	}
	s.addr = l.Addr().String()
	s.url = serverURL(s.addr, password)
	return nil
}

func (s *Server) complete() (err error) {
	if s.o.Exe == "" {
		if s.o.Exe, err = os.Executable(); err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
	}
	if s.o.Data, err = filepath.Abs(s.o.Data); err != nil {
		return fmt.Errorf("find data directory: %w", err)
	}
	if s.o.Args == nil {
		s.o.Args = []string{"clickhouse", "--lib", s.o.Lib, "--data", s.o.Data, "--addr", s.addr}
		s.o.Args = append(s.o.Args, s.o.TLS.Args()...)
	}
	return nil
}

// The pause before a new child, from the first to the last; a child that lives for longLife resets it.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
	longLife   = time.Minute
)

// killAfter is how long a child may take to stop. It needs less by its own rules.
const killAfter = stopAfter + 5*time.Second

// supervise runs children one after the other until it is stopped.
func (s *Server) supervise(ctx context.Context) {
	// The kernel ends a child with the thread that started it, so this thread must live as long as we do.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(s.ended)
	backoff := process.Backoff{First: firstPause, Most: lastPause}
	for {
		born := time.Now()
		err := s.live(ctx)
		if ctx.Err() != nil || !s.worthAnother(err) {
			return
		}
		if time.Since(born) > longLife {
			backoff.Reset()
		}
		pause := backoff.Next()
		s.o.Log.Warn("embedded clickhouse died, restarting", "wait", pause, "err", err)
		if process.Sleep(ctx, pause) != nil {
			return
		}
	}
}

// worthAnother counts a death and reports whether to start another
// child. If a child has never answered, the next one would not either.
func (s *Server) worthAnother(err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up {
		s.fate = err
		return false
	}
	s.deaths++
	return true
}

// live runs one child from its start to its end, which is always an error.
func (s *Server) live(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, s.o.Exe, s.o.Args...)
	cmd.Env = append(engineEnv(cmd.Environ()), append(slices.Clone(s.o.Env), inherited+"=3")...)
	cmd.ExtraFiles = []*os.File{s.socket}
	cmd.SysProcAttr = childAttr()
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killAfter
	output := &tail{log: s.o.Log}
	cmd.Stdout, cmd.Stderr = io.Discard, output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run %s: %w", s.o.Exe, err)
	}
	s.mu.Lock()
	s.child = cmd.Process
	later := s.up
	s.mu.Unlock()
	mute := func() error { return nil } // the caller of Start waits for the first child's answer
	if later {
		mute = s.killMute(cmd.Process)
	}
	err := cmd.Wait()
	switch late := mute(); {
	case late != nil:
		err = late
	case err == nil:
		err = errors.New("it ended by itself")
	}
	return output.explain(err)
}

// killMute kills a child that does not answer in time: the watch on the engine runs in the child, and
// only once the engine is open. The returned function ends this and reports whether the child was killed.
func (s *Server) killMute(child *os.Process) func() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.ReadyWithin)
	done := make(chan error, 1)
	go func() {
		if ping(ctx, s.addr) == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			done <- nil
			return
		}
		_ = child.Kill() // it has ended if this fails
		done <- fmt.Errorf("it did not answer within %s", s.o.ReadyWithin)
	}()
	return func() error {
		cancel()
		return <-done
	}
}

func (s *Server) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.child != nil {
		_ = s.child.Kill() // it has ended if this fails
	}
}

// The engine's environment: the variables for programs and the loader, and those for us. Other
// variables, such as Keepa's key, are kept from a process that runs foreign native code.
var (
	engineVars     = []string{"PATH", "HOME", "USER", "TMPDIR", "LANG", "LD_LIBRARY_PATH"}
	enginePrefixes = []string{"RATCHET_", "GO", "LC_", "XDG_"}
)

func engineEnv(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		ours := slices.Contains(engineVars, name) || slices.ContainsFunc(enginePrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
		return !ours || name == inherited
	})
}

// tail passes a child's stderr on, line by line, and keeps the last lines for the report of its death.
type tail struct {
	log  *slog.Logger
	mu   sync.Mutex
	part string
	last []string
}

// keep is how many lines of a dead child are shown.
const keep = 12

// Write appends a piece of output.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := strings.Split(t.part+string(p), "\n")
	t.part = lines[len(lines)-1]
	for _, line := range lines[:len(lines)-1] {
		if strings.TrimSpace(line) == "" {
			continue
		}
		t.log.Debug("embedded clickhouse", "says", line)
		t.last = append(t.last, line)
	}
	if n := len(t.last); n > keep {
		t.last = t.last[n-keep:]
	}
	return len(p), nil
}

func (t *tail) explain(err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.last
	if t.part != "" {
		last = append(slices.Clone(last), t.part)
	}
	if len(last) == 0 {
		return err
	}
	return fmt.Errorf("%w; its last output:\n%s", err, strings.Join(last, "\n"))
}
