// Command s2 shows whether streams survive kill -9 of their servers: three nats-servers, three streams with three
// copies each, sync_interval always, publishers, and one server after another killed and started again. At the end
// everything that was acknowledged is read back.
//
//	go run ./test/kill/s2                      # compressed: corrupt up to nats-server 2.15.3 at least
//	go run ./test/kill/s2 -compression none    # as our streams are: clean
//	go run ./test/kill/s2 -migrate             # compressed, then updated to none and each server restarted, then killed
//
// The servers are those of go.mod. To try a newer one:
//
//	cp go.mod /tmp/try.mod && cp go.sum /tmp/try.sum
//	go get -modfile=/tmp/try.mod github.com/nats-io/nats-server/v2@latest
//	go run -modfile=/tmp/try.mod ./test/kill/s2
//
// The exit code is 0 if nothing was lost, 1 if something was, 2 if it could not be tried.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline/sim/cluster"
)

// options are the flags.
type options struct {
	compression jetstream.StoreCompression
	replicas    int
	sync        string
	kills       int
	every       time.Duration
	publishers  int
	migrate     bool
	load        time.Duration
	dir         string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if config := os.Getenv(cluster.EnvConfig); config != "" {
		if err := cluster.Serve(ctx, config); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		return
	}
	lost, err := try(ctx)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case lost:
		os.Exit(1)
	}
}

func flags() (options, error) {
	var o options
	compression := flag.String("compression", "s2", "of the streams: s2 or none")
	flag.IntVar(&o.replicas, "replicas", 3, "copies of each stream")
	flag.StringVar(&o.sync, "sync", "always", "sync_interval of the servers")
	flag.IntVar(&o.kills, "kills", 6, "how often a server is killed, one after another")
	flag.DurationVar(&o.every, "every", 3*time.Second, "time between a start and the next kill")
	flag.IntVar(&o.publishers, "publishers", 9, "publishers, spread over the streams")
	flag.BoolVar(&o.migrate, "migrate", false, "before the kills, update the streams to no compression and restart each server in turn")
	flag.DurationVar(&o.load, "load", 15*time.Second, "how long is published before a migration")
	flag.StringVar(&o.dir, "dir", "", "keep stores and logs in this directory (default: a temporary one)")
	flag.Parse()
	switch *compression {
	case "s2":
		o.compression = jetstream.S2Compression
	case "none":
		o.compression = jetstream.NoCompression
	default:
		return o, fmt.Errorf("-compression: want s2 or none, got %q", *compression)
	}
	return o, nil
}

// try runs the cluster and the publishers, and reports whether something was lost.
func try(ctx context.Context) (lost bool, err error) {
	o, err := flags()
	if err != nil {
		return false, err
	}
	self, err := os.Executable()
	if err != nil {
		return false, err
	}
	dir := o.dir
	if dir == "" {
		if dir, err = os.MkdirTemp("", "ratchet-s2-"); err != nil {
			return false, err
		}
		defer func() { _ = os.RemoveAll(dir) }() // temporary
	}
	c, err := cluster.Start(cluster.Options{Dir: dir, Command: []string{self}, Sync: o.sync})
	if err != nil {
		return false, err
	}
	defer c.End()
	fmt.Printf("nats-server %s, sync_interval %s, %d replicas, compression %s, migrated %v\n", cluster.Version, o.sync, o.replicas, o.compression, o.migrate)
	if err := within(ctx, time.Minute, c.Ready); err != nil {
		return false, err
	}
	r, err := newRun(ctx, c, o)
	if err != nil {
		return false, err
	}
	defer r.nc.Close()
	return r.all(ctx)
}

// all is the run: load, migration, kills, and the count.
func (r *run) all(ctx context.Context) (bool, error) {
	publishing, stop := context.WithCancel(ctx)
	defer stop()
	r.publish(publishing)
	if r.o.migrate {
		pause(ctx, r.o.load)
		if err := r.migrate(ctx); err != nil {
			return false, err
		}
	}
	for n := range r.o.kills {
		pause(ctx, r.o.every)
		i := n % cluster.Size
		r.c.Kill(i)
		pause(ctx, time.Second)
		if err := r.c.Revive(i); err != nil {
			return false, err
		}
		if err := within(ctx, 10*time.Second, func(ctx context.Context) error { return r.c.Healthy(ctx, i) }); err != nil {
			fmt.Printf("kill %d: %v\n", n+1, err)
		}
	}
	pause(ctx, r.o.every)
	stop()
	r.publishers.Wait()
	if err := within(ctx, time.Minute, r.c.Ready); err != nil {
		fmt.Println(err)
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
	r.o.compression = jetstream.NoCompression
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
	fmt.Printf("migrated after %d acknowledged messages; %d of %d blocks on disk are compressed still\n", r.acknowledged(), compressed, all)
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

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
