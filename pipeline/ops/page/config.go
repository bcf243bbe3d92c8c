package page

import (
	"context"
	"errors"
	"fmt"
	"net"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/access"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

// Config is everything that the page of a fleet can be told. It is read from the environment once, at its start.
type Config struct {
	NATS bus.Config `env:", prefix=NATS_"`

	// Addr is where the page is served. An address that other machines reach wants PAGE_PASSWORD, PAGE_TLS_CERT and
	// PAGE_TLS_KEY.
	Addr string `env:"PAGE_ADDR, default=127.0.0.1:8080"`
	// PagePassword is what a browser is asked for, with any user; PAGE_PASSWORD_FILE names a file that holds it.
	PagePassword process.Secret `env:"PAGE_PASSWORD"`
	// Cert names the page's certificate, with its chain; PEM.
	Cert string `env:"PAGE_TLS_CERT"`
	// Key names the file with the private key of PAGE_TLS_CERT; PEM.
	Key string `env:"PAGE_TLS_KEY"`

	// ClickHouse is the address of ClickHouse: http://user:password@host:8123/database, https:// or clickhouse://.
	ClickHouse string `env:"CLICKHOUSE_URL, default=http://127.0.0.1:8123/ratchet"`
	// Password is that of the user in CLICKHOUSE_URL; CLICKHOUSE_PASSWORD_FILE names a file that holds it.
	Password process.Secret `env:"CLICKHOUSE_PASSWORD"`
	// Rules is the rule file; empty means the built-in rules for used books.
	Rules string `env:"RULES"`
}

// Validate names every variable that is wrong.
func (c Config) Validate() error {
	faults := []error{c.NATS.Validate(), c.tls().Validate()}
	if c.ClickHouse != "none" {
		faults = append(faults, warehouse.CheckURL(c.ClickHouse))
	}
	host, _, err := process.Address("PAGE_ADDR", c.Addr)
	faults = append(faults, err)
	ip := net.ParseIP(host)
	if err == nil && host != "localhost" && (ip == nil || !ip.IsLoopback()) && (c.PagePassword == "" || c.Cert == "" || c.Key == "") {
		faults = append(faults, fmt.Errorf("PAGE_ADDR: other machines reach %s and could see and change everything; set PAGE_PASSWORD_FILE, PAGE_TLS_CERT and PAGE_TLS_KEY, or use 127.0.0.1", c.Addr))
	}
	return errors.Join(faults...)
}

func (c Config) tls() access.TLS { return access.TLS{Cert: c.Cert, Key: c.Key} }

// Run serves the page until ctx ends. It connects as an operator, or as a reader, whose buttons NATS refuses.
func Run(ctx context.Context, env process.Env) error {
	cfg, err := process.Load[Config](ctx, env.Lookup)
	if err != nil {
		return err
	}
	b, err := bus.Open(ctx, cfg.NATS, env, "page")
	if err != nil {
		return err
	}
	defer b.Close()
	s, err := Start(ctx, b, env, Options{
		Addr: cfg.Addr, Flag: "PAGE_ADDR", Password: cfg.PagePassword.Reveal(), TLS: cfg.tls(),
		ClickHouse: warehouse.Login(cfg.ClickHouse, cfg.Password.Reveal()), Rules: cfg.Rules,
	})
	if err != nil {
		return err
	}
	defer s.Stop()
	defer env.Health.Report("page", b.NotReady)()
	env.Log.Info("the page is served", "url", s.URL())
	env.AnnounceReady()
	<-ctx.Done()
	return ctx.Err()
}
