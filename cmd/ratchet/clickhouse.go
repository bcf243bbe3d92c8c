package main

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/embedded/clickhouse"
	"ratchet/pipeline/platform/process"
)

// clickhouseCmd is also what `ratchet up` runs as its child process.
type clickhouseCmd struct {
	Lib      string `help:"The libchdb.so to use (default: the one that npm fetched)." env:"CHDB_LIB_PATH" placeholder:"FILE"`
	Data     string `help:"Data directory of the engine (default: ~/.local/share/ratchet/clickhouse). That of ratchet up --data DIR is DIR/real/clickhouse or DIR/simulated/clickhouse." placeholder:"DIR"`
	Addr     string `help:"Address to serve (default: ${default})." default:"127.0.0.1:8123" placeholder:"HOST:PORT"`
	tlsFlags `embed:""`
}

// tlsFlags configure addresses that other machines reach. They need a password, the first line of
// DIR/password.
type tlsFlags struct {
	TLSCert   string `name:"tls-cert" help:"Certificate, with its chain, of addresses that other machines reach; PEM." env:"TLS_CERT" placeholder:"FILE"`
	TLSKey    string `name:"tls-key" help:"Its private key; PEM." env:"TLS_KEY" placeholder:"FILE"`
	Plaintext bool   `help:"Serve addresses that other machines reach without TLS." env:"PLAINTEXT"`
}

func (f tlsFlags) tls() access.TLS {
	return access.TLS{Cert: f.TLSCert, Key: f.TLSKey, Plaintext: f.Plaintext}
}

// Run serves the embedded engine until a signal comes.
func (c clickhouseCmd) Run(a *app) error {
	if _, _, err := process.Address("--addr", c.Addr); err != nil {
		return err // before minutes of download
	}
	if err := c.choose(); err != nil {
		return err
	}
	a.untilSignal = true
	lib, err := clickhouse.Fetch(a.ctx, clickhouse.FetchOptions{Lib: c.Lib, Log: a.env.Log, Progress: a.errOut})
	if err != nil {
		return err
	}
	return clickhouse.Serve(a.ctx, clickhouse.ServeOptions{
		Lib: lib, Data: c.Data, Addr: c.Addr, TLS: c.tls(), Log: a.env.Log,
		Ready: func(u string) { fmt.Fprintln(a.out, "ready", cli.RedactURL(u)) },
	})
}

// choose selects the data directory. It never creates an empty engine beside that of `ratchet up`, or inside its data.
func (c *clickhouseCmd) choose() error {
	root := c.Data
	if c.Data == "" {
		var err error
		if root, err = standalone.DefaultData(); err != nil {
			return err
		}
		c.Data = filepath.Join(root, "clickhouse")
		if _, err := os.Stat(c.Data); err == nil {
			return nil
		}
	}
	if engines := standalone.Engines(root); len(engines) > 0 {
		return process.Usagef("--data: %s is the data of `ratchet up`; name its engine: --data %s", root, strings.Join(engines, ", or --data "))
	}
	return nil
}

// ports are those of the schemes of NATS and ClickHouse where a URL has none.
var ports = map[string]string{"nats": "4222", "tls": "4222", "ws": "80", "wss": "443", "http": "80", "https": "443", "clickhouse": "9000"}

// hostOf is the host:port of a URL, which without a scheme is one of NATS; what cannot be read is itself.
func hostOf(raw string) string {
	u, err := url.Parse(bus.Schemed(raw))
	if err != nil || u.Host == "" {
		return raw
	}
	if u.Port() == "" {
		return net.JoinHostPort(u.Hostname(), ports[u.Scheme])
	}
	return u.Host
}
