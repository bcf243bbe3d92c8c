// Package upgrade_test runs the daemons of an earlier build and of this one side by side, forth and back, under load.
//
//	old ──▶ old and new ──▶ new ──▶ new and old ──▶ old
//
// Every candidate is decided once, nothing is paid for twice, and neither build undoes the other's topology.
package upgrade_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/child"
	"ratchet/test/desk"
)

const (
	speed = 10
	rate  = 200 // tokens a minute: this test is about builds, not about thrift
	rows  = 400 // candidates of the backlog
)

func TestTwoBuildsWorkSideBySide(t *testing.T) {
	from := os.Getenv("RATCHET_UPGRADE")
	if from == "" {
		t.Skip("set RATCHET_UPGRADE to the commit to upgrade from; make upgrade")
	}
	w := newWorld(t, from)
	w.run(t, w.old, "topology", "apply")
	first := w.start(t, w.old)
	w.decided(t, rows/5)

	w.run(t, w.now, "topology", "apply")
	before := w.topology(t)
	second := w.start(t, w.now)
	w.decided(t, 2*rows/5)

	child.Stop(t, first...)
	w.decided(t, 3*rows/5)

	w.run(t, w.old, "topology", "apply")
	if after := w.topology(t); after != before {
		t.Errorf("the earlier build changes the topology from\n%s\nto\n%s", before, after)
	}
	third := w.start(t, w.old)
	w.decided(t, 4*rows/5)

	child.Stop(t, second...)
	w.decided(t, rows)
	child.Stop(t, third...)
	w.books(t)
}

// world is what both builds share.
type world struct {
	old, now string // the builds
	env      []string
	bus      *bus.Bus
	sim      *keepasim.Sim
	started  bool
}

func newWorld(t *testing.T, from string) *world {
	t.Helper()
	root := git(t, ".", "rev-parse", "--show-toplevel")
	tree := filepath.Join(t.TempDir(), "old")
	git(t, root, "worktree", "add", "--detach", tree, from)
	t.Cleanup(func() { git(t, root, "worktree", "remove", "--force", tree) })
	w := &world{old: build(t, tree), now: build(t, root)}
	t.Logf("from %s to %s", git(t, tree, "log", "-1", "--format=%h %s"), git(t, root, "log", "-1", "--format=%h %s"))

	clock := process.NewClock(desk.T0, speed)
	w.sim = keepasim.New(keepasim.Options{
		Now: clock.Now, After: clock.After, Seed: 1, Key: "a-key", Rate: rate, Balance: keepasim.FullBucket, Catalogue: keepasim.Backlog400(1),
	})
	keepa := httptest.NewServer(w.sim)
	t.Cleanup(keepa.Close)
	t.Cleanup(keepa.CloseClientConnections)
	url := launch(t, w.now, []string{"NATSD_DATA=" + t.TempDir()}, "daemon", "natsd").Await(t, `^nats://\S+`, time.Minute)
	w.env = append(clock.Environ(), "NATS_URL="+url, "KEEPA_URL="+keepa.URL, "KEEPA_API_KEY=a-key", "CLICKHOUSE_URL=none", "LOG_LEVEL=warn")
	var err error
	w.bus, err = bus.Connect(t.Context(), bus.Config{URL: url}, process.Env{Log: slog.New(slog.DiscardHandler), Clock: clock, Version: "test"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.bus.Close)
	return w
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "git", append([]string{"-C", dir}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// build builds the command of a tree.
func build(t *testing.T, tree string) string {
	t.Helper()
	to := t.TempDir()
	if err := child.Build(tree, to, "./cmd/ratchet"); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, "ratchet")
}

// launch starts a command of a build with a home of its own.
func launch(t *testing.T, build string, env []string, args ...string) *child.Child {
	t.Helper()
	return child.Start(t, child.Command(t, append([]string{"HOME=" + t.TempDir()}, env...), build, args...))
}

// run runs a command of a build to its end.
func (w *world) run(t *testing.T, build string, args ...string) {
	t.Helper()
	launch(t, build, w.env, args...).Done(t)
}

// start starts one of every daemon of a build.
func (w *world) start(t *testing.T, build string) (f []*child.Child) {
	t.Helper()
	for _, name := range []string{"tokend", "watermarker", "peeker", "committer"} {
		f = append(f, launch(t, build, w.env, "daemon", name))
	}
	if !w.started {
		w.sim.Start(desk.T0)
		w.started = true
	}
	return f
}

// decided waits until so many candidates have a final verdict.
func (w *world) decided(t *testing.T, n int) {
	t.Helper()
	got := 0
	desk.Await(t, "decisions", func() bool {
		sum, err := cli.ReadReport(t.Context(), w.bus)
		if err == nil {
			got = sum.Decided()
		}
		return got >= n
	})
	t.Logf("%d of %d decided", got, rows)
}

// topology is the configuration of all streams and consumers.
func (w *world) topology(t *testing.T) string {
	t.Helper()
	var out strings.Builder
	e := json.NewEncoder(&out)
	streams := w.bus.JS.ListStreams(t.Context())
	for info := range streams.Info() {
		_ = e.Encode(info.Config) // a builder takes all
		s, err := w.bus.JS.Stream(t.Context(), info.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		consumers := s.ListConsumers(t.Context())
		for c := range consumers.Info() {
			_ = e.Encode(c.Config)
		}
		if err := consumers.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := streams.Err(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// books compares what was decided with what Keepa charged.
func (w *world) books(t *testing.T) {
	t.Helper()
	sum, err := cli.ReadReport(t.Context(), w.bus)
	if err != nil {
		t.Fatal(err)
	}
	books := w.sim.Account()
	if sum.Decided() != rows || len(sum.Accepted()) != 20 {
		t.Errorf("decided %d and accepted %d, want %d and 20", sum.Decided(), len(sum.Accepted()), rows)
	}
	if again := books.Repeated(); len(again) > 0 {
		t.Errorf("paid again for %v", again)
	}
	if got, want := sum.Tokens()+sum.Drift(), books.Consumed(); got != want {
		t.Errorf("the ledger has %d tokens, Keepa's books %d", got, want)
	}
	desk.OneFinalEach(t, w.bus)

	if err := w.bus.Scan(t.Context(), pipeline.StreamDead, bus.From{}, func(r bus.Read) error {
		t.Errorf("a dead letter: %s", r.Body)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
