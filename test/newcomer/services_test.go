package newcomer_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"sync"
	"testing"
)

// letter is a message that a service took.
type letter struct {
	key, text string
	deals     []told // as a webhook gets them
}

// told is a deal at a price.
type told struct {
	ASIN         string `json:"asin"`
	CreationDate int64  `json:"creation_date"` // when the price began
}

// service is a fake of a service that is notified: it takes everything.
type service struct {
	at string // host and port

	mu   sync.Mutex
	took []letter
}

func (s *service) keep(l letter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.took = append(s.took, l)
}

func (s *service) letters() []letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]letter{}, s.took...)
}

// web is Slack, Telegram or a webhook: a JSON object with the text as its member "text".
func web(t *testing.T) *service {
	t.Helper()
	s := &service{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Text  string
			Deal  *told
			Deals []told
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if body.Deal != nil {
			body.Deals = append(body.Deals, *body.Deal)
		}
		s.keep(letter{r.Header.Get("Idempotency-Key"), body.Text, body.Deals})
	}))
	t.Cleanup(server.Close)
	s.at = server.Listener.Addr().String()
	return s
}

// postOffice is a mail server.
func postOffice(t *testing.T) *service {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	s := &service{at: l.Addr().String()}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.post(c)
		}
	}()
	return s
}

func (s *service) post(c net.Conn) {
	defer func() { _ = c.Close() }()
	in := bufio.NewReader(c)
	say := func(line string) { _, _ = io.WriteString(c, line+"\r\n") }
	for say("220 fake"); ; {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.TrimSpace(line), " "); strings.ToUpper(verb) {
		case "DATA":
			say("354 go on")
			var raw strings.Builder
			for line, err = in.ReadString('\n'); err == nil && line != ".\r\n"; line, err = in.ReadString('\n') {
				raw.WriteString(strings.TrimPrefix(line, "."))
			}
			m, err := mail.ReadMessage(strings.NewReader(raw.String()))
			if err != nil {
				say("554 " + err.Error())
				continue
			}
			body, _ := io.ReadAll(m.Body) // of a string
			s.keep(letter{key: m.Header.Get("Message-ID"), text: string(body)})
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}
