// Package process is the process around a daemon: its environment,
// its two clocks, its logger, its signals and its exit code.
//
// Pipeline time comes only from Env.Now and Env.After; code that waits for NATS, HTTP or a disk uses machine time.
package process

import (
	"context"
	"log/slog"
	"os"
	"regexp"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline/platform/health"
	"ratchet/pipeline/platform/trace"
)

// Env is everything that a process gives its daemon.
type Env struct {
	Log     *slog.Logger
	Lookup  envconfig.Lookuper // the source of the configuration
	Clock   Clock              // pipeline time
	Version string             // the build, as in every message

	// NATSOptions are added to every connection; an in-process server needs some.
	NATSOptions []nats.Option
	// Check makes the daemon connect to its services, write nothing and return ErrChecked.
	Check bool
	// Health receives the daemon's readiness for the probes of an orchestrator; nil without probes.
	Health *health.Checks
	// Trace makes the daemon's spans; nil without traces.
	Trace *trace.Tracer
	// End ends the process as SIGTERM does; nil where other daemons run in it.
	End func()
	// Ready is called once the daemon has connected and is about to work; may be nil.
	Ready func()
}

// Now is pipeline time.
func (e Env) Now() time.Time { return e.Clock.Now() }

// After fires after d of pipeline time.
func (e Env) After(d time.Duration) <-chan time.Time { return e.Clock.After(d) }

// Sleep waits d of machine time, or until ctx ends, and then returns its error.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// A Hint wakes what waits for something that may have changed. It holds one wake, which covers later ones.
type Hint chan struct{}

// NewHint returns a hint that nobody has given yet.
func NewHint() Hint { return make(Hint, 1) }

// Give wakes the waiter, now or when it waits next. It never blocks.
func (h Hint) Give() {
	select {
	case h <- struct{}{}:
	default:
	}
}

// AnnounceReady calls Ready, if it is set.
func (e Env) AnnounceReady() {
	if e.Ready != nil {
		e.Ready()
	}
}

// Named returns the environment with the daemon's name on every log line.
func (e Env) Named(name string) Env {
	e.Log = e.Log.With("daemon", name)
	return e
}

// Instance distinguishes this process from others of the same daemon: host.pid, valid in a KV key.
func Instance() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	return keyToken(host) + "." + strconv.Itoa(os.Getpid())
}

// Version is the build as in every message: the release (v1.2.3) if the commit has such a tag, else the VCS
// revision if the build recorded one, else the module version or "dev".
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	return version(info)
}

var release = regexp.MustCompile(`^v\d+\.\d+\.\d+$`)

func version(info *debug.BuildInfo) string {
	if v := info.Main.Version; release.MatchString(v) && v != "v0.0.0" {
		return v
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
