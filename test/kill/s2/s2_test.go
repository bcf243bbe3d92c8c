// Package s2_test shows whether streams survive kill -9 of their servers: three nats-servers, three streams with three
// copies each, sync_interval always, publishers, and one server after another killed and started again. At the end
// everything that was acknowledged is read back.
//
//	make s2
//
// The servers are those of go.mod. To try a newer one:
//
//	cp go.mod /tmp/try.mod && cp go.sum /tmp/try.sum
//	go get -modfile=/tmp/try.mod github.com/nats-io/nats-server/v2@latest
//	RATCHET_S2=1 go test -modfile=/tmp/try.mod -count=1 -v -timeout 20m ./test/kill/s2
package s2_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/cluster"
)

const (
	replicas   = 3
	publishers = 9
	kills      = 6                // one server after another
	every      = 3 * time.Second  // between a start and the next kill
	load       = 15 * time.Second // is published before a migration
)

// TestMain makes this binary, executed again, a server of the cluster.
func TestMain(m *testing.M) {
	config := os.Getenv(cluster.EnvConfig)
	if config == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := cluster.Serve(ctx, config); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2) //nolint:gocritic // the process ends
	}
}

func TestStreamsSurviveAKilledServer(t *testing.T) {
	if os.Getenv("RATCHET_S2") == "" {
		t.Skip("takes six minutes; RATCHET_S2=1 runs it")
	}
	t.Run("not compressed, as our streams are", func(t *testing.T) {
		if attempt(t, jetstream.NoCompression, false) {
			t.Error("something was lost")
		}
	})
	t.Run("compressed, then updated to no compression and each server restarted", func(t *testing.T) {
		if attempt(t, jetstream.S2Compression, true) {
			t.Error("something was lost")
		}
	})
	t.Run("compressed", func(t *testing.T) {
		if attempt(t, jetstream.S2Compression, false) {
			t.Log("the server corrupts them, as expected up to 2.15.3")
		}
	})
}

// attempt runs the cluster and the publishers, and reports whether something was lost.
func attempt(t *testing.T, compression jetstream.StoreCompression, migrate bool) bool {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Start(cluster.Options{Dir: t.TempDir(), Command: []string{self}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.End)
	t.Logf("nats-server %s, compression %s, migrated %v", cluster.Version, compression, migrate)
	if err := within(t.Context(), time.Minute, c.Ready); err != nil {
		t.Fatal(err)
	}
	r, err := newRun(t, c, compression)
	if err != nil {
		t.Fatal(err)
	}
	defer r.nc.Close()
	lost, err := r.all(t.Context(), migrate)
	if err != nil {
		t.Fatal(err)
	}
	return lost
}

// all is the run: load, migration, kills, and the count.
func (r *run) all(ctx context.Context, migrate bool) (bool, error) {
	publishing, stop := context.WithCancel(ctx)
	defer stop()
	r.publish(publishing)
	if migrate {
		pause(ctx, load)
		if err := r.migrate(ctx); err != nil {
			return false, err
		}
	}
	for n := range kills {
		pause(ctx, every)
		i := n % cluster.Size
		r.c.Kill(i)
		pause(ctx, time.Second)
		if err := r.c.Revive(i); err != nil {
			return false, err
		}
		if err := within(ctx, 10*time.Second, func(ctx context.Context) error { return r.c.Healthy(ctx, i) }); err != nil {
			r.t.Logf("kill %d: %v", n+1, err)
		}
	}
	pause(ctx, every)
	stop()
	r.publishers.Wait()
	if err := within(ctx, time.Minute, r.c.Ready); err != nil {
		r.t.Log(err)
	}
	return r.count(ctx)
}

// migrate does what the operator of an old cluster does.
func (r *run) migrate(ctx context.Context) error {
	for _, name := range streams {
		cfg := r.config(name)
		cfg.Compression = jetstream.NoCompression
		err := within(ctx, time.Minute, func(ctx context.Context) error {
			return again(ctx, func() error { _, err := r.js.UpdateStream(ctx, cfg); return err })
		})
		if err != nil {
			return err
		}
	}
	r.compression = jetstream.NoCompression
	for i := range cluster.Size {
		r.c.Stop(i)
		if err := r.c.Revive(i); err != nil {
			return err
		}
		if err := within(ctx, time.Minute, r.c.Ready); err != nil {
			return err
		}
	}
	compressed, all, err := r.blocks()
	r.t.Logf("migrated after %d acknowledged messages; %d of %d blocks on disk are compressed still", r.acknowledged(), compressed, all)
	return err
}

// blocks counts the files of messages, and those that are compressed.
func (r *run) blocks() (compressed, all int, err error) {
	for i := range cluster.Size {
		files, err := filepath.Glob(filepath.Join(r.c.Store(i), "jetstream", "*", "streams", "*", "msgs", "*.blk"))
		if err != nil {
			return 0, 0, err
		}
		for _, name := range files {
			body, err := os.ReadFile(name)
			if err != nil {
				continue // removed in the meantime
			}
			all++
			if len(body) > 3 && string(body[:3]) == "cmp" { // the server's header of a compressed block
				compressed++
			}
		}
	}
	return compressed, all, nil
}

func within(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return do(ctx)
}

// pause waits, or until ctx ends, which the callers check.
func pause(ctx context.Context, d time.Duration) { _ = process.Sleep(ctx, d) }
