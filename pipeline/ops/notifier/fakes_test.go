package notifier

import (
	"bufio"
	"cmp"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"
)

// got is a message as a fake service received it.
type got struct {
	At   time.Time // when it arrived
	Path string
	Key  string
	Text string // what people see
	JSON map[string]any
	Took bool // the service said that it took it
}

// fake is a service. Its answers say what it does with its nth request, from 1: 0 means to take it and cut the
// connection.
type fake struct {
	url string

	mu      sync.Mutex
	answers func(n int) reply
	all     []got
}

type reply struct {
	status int
	header map[string]string
	body   string
	before func() // while the request is under way
}

func ok(int) reply { return reply{status: 200} }

func always(status int) func(int) reply { return func(int) reply { return reply{status: status} } }

func newFake(t testing.TB, answers func(n int) reply) *fake {
	t.Helper()
	f := &fake{answers: answers}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g := got{At: time.Now(), Path: r.URL.Path, Key: r.Header.Get("Idempotency-Key")}
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost || json.Unmarshal(body, &g.JSON) != nil {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	for _, member := range []string{"message", "content", "text"} {
		if s, is := g.JSON[member].(string); is {
			g.Text = s
		}
	}
	f.mu.Lock()
	n := len(f.all)
	f.all = append(f.all, g)
	a := f.answers(n + 1)
	f.all[n].Took = a.status/100 == 2
	f.mu.Unlock()
	if a.before != nil {
		a.before()
	}
	if a.status == 0 {
		panic(http.ErrAbortHandler)
	}
	for name, value := range a.header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, a.body) // the client may close before it reads
}

func (f *fake) messages() []got {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]got{}, f.all...)
}

// took are the messages that it took.
func (f *fake) took() []got {
	var out []got
	for _, g := range f.messages() {
		if g.Took {
			out = append(out, g)
		}
	}
	return out
}

// naming counts the messages that name each ASIN.
func naming(all []got, asins []string) map[string]int {
	out := map[string]int{}
	for _, asin := range asins {
		for _, g := range all {
			if strings.Contains(g.Text, asin) {
				out[asin]++
			}
		}
	}
	return out
}

// postbox is a mail server: it accepts messages, unless refuse rejects the nth.
type postbox struct {
	addr   string
	refuse func(n int) string // a reply to DATA; empty: it takes the message
	rcpt   map[string]string  // replies to recipients; absent: it takes the recipient

	mu     sync.Mutex
	login  string // a reply to a login; empty: it lets in
	logins []string
	all    []got
}

func newPostbox(t testing.TB) *postbox {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &postbox{addr: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *postbox) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	say := func(line string) { _, _ = io.WriteString(c, line+"\r\n") }
	say("220 fake")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, rest, _ := strings.Cut(strings.TrimSpace(line), " "); strings.ToUpper(verb) {
		case "EHLO":
			say("250-fake\r\n250 AUTH PLAIN")
		case "AUTH":
			p.mu.Lock()
			p.logins = append(p.logins, rest)
			reply := cmp.Or(p.login, "235 in")
			p.mu.Unlock()
			say(reply)
		case "RCPT":
			say(cmp.Or(p.rcpt[strings.TrimSuffix(strings.TrimPrefix(rest, "TO:<"), ">")], "250 ok"))
		case "DATA":
			say("354 go on")
			say(p.letter(in))
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// letter reads a message and says what becomes of it.
func (p *postbox) letter(in *bufio.Reader) string {
	var raw strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == ".\r\n" {
			break
		}
		raw.WriteString(strings.TrimPrefix(line, "."))
	}
	m, err := netmail.ReadMessage(strings.NewReader(raw.String()))
	if err != nil {
		return "554 " + err.Error()
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		return "554 " + err.Error()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, got{At: time.Now(), Key: m.Header.Get("Message-ID"), Text: m.Header.Get("Subject") + "\n" + string(body), Took: true})
	if p.refuse != nil {
		if reply := p.refuse(len(p.all)); reply != "" {
			p.all[len(p.all)-1].Took = false
			return reply
		}
	}
	return "250 taken"
}

func (p *postbox) took() []got {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []got
	for _, g := range p.all {
		if g.Took {
			out = append(out, g)
		}
	}
	return out
}
