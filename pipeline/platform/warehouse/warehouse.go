// Package warehouse wraps ClickHouse: the tables and their migrations, idempotent inserts, and the named questions.
//
// The package enforces three rules. Every key of a table comes from the message, so a row
// that is inserted again is the same row. Every insert carries a token that identifies its
// content, so a batch that was stored although its insert failed is dropped when it is
// repeated. Nothing is inserted asynchronously, so an insert that has returned is stored.
//
// It uses HTTP for the embedded engine, and HTTP or the native protocol for a server, without distinguishing them.
package warehouse

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"ratchet/pipeline/platform/process"
)

// Database is the default database.
const Database = "ratchet"

// dialWithin bounds the time to connect.
const dialWithin = 5 * time.Second

// Warehouse is a pool of connections to one database.
type Warehouse struct {
	conn     driver.Conn
	address  string // for errors: without user and password
	database string
	opts     *clickhouse.Options
}

// Open connects to ClickHouse at a URL (http://user:password@host:8123/database, https://
// or clickhouse://) and creates the database if it is missing. Migrate creates the tables.
func Open(ctx context.Context, rawURL string) (*Warehouse, error) {
	return open(ctx, rawURL, createDatabase)
}

// Reach is Open for readers: it creates nothing.
func Reach(ctx context.Context, rawURL string) (*Warehouse, error) {
	return open(ctx, rawURL, func(context.Context, clickhouse.Options) error { return ErrNoDatabase })
}

// ErrNoDatabase means that the server answers but lacks the database: no recorder has used it.
var ErrNoDatabase = errors.New("the database does not exist yet: `ratchet topology apply` creates it, and so does `ratchet up`; or let CLICKHOUSE_URL name one that exists")

// CheckURL validates a URL without connecting. The error is a UsageError.
func CheckURL(rawURL string) error {
	_, err := options(rawURL)
	return err
}

// Login returns the URL with a password for its user, if it has a user and no password.
func Login(rawURL, password string) string {
	u, err := url.Parse(rawURL)
	if err != nil || password == "" || u.User == nil {
		return rawURL
	}
	if _, has := u.User.Password(); !has {
		u.User = url.UserPassword(u.User.Username(), password)
	}
	return u.String()
}

func open(ctx context.Context, rawURL string, missing func(context.Context, clickhouse.Options) error) (*Warehouse, error) {
	opts, err := options(rawURL)
	if err != nil {
		return nil, err
	}
	w := &Warehouse{address: opts.Addr[0], database: opts.Auth.Database, opts: opts}
	if w.conn, err = clickhouse.Open(opts); err != nil {
		return nil, fmt.Errorf("open ClickHouse at %s: %w", w.address, err)
	}
	err = w.conn.Ping(ctx)
	if code(err) == codeUnknownDatabase {
		if err = missing(ctx, *opts); err == nil {
			err = w.conn.Ping(ctx)
		}
	}
	if err != nil {
		return nil, errors.Join(w.unreachable(err), w.conn.Close())
	}
	return w, nil
}

// Ping returns an error unless ClickHouse answers.
func (w *Warehouse) Ping(ctx context.Context) error {
	if err := w.conn.Ping(ctx); err != nil {
		return w.unreachable(err)
	}
	return nil
}

// Close closes the connections.
func (w *Warehouse) Close() error { return w.conn.Close() }

// errSilent replaces the driver's errors about its pool, or about a deadline, with one about the server.
var errSilent = errors.New("something listens there and does not answer")

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// options parses the URL. Its errors do not repeat the URL, which may contain a password.
func options(rawURL string) (*clickhouse.Options, error) {
	const want = "want http://user:password@host:8123/database, https://… or clickhouse://…"
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return nil, process.Usagef("CLICKHOUSE_URL: not a URL with a host; %s", want)
	}
	switch u.Scheme {
	case "http", "https", "clickhouse", "tcp":
	default:
		return nil, process.Usagef("CLICKHOUSE_URL: unknown scheme %q; %s", u.Scheme, want)
	}
	if name := strings.Trim(u.Path, "/"); name == "" {
		u.Path = "/" + Database
	} else if !plainName.MatchString(name) {
		return nil, process.Usagef("CLICKHOUSE_URL: database %q: want letters, digits and _", name)
	}
	if u.Port() == "" {
		u.Host += map[string]string{"http": ":8123", "https": ":8443", "clickhouse": ":9000", "tcp": ":9000"}[u.Scheme]
	}
	if set := u.Query(); u.Scheme == "https" && !set.Has("secure") { // the driver requires both
		set.Set("secure", "true")
		u.RawQuery = set.Encode()
	}
	opts, err := clickhouse.ParseDSN(u.String())
	if err != nil {
		return nil, process.Usagef("CLICKHOUSE_URL: bad parameter: %s; %s", redact(err.Error(), u), want)
	}
	if opts.DialTimeout == 0 || opts.DialTimeout > dialWithin {
		opts.DialTimeout = dialWithin
	}
	if opts.Compression == nil && u.Hostname() != "localhost" && !strings.HasPrefix(u.Hostname(), "127.") {
		opts.Compression = &clickhouse.Compression{Method: clickhouse.CompressionLZ4}
	}
	return opts, nil
}

// redact removes the password from a text.
func redact(text string, u *url.URL) string {
	text = strings.ReplaceAll(text, u.String(), u.Redacted())
	if password, ok := u.User.Password(); ok && password != "" {
		text = strings.ReplaceAll(text, password, "xxxxx")
	}
	return text
}

// createDatabase connects through the database system, because no connection to a missing database can be opened.
func createDatabase(ctx context.Context, opts clickhouse.Options) error {
	name := opts.Auth.Database
	opts.Auth.Database = "system"
	conn, err := clickhouse.Open(&opts)
	if err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	if err := conn.Exec(ctx, "CREATE DATABASE IF NOT EXISTS `"+name+"`"); err != nil {
		return errors.Join(fmt.Errorf("create database %s: %w", name, err), conn.Close())
	}
	return conn.Close()
}

// unreachable adds the cause and the next step to an error.
func (w *Warehouse) unreachable(err error) error {
	step := "start one with `ratchet up`, or set CLICKHOUSE_URL"
	switch code(err) {
	case codeAuthentication, codeUnknownUser:
		step = "CLICKHOUSE_URL must carry the right user and password"
	case codeUnknownDatabase:
		step = "create database " + w.database + ", or let CLICKHOUSE_URL name one that exists"
	case codeNone:
		if errors.Is(err, ErrNoDatabase) {
			return fmt.Errorf("open database %s of ClickHouse at %s: %w", w.database, w.address, err)
		}
		var dialing *net.OpError
		switch {
		case errors.As(err, &dialing) && dialing.Op == "dial":
			err = dialing // without the driver's own request around it
		case errors.Is(err, clickhouse.ErrAcquireConnTimeout), errors.Is(err, context.DeadlineExceeded):
			err, step = errSilent, "check what keeps it busy, or let CLICKHOUSE_URL name the right port"
		}
	default:
		step = "ask the server's operator"
	}
	return fmt.Errorf("open ClickHouse at %s: %w; %s", w.address, err, step)
}
