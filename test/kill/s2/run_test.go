package s2_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline/sim/cluster"
)

// streams are the streams under test.
var streams = []string{"ONE", "TWO", "THREE"}

// run is one run on a cluster.
type run struct {
	t           *testing.T
	c           *cluster.Cluster
	compression jetstream.StoreCompression
	nc          *nats.Conn
	js          jetstream.JetStream

	publishers sync.WaitGroup
	mu         sync.Mutex
	acked      map[string]map[string]bool // by stream and Nats-Msg-Id
}

func newRun(t *testing.T, c *cluster.Cluster, compression jetstream.StoreCompression) (*run, error) {
	t.Helper()
	nc, err := nats.Connect(c.URL(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(2*time.Second))
	if err != nil {
		return nil, err
	}
	r := &run{t: t, c: c, compression: compression, nc: nc, js: js, acked: map[string]map[string]bool{}}
	for _, name := range streams {
		r.acked[name] = map[string]bool{}
		err := within(t.Context(), time.Minute, func(ctx context.Context) error {
			return again(ctx, func() error { _, err := js.CreateStream(ctx, r.config(name)); return err })
		})
		if err != nil {
			return nil, fmt.Errorf("create %s: %w", name, err)
		}
	}
	return r, nil
}

func (r *run) config(name string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: name, Subjects: []string{strings.ToLower(name) + ".>"}, Storage: jetstream.FileStorage, Replicas: replicas,
		Compression: r.compression, AllowDirect: true, MaxBytes: 4 << 30,
	}
}

// publish starts the publishers; they end with ctx.
func (r *run) publish(ctx context.Context) {
	for p := range publishers {
		r.publishers.Go(func() { r.publisher(ctx, p, streams[p%len(streams)]) })
	}
}

// publisher publishes one message after another, each until it is acknowledged.
func (r *run) publisher(ctx context.Context, p int, stream string) {
	rng := rand.New(rand.NewPCG(1, uint64(p)))
	for n := 0; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("%d-%d", p, n)
		m := nats.NewMsg(fmt.Sprintf("%s.%d", strings.ToLower(stream), p))
		m.Header.Set(jetstream.MsgIDHeader, id)
		m.Data = body(rng)
		for ctx.Err() == nil {
			bounded, cancel := context.WithTimeout(ctx, 2*time.Second)
			_, err := r.js.PublishMsg(bounded, m)
			cancel()
			if err == nil {
				r.mu.Lock()
				r.acked[stream][id] = true
				r.mu.Unlock()
				break
			}
			pause(ctx, 50*time.Millisecond)
		}
	}
}

// body is 2.5 to 6 kB that can be compressed, as our messages can.
func body(rng *rand.Rand) []byte {
	var b strings.Builder
	for size := 2500 + rng.IntN(3500); b.Len() < size; {
		fmt.Fprintf(&b, `{"asin":"%010d","price_cents":%d,"reason":"no profit at this price"},`, rng.IntN(1e9), rng.IntN(10_000))
	}
	return []byte(b.String())
}

// acknowledged is how many messages were acknowledged so far.
func (r *run) acknowledged() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, ids := range r.acked {
		n += len(ids)
	}
	return n
}

// count reads everything back and reports whether something is missing.
func (r *run) count(ctx context.Context) (lost bool, err error) {
	for _, name := range streams {
		ids, err := r.read(ctx, name)
		missing := 0
		for id := range r.acked[name] {
			if !ids[id] {
				missing++
			}
		}
		r.t.Logf("%-5s acknowledged %d, read back %d, missing %d (%v)", name, len(r.acked[name]), len(ids), missing, err)
		lost = lost || missing > 0
	}
	lines, err := r.c.Corrupt()
	r.t.Logf("%d lines of damage in the servers' logs: %q", len(lines), lines[:min(3, len(lines))])
	return lost || len(lines) > 0, err
}

// read returns the ids of a stream.
func (r *run) read(ctx context.Context, name string) (map[string]bool, error) {
	ids := map[string]bool{}
	return ids, within(ctx, 2*time.Minute, func(ctx context.Context) error {
		s, err := r.js.Stream(ctx, name)
		if err != nil {
			return err
		}
		c, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
		if err != nil {
			return err
		}
		it, err := c.Messages()
		if err != nil {
			return err
		}
		defer context.AfterFunc(ctx, it.Stop)()
		defer it.Stop()
		for at, last := uint64(0), s.CachedInfo().State.LastSeq; at < last; {
			m, err := it.Next()
			if err != nil {
				return errors.Join(context.Cause(ctx), err)
			}
			ids[m.Headers().Get(jetstream.MsgIDHeader)] = true
			meta, err := m.Metadata()
			if err != nil {
				return err
			}
			at = meta.Sequence.Stream
		}
		return nil
	})
}

// again retries what a forming cluster cannot do yet.
func again(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		pause(ctx, 200*time.Millisecond)
	}
}
