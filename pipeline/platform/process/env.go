// Package process is the process around a daemon: its environment, its two
// clocks, its logger, its signals and its exit code.
//
// Pipeline time comes only from Env.Now and Env.After; what waits on NATS, HTTP
// or a disk uses the machine's time as usual.
package process

import (
	"context"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline/platform/health"
)

// Env is everything a daemon is given by its process.
type Env struct {
	Log     *slog.Logger
	Lookup  envconfig.Lookuper // where configuration is read from
	Clock   Clock              // pipeline time
	Version string             // the build, as every message carries it

	// NATSOptions are added to every connection: an in-process server's.
	NATSOptions []nats.Option
	// Check says that the daemon opens its doors, writes nothing and returns ErrChecked.
	Check bool
	// Health is where the daemon says whether it is ready, for the probes of an orchestrator; nil when nobody asks.
	Health *health.Checks
	// Ready is called once the daemon has opened its doors and is about to work;
	// nil when nobody asks.
	Ready func()
}

// Now is pipeline time.
func (e Env) Now() time.Time { return e.Clock.Now() }

// After fires after d of pipeline time.
func (e Env) After(d time.Duration) <-chan time.Time { return e.Clock.After(d) }

// Sleep waits d of pipeline time, or until ctx ends, whose error it returns.
func (e Env) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(e.Clock.Machine(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// AnnounceReady tells whoever started the daemon that it is about to work.
func (e Env) AnnounceReady() {
	if e.Ready != nil {
		e.Ready()
	}
}

// Named is the same environment with the daemon's name on every log line.
func (e Env) Named(name string) Env {
	e.Log = e.Log.With("daemon", name)
	return e
}

// Instance tells this process from others of the same daemon: host.pid, fit for
// a KV key.
func Instance() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	return keyToken(host) + "." + itoa(os.Getpid())
}

// Version is the build as every message carries it: the VCS revision where the
// build recorded one, else the module version or "dev".
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	rev, dirty := "", ""
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			rev = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+"
			}
		}
	}
	if len(rev) >= 12 {
		return rev[:12] + dirty
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	return "dev"
}

func keyToken(s string) string {
	out := []byte(s)
	for i, c := range out {
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
		if !ok {
			out[i] = '-'
		}
	}
	return string(out)
}
