package access_test

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/access/accesstest"
	"ratchet/pipeline/platform/process"
)

func TestOffLoopbackNothingIsServedWithoutAPasswordNorInTheClear(t *testing.T) {
	t.Parallel()
	out := &net.TCPAddr{IP: net.IPv4zero, Port: 8123}
	in := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8123}
	with, plain := access.TLS{Cert: "c", Key: "k"}, access.TLS{Plaintext: true}
	for _, c := range []struct {
		addr     net.Addr
		password string
		tls      access.TLS
		says     string
	}{
		{in, "", access.TLS{}, ""},
		{in, "", with, ""},
		{out, "", access.TLS{}, "set a password in /d/password"},
		{out, "", plain, "set a password"},
		{out, "", with, "set a password"},
		{out, "x", access.TLS{}, "give --tls-cert and --tls-key"},
		{out, "x", with, ""},
		{out, "x", plain, ""},
		{out, "x", access.TLS{Cert: "c"}, "want both or neither"},
		{out, "x", access.TLS{Key: "k", Plaintext: true}, "want both or neither"},
		{in, "", access.TLS{Cert: "c", Key: "k", Plaintext: true}, "--plaintext"},
	} {
		err := c.tls.MayListen("--addr", c.addr, "/d", c.password)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: got %v", c, err)
		}
		if err != nil && process.ExitCode(err) != process.ExitUsage {
			t.Errorf("%+v: the process ends with %d", c, process.ExitCode(err))
		}
	}
}

func TestACertificateThatCannotBeUsedIsNamed(t *testing.T) {
	t.Parallel()
	cert, key := accesstest.Certificate(t)
	_, other := accesstest.Certificate(t)
	for says, c := range map[string]access.TLS{
		"--tls-cert: open /nowhere":       {Cert: "/nowhere", Key: key},
		"--tls-key: open /nowhere":        {Cert: cert, Key: "/nowhere"},
		"private key does not match":      {Cert: cert, Key: other},
		"failed to find any PEM data":     {Cert: os.DevNull, Key: os.DevNull},
		"--tls-cert, --tls-key: want bot": {Cert: cert},
	} {
		var usage *process.UsageError
		if _, err := c.Config(); !errors.As(err, &usage) || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "--tls-") {
			t.Errorf("%s: got %v", says, err)
		}
	}
	if c, err := (access.TLS{}).Config(); c != nil || err != nil {
		t.Errorf("without one: got %v, %v", c, err)
	}
}

// serveAll serves a handler behind a door with a password, on every address of this machine.
func serveAll(t *testing.T, c access.TLS) (port string) {
	t.Helper()
	config, err := c.Config()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	door := access.Guard{Password: "s3cret", AnyHost: true}
	srv := &http.Server{ConnContext: access.ConnContext, Handler: door.Before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, done := access.UntilLeft(r.Context())
		done()
		_, _ = w.Write([]byte("in"))
	}))}
	go func() { _ = srv.Serve(access.Secure(l, config)) }()
	t.Cleanup(func() { _ = srv.Close() })
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

func TestAnotherMachineSpeaksTLSAndThisOneNeedNot(t *testing.T) {
	t.Parallel()
	m := accesstest.Another(t)
	cert, key := accesstest.Certificate(t, m.Here)
	port := serveAll(t, access.TLS{Cert: cert, Key: key})
	at := func(scheme, user, host string) string {
		return (&url.URL{Scheme: scheme, User: url.UserPassword("x", user), Host: net.JoinHostPort(host, port), Path: "/"}).String()
	}
	for _, c := range []struct{ url, says string }{
		{at("https", "s3cret", m.Here), "200 OK in"},
		{at("https", "no", m.Here), "403"},
		{at("http", "s3cret", m.Here), "400 Bad Request Client sent an HTTP request to an HTTPS server."},
	} {
		if said := m.Ask(t, "get "+c.url, "SSL_CERT_FILE="+cert); !strings.HasPrefix(said, c.says) {
			t.Errorf("%s: it says %q, want %q", c.url, said, c.says)
		}
	}
	if said := m.Ask(t, "get "+at("https", "s3cret", m.Here), "SSL_CERT_FILE="+key); !strings.Contains(said, "certificate") {
		t.Errorf("a client that does not trust the certificate continues: %q", said)
	}
	for _, host := range []string{"127.0.0.1", m.Here} {
		r, err := http.Get(at("http", "s3cret", host))
		if err != nil {
			t.Fatal(err)
		}
		if _ = r.Body.Close(); r.StatusCode != 200 {
			t.Errorf("from here by %s: got %s", host, r.Status)
		}
	}
}

func TestWithoutACertificateAnotherMachineIsServedAsThisOne(t *testing.T) {
	t.Parallel()
	m := accesstest.Another(t)
	port := serveAll(t, access.TLS{Plaintext: true})
	if said := m.Ask(t, "get http://x:s3cret@"+net.JoinHostPort(m.Here, port)+"/"); said != "200 OK in" {
		t.Errorf("it says %q", said)
	}
}
