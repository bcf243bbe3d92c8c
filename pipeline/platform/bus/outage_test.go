package bus_test

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ratchet/test/streams"
)

// outageDialer dials, unless it is to refuse.
type outageDialer struct {
	refuse atomic.Int64 // the next connections
	last   atomic.Pointer[net.Conn]
}

func (d *outageDialer) Dial(network, address string) (net.Conn, error) {
	if d.refuse.Load() > 0 {
		d.refuse.Add(-1)
		return nil, errors.New("refused")
	}
	c, err := net.Dial(network, address)
	d.last.Store(&c)
	return c, err
}

func TestAConnectionIsRestoredAfterAnOutageOfAnyLength(t *testing.T) {
	t.Parallel()
	const attempts = 1000
	env, srv := streams.Start(t, "127.0.0.1:0")
	streams.Connect(t, env)
	d := &outageDialer{}
	env.NATSOptions = []nats.Option{nats.SetCustomDialer(d), nats.ReconnectWait(time.Microsecond), nats.ReconnectJitter(0, 0)}
	b := dial(t, env, srv)
	d.refuse.Store(attempts)
	if err := (*d.last.Load()).Close(); err != nil {
		t.Fatal(err)
	}
	until(t, "the connection is restored or given up", func() bool {
		return b.NC.IsClosed() || d.refuse.Load() == 0 && b.NC.IsConnected()
	})
	if _, err := b.Publish(t.Context(), survivor(1, 1)); err != nil {
		t.Errorf("after %d attempts nothing can be published: %v", attempts-d.refuse.Load(), err)
	}
}
