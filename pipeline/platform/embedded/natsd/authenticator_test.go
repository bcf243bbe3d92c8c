package natsd_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sys/unix"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/access/accesstest"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
)

func open(t *testing.T, data string) *natsd.Server {
	t.Helper()
	s, err := natsd.Start(t.Context(), natsd.Options{Data: data, Addr: "127.0.0.1:0", Monitor: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func TestTheSameUserNeedsNoPassword(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	inside, err := nats.Connect("", s.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	outside, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	js, err := jetstream.New(outside)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "X", Subjects: []string{"x"}}); err != nil {
		t.Error(err)
	}
}

func TestAnotherUserIsRefused(t *testing.T) {
	t.Parallel()
	data := accesstest.Open(t)
	s := open(t, data)
	if said := accesstest.As(t, "nats "+s.URL()); !strings.Contains(said, "Authorization Violation") {
		t.Errorf("NATS: it says %q", said)
	}
	for _, path := range []string{"/", "/varz", "/connz", "/jsz"} {
		if said := accesstest.As(t, "get http://"+s.Monitor()+path); !strings.HasPrefix(said, "403") || !strings.Contains(said, "refused: this is user") {
			t.Errorf("monitoring %s: it says %q", path, said)
		}
	}
	said := accesstest.As(t, "walk "+data)
	if refused, opened, _ := strings.Cut(said, " refused, opened: "); opened != "" || refused == "0" {
		t.Errorf("of a directory that every user may enter it reads: %s", said)
	}
}

func TestAPasswordIsAskedForWhereOneIsSet(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := os.WriteFile(access.PasswordPath(data), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, data)
	bare := strings.Replace(s.URL(), natsd.User+":s3cret@", "", 1)
	for url, want := range map[string]error{
		s.URL(): nil, bare: nats.ErrAuthorization, strings.Replace(s.URL(), "s3cret", "no", 1): nats.ErrAuthorization, strings.Replace(s.URL(), natsd.User, "x", 1): nats.ErrAuthorization,
	} {
		c, err := nats.Connect(url)
		if !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", url, err, want)
		}
		if err == nil {
			c.Close()
		}
	}
	inside, err := nats.Connect("", s.InProcess())
	if err != nil {
		t.Fatalf("in this process: %v", err)
	}
	inside.Close()
}

// ask returns an answer of the monitoring.
func ask(t *testing.T, s *natsd.Server, path string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+s.Monitor()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b), r.Header
}

func TestMonitoringIsNotForPages(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for _, c := range []struct {
		header []string
		status int
	}{
		{nil, 200},
		{[]string{"Host", "localhost:8222"}, 200},
		{[]string{"Host", "rebound.example.com"}, 403},
		{[]string{"Origin", "https://example.com"}, 403},
		{[]string{"Origin", "null"}, 403},
		{[]string{"Sec-Fetch-Site", "cross-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-site"}, 403},
		{[]string{"Sec-Fetch-Site", "same-origin"}, 200},
		{[]string{"Sec-Fetch-Site", "none"}, 200},
	} {
		status, body, header := ask(t, s, "/varz", c.header...)
		if status != c.status || header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v: got %d %v", c.header, status, header)
		}
		if status != 200 && strings.Contains(body, "server_id") {
			t.Errorf("%v: it says %s", c.header, body)
		}
	}
}

func TestMonitoringAnswersAsNATSsOwn(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	for path, word := range map[string]string{
		"/": "Connections", "/varz": `"server_id"`, "/connz": `"connections"`, "/subsz": `"num_subscriptions"`, "/jsz?consumers=1": `"memory"`, "/healthz?js-enabled-only=true": `"ok"`,
		"/accountz": `"accounts"`, "/accstatz": `"account_statz"`,
	} {
		if status, body, _ := ask(t, s, path); status != 200 || !strings.Contains(body, word) {
			t.Errorf("%s: got %d %.200s", path, status, body)
		}
	}
	for _, path := range []string{"/stacksz", "/debug/vars", "/raftz", "/nothing"} {
		if status, _, _ := ask(t, s, path); status != 404 {
			t.Errorf("%s: got %d", path, status)
		}
	}
}

func TestOffLoopbackNothingStartsWithoutAPasswordNorInTheClear(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	quiet := slog.New(slog.DiscardHandler)
	for _, o := range []natsd.Options{{Data: data, Addr: "0.0.0.0:0", Log: quiet}, {Data: data, Monitor: "0.0.0.0:0", Log: quiet}} {
		if _, err := natsd.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(), "password") {
			t.Errorf("got %v", err)
		}
	}
	if err := os.WriteFile(access.PasswordPath(data), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := natsd.Options{Data: data, Addr: "0.0.0.0:0", Monitor: "0.0.0.0:0", Log: quiet}
	if _, err := natsd.Start(t.Context(), o); process.ExitCode(err) != process.ExitUsage || !strings.Contains(err.Error(), "--plaintext") {
		t.Errorf("got %v", err)
	}
	o.TLS.Plaintext = true
	s, err := natsd.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
}

func TestOtherMachinesReachNATSAndItsMonitoringByTLSAlone(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := os.WriteFile(access.PasswordPath(data), []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := accesstest.Another(t)
	cert, key := accesstest.Certificate(t, m.Here)
	o := natsd.Options{Data: data, Addr: "0.0.0.0:0", Monitor: "0.0.0.0:0", TLS: access.TLS{Cert: cert, Key: key}, Log: slog.New(slog.DiscardHandler)}
	s, err := natsd.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	_, monitor, _ := net.SplitHostPort(s.Monitor())
	login := "ratchet:s3cret@" + m.Here + ":"
	for _, c := range []struct{ task, trusts, says string }{
		{"nats nats://" + login + u.Port(), cert, "connected"}, // the server requires TLS
		{"nats nats://" + login + u.Port(), key, "error: nats: tls error: tls: failed to verify"},
		{"nats nats://" + m.Here + ":" + u.Port(), cert, "error: nats: Authorization Violation"},
		{"get https://" + login + monitor + "/varz", cert, "200 OK"},
		{"get http://" + login + monitor + "/varz", cert, "400 Bad Request Client sent an HTTP request to an HTTPS server."},
		{"get https://" + m.Here + ":" + monitor + "/varz", cert, "403"},
	} {
		if said := m.Ask(t, c.task, "SSL_CERT_FILE="+c.trusts); !strings.HasPrefix(said, c.says) {
			t.Errorf("%s: it says %.200q, want %q", c.task, said, c.says)
		}
	}
	inside, err := nats.Connect("", s.InProcess())
	if err != nil {
		t.Fatalf("in this process: %v", err)
	}
	inside.Close()
}

// A process that is being started holds copies of our files until it executes another program.
func TestADirectoryIsFreeAtOnceAlsoWhileAChildHoldsACopyOfItsLock(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s, err := natsd.Start(t.Context(), natsd.Options{Data: data, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	copies := 0
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err != nil || to != filepath.Join(data, "lock") {
			continue
		}
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		held, err := unix.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = unix.Close(held) }()
		copies++
	}
	if copies == 0 {
		t.Fatal("no descriptor of the lock was found")
	}
	s.Stop()
	open(t, data)
}
