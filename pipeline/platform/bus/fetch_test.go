package bus_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/test/streams"
)

// late is a connection on which everything from the server arrives later.
type late struct {
	net.Conn
	by *atomic.Int64 // ns
}

func (c late) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	_ = process.Sleep(context.Background(), time.Duration(c.by.Load()))
	return n, err
}

// lateDialer dials connections that are late.
type lateDialer struct{ by *atomic.Int64 }

func (d lateDialer) Dial(network, address string) (net.Conn, error) {
	c, err := net.Dial(network, address)
	return late{c, d.by}, err
}

func TestWorkThatArrivesAfterTheWaitIsTakenAllTheSame(t *testing.T) {
	t.Parallel()
	env, srv := streams.Start(t, "127.0.0.1:0")
	streams.Connect(t, env)
	var by atomic.Int64
	env.NATSOptions = []nats.Option{nats.SetCustomDialer(lateDialer{&by})}
	b := dial(t, env, srv)
	if _, err := b.Publish(t.Context(), survivor(1, 1)); err != nil {
		t.Fatal(err)
	}
	in, err := b.Inlet(t.Context(), pipeline.StreamSurvivors, pipeline.DurablePeek(pipeline.SourceLive))
	if err != nil {
		t.Fatal(err)
	}
	by.Store(int64(300 * time.Millisecond))
	if items, err := in.Take(t.Context(), 100, 100*time.Millisecond); err != nil || len(items) != 1 {
		t.Errorf("%d items (%v), want the one that arrived late: it is not delivered again for minutes", len(items), err)
	}
}

func TestManyReadersOfLargeMessagesGetEachOfThem(t *testing.T) {
	t.Parallel()
	b := open(t)
	const stored = 128
	var ms []bus.Message
	for i := range stored {
		ms = append(ms, bus.Message{
			Subject: pipeline.SubjectResponse(1, pipeline.KindPeek, fmt.Sprintf("B%09d", i)), Schema: pipeline.SchemaResponse,
			ID: fmt.Sprint(i), Body: make([]byte, 100_000),
		})
	}
	if err := b.PublishAll(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	fetcher, err := b.Fetcher(t.Context(), pipeline.StreamResponses)
	if err != nil {
		t.Fatal(err)
	}
	var seqs []uint64
	for seq := range uint64(stored) {
		seqs = append(seqs, seq+1)
	}
	// A full connection makes the server end a batch before its first message.
	var readers errgroup.Group
	for range 12 {
		readers.Go(func() error {
			got, err := fetcher.Read(t.Context(), seqs)
			if err == nil && len(got) != stored {
				err = fmt.Errorf("%d of %d messages", len(got), stored)
			}
			return err
		})
	}
	if err := readers.Wait(); err != nil {
		t.Error(err)
	}
}
