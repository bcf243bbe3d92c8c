package httpd

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/access/origin"
	"ratchet/pipeline/platform/embedded/clickhouse/engine"
	"ratchet/pipeline/platform/embedded/sqlcheck"
)

// Options configure a Server.
type Options struct {
	Engine *engine.Engine
	// Temp is a directory of its own for the data of INSERTs. It is emptied at
	// the start: what a killed predecessor left there was never acknowledged.
	Temp string
	// Database is where statements run whose request names none.
	Database string
	// Password is required together with the user "default". Without
	// one the same user of this system is admitted (package access).
	Password string
	AnyHost  bool // requests for names other than this machine's loopback ones are accepted
	// Silence is how long a client may neither send nor read during a request or an answer; 0: Silence.
	Silence time.Duration
	Log     *slog.Logger
}

// mostStatements is how many statements run concurrently. Others wait.
const mostStatements = 32

// Server answers requests as a ClickHouse server would. It is an http.Handler.
type Server struct {
	o        Options
	slots    chan struct{}
	sessions sessions
	checker  *sqlcheck.Checker

	mu      sync.Mutex
	running map[string]bool // by query ID
	closing bool
	idle    chan struct{} // closed when the server is closing and nothing runs
	serial  atomic.Uint64
}

// New creates the server and its directory for bodies.
func New(o Options) (*Server, error) {
	if strings.ContainsAny(o.Temp, "*?{}'\\\n") {
		return nil, fmt.Errorf("data directory %q: the engine takes * ? { } and quotes in file names as patterns; choose another with --data", o.Temp)
	}
	if err := os.RemoveAll(o.Temp); err != nil {
		return nil, fmt.Errorf("empty %s: %w", o.Temp, err)
	}
	if err := os.MkdirAll(o.Temp, 0o700); err != nil {
		return nil, fmt.Errorf("create %s: %w", o.Temp, err)
	}
	if o.Silence <= 0 {
		o.Silence = Silence
	}
	checker, err := sqlcheck.New(o.Engine)
	if err != nil {
		return nil, err
	}
	s := &Server{o: o, checker: checker, slots: make(chan struct{}, mostStatements), running: map[string]bool{}, idle: make(chan struct{})}
	s.sessions.open = map[string]*session{}
	return s, nil
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-ClickHouse-Server-Display-Name", "ratchet")
	h.Set("X-ClickHouse-Timezone", "UTC")
	h.Set("X-Content-Type-Options", "nosniff") // an error repeats parts of the request
	body := patient(w, r, s.o.Silence)
	body.leave() // for requests that are rejected before they are read
	if err := origin.FromPage(r, s.o.AnyHost); err != nil {
		access.Leave(w)
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	if s.o.Password == "" {
		if err := access.SameUser(r.Context()); err != nil {
			fail(w, refuse(authFailed, "%v", err))
			return
		}
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut:
	default:
		http.Error(w, "only GET, HEAD, POST and PUT are supported", http.StatusMethodNotAllowed)
		return
	}
	switch r.URL.Path {
	case "/ping", "/replicas_status":
		fmt.Fprintln(w, "Ok.")
		return
	case "", "/", "/query":
	default:
		http.Error(w, "there is no resource "+r.URL.Path+" here; POST a query to /", http.StatusNotFound)
		return
	}
	if r.URL.RawQuery == "" && r.Method == http.MethodGet {
		fmt.Fprintln(w, "Ok.")
		return
	}
	if err := s.answer(w, r, body); err != nil {
		fail(w, err)
	}
}

// admit checks the user. A link or an image in a page causes a GET, without headers of its own.
func (s *Server) admit(q *request) error {
	if q.user != "default" || s.o.Password != "" && !access.Equal(q.password, s.o.Password) {
		return refuse(authFailed, "%s: Authentication failed: password is incorrect, or there is no user with such name", q.user)
	}
	if q.readonly && s.o.Password == "" && !q.header {
		return refuse(authFailed, "A GET without credentials runs no SQL, because any link can be one: send the statement by POST (curl -d)")
	}
	return nil
}

// answer runs the request. An error means that no part of the answer was sent.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, body *patientBody) error {
	defer body.leave()
	q := understandRequest(r)
	if err := s.admit(q); err != nil {
		return err
	}
	if err := s.begin(q); err != nil {
		return err
	}
	defer s.finish(q)

	w.Header().Set("X-ClickHouse-Query-Id", q.id)
	job, err := s.read(r, q, body.end)
	if err != nil {
		return err
	}
	defer job.forget()

	present, over := access.UntilLeft(r.Context())
	defer over()
	defer s.boundWrites(present, w)()
	release, err := s.acquire(present)
	if err != nil {
		return err
	}
	defer release()
	if err := s.check(q, job); err != nil {
		return err
	}

	conn, leave, err := s.enter(q)
	if err != nil {
		return err
	}
	aborted := true // until the statement has ended normally
	defer func() { leave(aborted) }()

	restore, err := s.borrow(conn, q)
	if err != nil {
		return err
	}
	defer func() { restore(aborted, job.verb) }()

	stop := s.killWhenDone(present, q.id)
	defer stop()
	if err := s.prepare(conn, q, job); err != nil {
		aborted = false
		return err
	}
	aborted, err = s.run(w, conn, q, job)
	return err
}

// prepare sets the session up for the request.
func (s *Server) prepare(c *engine.Conn, q *request, w *work) error {
	set, err := q.assignments()
	if err != nil {
		return err
	}
	if q.database == "" && !w.continues {
		q.database = s.o.Database
	}
	if q.database != "" {
		if err := c.Exec("USE " + name(q.database)); err != nil {
			return err
		}
	}
	for _, t := range w.tables {
		if err := c.Exec(t.create()); err != nil {
			return err
		}
		if err := c.Exec("INSERT INTO " + name(t.name) + infile(t.file) + "FORMAT " + t.format); err != nil {
			return err
		}
	}
	if err := c.Exec(set); err != nil || !w.literals {
		return err
	}
	if strings.Contains(strings.ToLower(w.sql), sqlcheck.Plainly) {
		return refuse(unsupported, "%s cannot be set for these VALUES", sqlcheck.Plainly)
	}
	return c.Exec("SET " + sqlcheck.Plainly + " = 0, input_format_values_deduce_templates_of_expressions = 0")
}

// check rejects SQL that a request may not contain.
func (s *Server) check(q *request, w *work) (err error) {
	for _, t := range w.tables {
		if err := s.checker.Check(t.create(), nil); err != nil {
			return err
		}
	}
	if err := s.checker.Check(w.sql, q.params); err != nil || w.values == "" {
		return err
	}
	w.literals, err = s.checker.Values(w.values)
	return err
}

// acquire waits for a free slot for another statement; release frees it.
func (s *Server) acquire(ctx context.Context) (release func(), err error) {
	select {
	case s.slots <- struct{}{}:
		return func() { <-s.slots }, nil
	case <-ctx.Done():
		return nil, refuse(tooManyQueries, "The client left while waiting for a slot")
	}
}

// begin claims the query ID.
func (s *Server) begin(q *request) error {
	if q.id == "" {
		q.id = fmt.Sprintf("%d-%d-%d", os.Getpid(), time.Now().UnixNano(), s.serial.Add(1))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return refuse(shuttingDown, "The server is shutting down")
	case s.running[q.id]:
		return refuse(sameQueryID, "Query with id = %s is already running", q.id)
	}
	s.running[q.id] = true
	return nil
}

func (s *Server) finish(q *request) {
	s.mu.Lock()
	delete(s.running, q.id)
	if s.closing && len(s.running) == 0 {
		close(s.idle)
	}
	s.mu.Unlock()
}

// killAll repeats the kill until nothing runs: some statements may not have begun yet.
func (s *Server) killAll(ctx context.Context) error {
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for {
		if err := s.execAside("KILL QUERY WHERE query_id != queryID() ASYNC"); err != nil {
			return fmt.Errorf("kill running queries: %w", err)
		}
		select {
		case <-s.idle:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("wait for running queries: %w", ctx.Err())
		case <-again.C:
		}
	}
}

// Close lets running requests end for as long as drain, kills the others and waits
// for them until ctx is done. The engine may be closed after it has returned nil.
func (s *Server) Close(ctx context.Context, drain time.Duration) error {
	s.mu.Lock()
	if !s.closing {
		s.closing = true
		if len(s.running) == 0 {
			close(s.idle)
		}
	}
	s.mu.Unlock()
	timer := time.NewTimer(drain)
	defer timer.Stop()
	select {
	case <-s.idle:
	case <-timer.C:
		if err := s.killAll(ctx); err != nil {
			return err
		}
	}
	s.sessions.closeAll()
	s.checker.Close()
	return os.RemoveAll(filepath.Clean(s.o.Temp))
}
