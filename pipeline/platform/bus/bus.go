// Package bus wraps NATS: connections, the topology, idempotent
// publishing, and cells that change by compare-and-swap.
//
// The package enforces three rules. A publish waits for the stream's acknowledgement and carries a
// Nats-Msg-Id, so a repeat is dropped. A cell changes only from the revision that was read; after a
// conflict, read and decide again. Nothing depends on a watch, or on an acknowledgement having arrived.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/platform/process"
)

// Config configures the connection to NATS.
type Config struct {
	// URL is the address of NATS, or several with commas.
	URL string `env:"URL, default=nats://127.0.0.1:4222"`
	// User names the role that connects, with NATS_PASSWORD.
	User string `env:"USER"`
	// Password belongs to NATS_USER; NATS_PASSWORD_FILE names a file that holds it.
	Password process.Secret `env:"PASSWORD"`
	// Creds names a credentials file.
	Creds string `env:"CREDS"`
	// NKey names a file that holds the seed of an NKEY.
	NKey string `env:"NKEY"`
	// CA names a file of certificates that sign the server's. Empty: those of the system.
	CA string `env:"CA"`
	// Cert names the client's certificate and enables TLS.
	Cert string `env:"CERT"`
	// Key names the file with the private key of NATS_CERT.
	Key string `env:"KEY"`
	// Wait bounds how long a starting daemon waits for NATS and the topology. 0: no limit.
	Wait time.Duration `env:"WAIT, default=0s"`
	// Replicas is the number of copies of each stream and bucket: 1
	// alone, 3 in a cluster. 0: as many as now, and 1 for a new one.
	Replicas int `env:"REPLICAS, default=0"`
	// MaxStore bounds the stored answers, in bytes; the oldest are deleted first. 0: no limit.
	MaxStore int64 `env:"MAX_RESPONSES, default=50000000000"`
	// MaxAge is how long an answer is kept. A deleted answer is paid for again and cannot be replayed. 0: no limit.
	MaxAge time.Duration `env:"RESPONSES_AGE, default=2160h"`
}

// Validate reports a variable that is wrong, by name.
func (c Config) Validate() error {
	if err := checkURL(c.URL); err != nil {
		return err
	}
	if err := c.checkIdentity(); err != nil {
		return err
	}
	if c.Wait < 0 {
		return fmt.Errorf("NATS_WAIT: want a duration, or 0s for as long as it takes, got %s", c.Wait)
	}
	if c.Replicas < 0 || c.Replicas > 5 {
		return fmt.Errorf("NATS_REPLICAS: want 1 to 5, or 0 for as many as now, got %d", c.Replicas)
	}
	if c.MaxStore < 1e6 && c.MaxStore != 0 {
		return fmt.Errorf("NATS_MAX_RESPONSES: want at least 1000000 bytes, or 0 for no limit, got %d", c.MaxStore)
	}
	if c.MaxAge < time.Hour && c.MaxAge != 0 {
		return fmt.Errorf("NATS_RESPONSES_AGE: want at least 1h, or 0 for no limit, got %s", c.MaxAge)
	}
	return nil
}

// checkURL rejects an address that no client could connect to. The error does not
// repeat the URL: it may hold a password, and what cannot be parsed cannot be redacted.
func checkURL(servers string) error {
	for one := range strings.SplitSeq(servers, ",") {
		if u, err := url.Parse(Schemed(one)); err != nil || u.Host == "" {
			return process.Usagef("NATS_URL: not an address; want nats://host:4222, nats://user:password@host:4222, or several with commas between")
		}
	}
	return nil
}

// Schemed adds the scheme, which may be missing, to an address.
func Schemed(address string) string {
	if address = strings.TrimSpace(address); !strings.Contains(address, "://") {
		return "nats://" + address
	}
	return address
}

// Bus is one daemon's connection to NATS.
type Bus struct {
	NC  *nats.Conn
	JS  jetstream.JetStream
	Log *slog.Logger

	cfg   Config
	wait  time.Duration // AckWait of the durables that this connection creates
	now   func() time.Time
	build string
	name  string
	plan  pipeline.Plan // with whose key this daemon spends
	plans plan.Map

	opts    []nats.Option // of the connection
	batches chan struct{} // one slot for each batch of stored messages in flight
	atomic  sendBatch
	hints   hints

	elections atomic.Pointer[election]
	stores    sync.Map // of jetstream.KeyValue by bucket
	opened    sync.Map // of jetstream.Stream by name
	lists     sync.Map // of recent by stream
	stuck     *stuck

	unguard context.CancelFunc
	guards  sync.WaitGroup
}

// ackWithin bounds every request to JetStream, so that a put to a dead server is retried instead of waited for. Where
// there are several servers, what was sent to a leader that is gone is lost, so it is repeated earlier.
const (
	ackWithin        = 5 * time.Second
	ackWithinCluster = 2 * time.Second
)

// several reports whether the client knows more than one server.
func several(nc *nats.Conn) bool { return len(nc.Servers()) > 1 }

// answer bounds a request on this connection.
func answer(nc *nats.Conn) time.Duration {
	if several(nc) {
		return ackWithinCluster
	}
	return ackWithin
}

// answerWithin bounds a request of this daemon.
func (b *Bus) answerWithin() time.Duration {
	if within := answer(b.NC); within != ackWithinCluster || !b.electing() {
		return within
	}
	return ackWithinElection
}

// electing reports whether peers may be electing a leader.
func (b *Bus) electing() bool { return several(b.NC) && b.elections.Load().electing(time.Now()) }

// unanswered notes that a request was not answered in time.
func (b *Bus) unanswered(err error) {
	if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, jetstream.ErrNoHeartbeat) {
		return
	}
	before := b.elections.Load()
	b.elections.CompareAndSwap(before, before.unanswered(time.Now()))
}

// A server that hangs is given up after two unanswered pings.
const (
	pingEvery   = 2 * time.Second
	pingsAtMost = 2
)

// Connect opens a connection named daemon@host.pid. It waits for a server until
// ctx ends and logs one line if it has to wait; a server that refuses the identity
// is an error at once. A server lost later is reconnected to without limit.
func Connect(ctx context.Context, cfg Config, env process.Env, name string) (*Bus, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	identity, err := cfg.identity(name)
	if err != nil {
		return nil, err
	}
	opts := slices.Concat(connection(env, name), identity, env.NATSOptions)
	if end, ok := ctx.Deadline(); ok { // a server that accepts connections and sends nothing must leave time for the others
		servers := strings.Count(cfg.URL, ",") + 1
		opts = append(opts, nats.Timeout(max(time.Millisecond, min(nats.DefaultTimeout, time.Until(end)/time.Duration(servers)))))
	}
	nc, err := connectWhenUp(ctx, cfg.URL, opts, env.Log)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS at %s: %w; start one with `ratchet up` or set NATS_URL", RedactURL(cfg.URL), err)
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(answer(nc)))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	wait := max(env.Clock.Machine(ackWaitPipeline), LeastAckWait)
	b := &Bus{
		NC: nc, JS: js, Log: env.Log, cfg: cfg, wait: wait, now: env.Now, build: env.Version, name: name, opts: opts,
		atomic: jetstreamext.PublishMsgBatch, batches: make(chan struct{}, batchesAtOnce), stuck: &stuck{after: stuckAfter},
	}
	nc.SetReconnectHandler(func(c *nats.Conn) {
		env.Log.Info("nats connection restored", "url", c.ConnectedUrlRedacted())
		b.hints.fire()
	})
	guarded, unguard := context.WithCancel(context.WithoutCancel(ctx))
	b.unguard = unguard
	b.guards.Go(func() { b.guard(guarded) })
	return b, nil
}

func connection(env process.Env, name string) []nats.Option {
	return []nats.Option{
		nats.Name(name + "@" + process.Instance()),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // a password that is being changed must not end a daemon
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 200*time.Millisecond),
		// Publishes during an outage fail at once. Buffered ones would be stored after their failure was reported.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(pingsAtMost),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				env.Log.Warn("nats connection lost, reconnecting", "err", err)
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { env.Log.Warn("nats client", "err", err) }),
	}
}

// connectWhenUp retries until a server answers or ctx ends.
func connectWhenUp(ctx context.Context, url string, opts []nats.Option, log *slog.Logger) (*nats.Conn, error) {
	for waiting := false; ; {
		nc, err := nats.Connect(url, opts...)
		switch {
		case err == nil:
			return nc, nil
		case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
			return nil, process.Usagef("the server refuses this identity: %w; set NATS_USER and NATS_PASSWORD_FILE, NATS_CREDS or NATS_NKEY; an embedded one without a password lets in the user that runs it", err)
		case !waiting && ctx.Err() == nil:
			waiting = true
			log.Warn("waiting for NATS", "url", RedactURL(url), "err", err)
		}
		if process.Sleep(ctx, 250*time.Millisecond) != nil {
			return nil, errors.Join(context.Cause(ctx), err)
		}
	}
}

// Abandon closes the connection at once, also where the server does not answer.
func (b *Bus) Abandon() {
	b.unguard()
	b.NC.Close()
}

// Close flushes and closes the connection.
func (b *Bus) Close() {
	b.unguard()
	b.guards.Wait()
	if err := b.NC.FlushTimeout(2 * time.Second); err != nil && !b.NC.IsClosed() {
		b.Log.Debug("nats flush at close", "err", err)
	}
	b.NC.Close()
}
