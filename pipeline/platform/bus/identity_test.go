package bus_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/test/streams"
)

// papers are the files of a certificate authority and of one certificate that it signed.
type papers struct {
	ca, cert, key string
	config        *tls.Config
}

func issue(t *testing.T) papers {
	t.Helper()
	dir := t.TempDir()
	pair := func(name string, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			parent, signer = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		write(t, filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))
		return cert, key
	}
	template := func(name string, n int64, isCA bool) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(n), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IsCA: isCA, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}
	}
	ca, signer := pair("ca", template("ca", 1, true), nil, nil)
	pair("node", template("node", 2, false), ca, signer)
	p := papers{ca: filepath.Join(dir, "ca.pem"), cert: filepath.Join(dir, "node.pem"), key: filepath.Join(dir, "node.key")}
	pool := x509.NewCertPool()
	pool.AddCert(ca)
	node, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		t.Fatal(err)
	}
	p.config = &tls.Config{Certificates: []tls.Certificate{node}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	return p
}

func write(t *testing.T, name string, body []byte) {
	t.Helper()
	if err := os.WriteFile(name, body, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAServerKnowsUsByPasswordNKeyAndCertificate(t *testing.T) {
	t.Parallel()
	p := issue(t)
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	seedFile := filepath.Join(t.TempDir(), "seed")
	write(t, seedFile, seed)
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, StoreDir: t.TempDir(), JetStream: true,
		Users: []*server.User{{Username: "tokend", Password: "right"}}, Nkeys: []*server.NkeyUser{{Nkey: public}},
		TLS: true, TLSVerify: true, TLSConfig: p.config, TLSTimeout: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	tlsOnly := streams.Config()
	tlsOnly.URL, tlsOnly.CA, tlsOnly.Cert, tlsOnly.Key = s.ClientURL(), p.ca, p.cert, p.key
	for name, c := range map[string]struct {
		set  func(*bus.Config)
		code int
	}{
		"password":       {func(c *bus.Config) { c.User, c.Password = "tokend", "right" }, process.ExitDone},
		"nkey":           {func(c *bus.Config) { c.NKey = seedFile }, process.ExitDone},
		"wrong password": {func(c *bus.Config) { c.User, c.Password = "tokend", "wrong-hunter2" }, process.ExitUsage},
		"nobody":         {func(*bus.Config) {}, process.ExitUsage},
	} {
		cfg := tlsOnly
		c.set(&cfg)
		b, err := bus.Connect(t.Context(), cfg, process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock()}, "tokend")
		if err == nil {
			b.Close()
		}
		if got := process.ExitCode(err); got != c.code {
			t.Errorf("%s: %v, exit code %d, want %d", name, err, got, c.code)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error holds the password: %v", name, err)
		}
	}
}

func TestAServerOfAnotherAuthorityIsNotSentThePassword(t *testing.T) {
	t.Parallel()
	p := issue(t)
	var asked atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	// What NATS says first, then TLS with a certificate of its own authority.
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			_, _ = c.Write([]byte(`INFO {"server_id":"x","version":"2.15.0","proto":1,"tls_required":true,"max_payload":1048576}` + "\r\n"))
			secure := tls.Server(c, &tls.Config{Certificates: p.config.Certificates, MinVersion: tls.VersionTLS12})
			_ = secure.SetDeadline(time.Now().Add(5 * time.Second))
			if n, _ := secure.Read(make([]byte, 1)); n > 0 {
				asked.Add(1)
			}
			_ = c.Close()
		}
	}()
	cfg := streams.Config()
	cfg.URL, cfg.CA, cfg.User, cfg.Password = "nats://"+l.Addr().String(), issue(t).ca, "tokend", "right"
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	b, err := bus.Connect(ctx, cfg, process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock()}, "tokend")
	if err == nil {
		b.Close()
	}
	if err == nil || asked.Load() > 0 {
		t.Errorf("%d servers of another authority were sent something, %v", asked.Load(), err)
	}
}

func TestIdentitiesThatContradictEachOtherAreWrongUsage(t *testing.T) {
	t.Parallel()
	for want, set := range map[string]func(*bus.Config){
		"NATS_PASSWORD": func(c *bus.Config) { c.User = "tokend" },
		"NATS_CREDS":    func(c *bus.Config) { c.Creds, c.NKey = "a", "b" },
		"NATS_CERT":     func(c *bus.Config) { c.Cert = "a" },
	} {
		cfg := streams.Config()
		set(&cfg)
		_, err := bus.Connect(t.Context(), cfg, process.Env{Log: slog.New(slog.DiscardHandler)}, "tokend")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s named", err, want)
		}
	}
}
