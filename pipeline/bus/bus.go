// Package bus is the door to NATS: connections, the topology, publishing with an
// identity, and cells that change by compare-and-swap.
//
// Three rules hold here so that no daemon can forget them. A publish waits for
// the stream's acknowledgement and carries a Nats-Msg-Id, so a repeat is
// dropped. A cell changes only from the revision that was read; a conflict means
// read and decide again. Nothing rests on a watch or on an ack having landed.
package bus

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline/daemon"
)

// Config says where NATS is.
type Config struct {
	// URL is the address of NATS, or several with commas.
	URL string `env:"URL, default=nats://127.0.0.1:4222"`
	// Replicas is how many servers keep each stream and bucket: 1 alone, 3 in a cluster.
	Replicas int `env:"REPLICAS, default=1"`
	// MaxStore bounds the stored answers, in bytes; the oldest leave first. 0: no limit.
	MaxStore int64 `env:"MAX_RESPONSES, default=50000000000"`
	// MaxAge is how long an answer is kept. What has left is paid for again, and cannot be replayed. 0: no limit.
	MaxAge time.Duration `env:"RESPONSES_AGE, default=2160h"`
}

// Validate names the variable that is wrong.
func (c Config) Validate() error {
	if err := checkURL(c.URL); err != nil {
		return err
	}
	if c.Replicas < 1 || c.Replicas > 5 {
		return fmt.Errorf("NATS_REPLICAS: want 1 to 5, got %d", c.Replicas)
	}
	if c.MaxStore < 1e6 && c.MaxStore != 0 {
		return fmt.Errorf("NATS_MAX_RESPONSES: want at least 1000000 bytes, or 0 for no limit, got %d", c.MaxStore)
	}
	if c.MaxAge < time.Hour && c.MaxAge != 0 {
		return fmt.Errorf("NATS_RESPONSES_AGE: want at least 1h, or 0 for no limit, got %s", c.MaxAge)
	}
	return nil
}

// checkURL says what no client could connect to. It does not repeat the URL, which may hold a password that nobody finds
// in what cannot be read.
func checkURL(servers string) error {
	for one := range strings.SplitSeq(servers, ",") {
		if u, err := url.Parse(schemed(one)); err != nil || u.Host == "" {
			return daemon.Usagef("NATS_URL: not an address; want nats://host:4222, nats://user:password@host:4222, or several with commas between")
		}
	}
	return nil
}

// schemed is one address with its scheme, which clients may leave out.
func schemed(address string) string {
	if address = strings.TrimSpace(address); !strings.Contains(address, "://") {
		return "nats://" + address
	}
	return address
}

// Bus is one connection of one daemon.
type Bus struct {
	NC  *nats.Conn
	JS  jetstream.JetStream
	Log *slog.Logger

	cfg   Config
	wait  time.Duration // AckWait of the durables that this connection creates
	now   func() time.Time
	build string
	name  string

	batches chan struct{} // one for each batch of stored messages that is under way
}

// ackWithin bounds every request to JetStream, so that a put sent to a dead
// server is repeated instead of waited for.
const ackWithin = 5 * time.Second

// Connect opens a connection named daemon@host.pid. It does not wait for ever:
// an unreachable server is an error that says so; a server lost later is
// reconnected to without end.
func Connect(ctx context.Context, cfg Config, env daemon.Env, name string) (*Bus, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	opts := []nats.Option{
		nats.Name(name + "@" + daemon.Instance()),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 200*time.Millisecond),
		// Publishes during an outage fail at once. Buffered ones would land after
		// we had been told that they had not.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(10 * time.Second),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				env.Log.Warn("nats connection lost, reconnecting", "err", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) { env.Log.Info("nats connection restored", "url", c.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { env.Log.Warn("nats client", "err", err) }),
	}
	nc, err := connectWithin(ctx, cfg.URL, append(opts, env.NATSOptions...))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w; start one with `ratchet up` or set NATS_URL", RedactURL(cfg.URL), err)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(ackWithin))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	wait := max(env.Clock.Machine(ackWaitPipeline), ackWaitMachine)
	return &Bus{
		NC: nc, JS: js, Log: env.Log, cfg: cfg, wait: wait, now: env.Now, build: env.Version, name: name,
		batches: make(chan struct{}, batchesAtOnce),
	}, nil
}

// connectWithin tries for as long as a container next door may take to start.
func connectWithin(ctx context.Context, url string, opts []nats.Option) (*nats.Conn, error) {
	const patience = 15 * time.Second
	deadline := time.Now().Add(patience)
	for {
		nc, err := nats.Connect(url, opts...)
		if err == nil || time.Now().After(deadline) || ctx.Err() != nil {
			return nc, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// Close flushes and closes the connection.
func (b *Bus) Close() {
	if err := b.NC.FlushTimeout(2 * time.Second); err != nil && !b.NC.IsClosed() {
		b.Log.Debug("nats flush at close", "err", err)
	}
	b.NC.Close()
}
