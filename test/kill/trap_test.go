package kill_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// A statement of a daemon is what the world can see of it: a message that changes
// something, or a call to Keepa. Between two of them a kill is the same wherever it
// falls, so the trap stands on the wire: it counts statements and springs before one
// lands, or after it has landed and before the daemon hears of it.
type trap struct {
	mu     sync.Mutex
	seen   []string // statements by name, in order
	times  map[string]int
	spring point
	kill   func()
	sprung bool
	await  string // the reply whose message springs it
}

// point is where a trap springs: at the how-manieth statement of a name, because what
// a daemon does at once, and so the order of all statements, differs from run to run.
type point struct {
	name  string
	n     int   // 0: never
	phase phase // of it
}

type phase string

// The phases of a statement.
const (
	before phase = "before it lands"
	landed phase = "landed, not heard of"
	heard  phase = "answered" // of a call alone: a message's answer is heard before the next statement
)

// begin counts a statement and returns which one of its name it is.
func (tr *trap) begin(name string) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.times == nil {
		tr.times = map[string]int{}
	}
	tr.seen = append(tr.seen, name)
	tr.times[name]++
	return tr.times[name]
}

// reach reports whether the trap springs here. It springs once; then the daemon is
// dead.
func (tr *trap) reach(at point) bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.sprung || tr.spring != at {
		return false
	}
	tr.sprung = true
	tr.kill()
	return true
}

// isStatement reports whether a publish changes something. Heartbeats do not matter,
// and topology is made again by whoever starts next.
func isStatement(subject string) bool {
	if strings.HasPrefix(subject, "$KV.STATUS.") {
		return false
	}
	for _, p := range []string{"candidate.", "survivor.", "response.", "verdict.", "deal.", "ledger.", "dead.", "$KV.", "$JS.ACK."} {
		if strings.HasPrefix(subject, p) {
			return true
		}
	}
	return false
}

// kind is a statement's name without what differs from run to run.
func kind(subject string) string {
	parts := strings.Split(subject, ".")
	switch parts[0] {
	case "$JS":
		return "ack " + parts[2]
	case "$KV":
		return "put " + parts[1] + "." + parts[2]
	case "ledger":
		return subject
	default:
		return parts[0]
	}
}

// nats is a proxy in front of a NATS server; its address is what the daemon is told.
func (tr *trap) nats(t *testing.T, server string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	to := strings.TrimPrefix(server, "nats://")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			done := func() { _ = c.Close(); _ = s.Close() }
			go func() { defer done(); tr.pump(bufio.NewReader(c), s, tr.sent) }()
			go func() { defer done(); tr.pump(bufio.NewReader(s), c, tr.received) }()
		}
	}()
	return "nats://" + l.Addr().String()
}

// pump forwards protocol messages until one side is gone or look says stop.
func (tr *trap) pump(from *bufio.Reader, to io.Writer, look func(op, subject, reply string) (forward, goOn bool)) {
	for {
		line, err := from.ReadBytes('\n')
		if err != nil {
			return
		}
		f := strings.Fields(string(line))
		whole := line
		forward, goOn := true, true
		if op := strings.ToUpper(f[0]); len(f) >= 3 && (op == "PUB" || op == "HPUB" || op == "MSG" || op == "HMSG") {
			size, err := strconv.Atoi(f[len(f)-1])
			if err != nil {
				return
			}
			body := make([]byte, size+2)
			if _, err := io.ReadFull(from, body); err != nil {
				return
			}
			whole = append(line, body...)
			forward, goOn = look(op, f[1], replyOf(op, f))
		}
		if forward {
			if _, err := to.Write(whole); err != nil {
				return
			}
		}
		if !goOn {
			return
		}
	}
}

// replyOf is the reply subject of what a client publishes; "" without one.
func replyOf(op string, f []string) string {
	if op == "PUB" && len(f) == 4 || op == "HPUB" && len(f) == 5 {
		return f[2]
	}
	return ""
}

func (tr *trap) sent(_, subject, reply string) (forward, goOn bool) {
	if !isStatement(subject) {
		return true, true
	}
	name := kind(subject)
	nth := tr.begin(name)
	if tr.reach(point{name, nth, before}) {
		return false, false
	}
	tr.mu.Lock()
	mine := !tr.sprung && tr.spring == point{name, nth, landed}
	if mine && reply != "" {
		tr.await = reply
	}
	tr.mu.Unlock()
	if mine && reply == "" {
		// Nobody answers it. It is on its way; whether it lands is the server's to say.
		defer tr.reach(point{name, nth, landed})
	}
	return true, true
}

func (tr *trap) received(_, subject, _ string) (forward, goOn bool) {
	tr.mu.Lock()
	answer := tr.await != "" && subject == tr.await
	tr.mu.Unlock()
	if !answer {
		return true, true
	}
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if !tr.sprung {
		tr.sprung = true
		tr.kill()
	}
	return false, false
}

// keepa is a proxy in front of Keepa.
func (tr *trap) keepa(t *testing.T, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			tr.forward(w, r, u)
			return
		}
		name := "call " + strings.TrimPrefix(r.URL.Path, "/")
		nth := tr.begin(name)
		if tr.reach(point{name, nth, before}) {
			return
		}
		rec := httptest.NewRecorder()
		tr.forward(rec, r, u)
		if tr.reach(point{name, nth, landed}) {
			return
		}
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes()) // the daemon may be dead
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
		tr.reach(point{name, nth, heard})
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

func (tr *trap) forward(w http.ResponseWriter, r *http.Request, to *url.URL) {
	q, err := http.NewRequestWithContext(r.Context(), r.Method, to.String()+r.URL.RequestURI(), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	q.Header = r.Header.Clone()
	res, err := http.DefaultTransport.RoundTrip(q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer func() { _ = res.Body.Close() }()
	for k, v := range res.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(res.StatusCode)
	_, _ = io.Copy(w, res.Body) // the daemon may be dead
}

func (p point) String() string { return fmt.Sprintf("%s number %d, %s", p.name, p.n, p.phase) }
