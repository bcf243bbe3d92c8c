package shim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/ch-go/proto"

	"ratchet/pipeline/embedded/clickhouse/native"
)

// A Door lets clients of the native protocol in: clickhouse-client, and drivers by clickhouse://. Behind it they meet
// what HTTP's requests meet: the same users, places, sessions and refusals.
type Door struct {
	s       *Server
	version string
	ctx     context.Context // over when connections are cut
	cut     context.CancelFunc

	mu      sync.Mutex
	peers   map[*peer]bool // with a statement under way
	closing bool
	gone    sync.WaitGroup
}

// mostPeers is how many connections are open at once. Each costs little; a client that leaks them is told.
const mostPeers = 256

// Pauses after a client that could not be let in, doubled from the first to the last.
const (
	firstPause = 10 * time.Millisecond
	lastPause  = 5 * time.Second
)

// OpenDoor makes a door to the server's engine.
func (s *Server) OpenDoor() (*Door, error) {
	version, err := s.askAside("SELECT version()", "TabSeparatedRaw")
	if err != nil {
		return nil, fmt.Errorf("ask the engine's version: %w", err)
	}
	d := &Door{s: s, version: strings.TrimSpace(version), peers: map[*peer]bool{}}
	d.ctx, d.cut = context.WithCancel(context.Background())
	return d, nil
}

// Serve accepts clients until Close, after which it returns nil.
func (d *Door) Serve(l net.Listener) error {
	stop := context.AfterFunc(d.ctx, func() { _ = l.Close() }) // it may be closed already
	defer stop()
	pause := firstPause
	for {
		conn, err := l.Accept()
		switch {
		case d.isClosing():
			if err == nil {
				_ = conn.Close() // nobody was promised anything
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept native clients: %w", err)
		case err != nil:
			d.s.o.Log.Warn("native client not accepted", "err", err)
			time.Sleep(pause) // usually out of file descriptors, which may take a while
			pause = min(2*pause, lastPause)
			continue
		}
		pause = firstPause
		d.welcome(&patientConn{Conn: conn, sending: d.s.o.Silence})
	}
}

func (d *Door) isClosing() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closing
}

// welcome gives the client a goroutine, or says why not.
func (d *Door) welcome(conn *patientConn) {
	d.mu.Lock()
	if d.closing { // since it was accepted; Close no longer waits for it
		d.mu.Unlock()
		_ = conn.Close() // nobody was promised anything
		return
	}
	p := newPeer(d, conn)
	full := len(d.peers) >= mostPeers
	if !full {
		d.peers[p] = false
	}
	d.gone.Add(1)
	d.mu.Unlock()
	go func() {
		defer d.gone.Done()
		defer func() {
			d.mu.Lock()
			delete(d.peers, p)
			d.mu.Unlock()
			_ = conn.Close() // the client may have closed it first
		}()
		if full {
			p.refuse(refuse(tooManyQueries, "%d native connections are open already", mostPeers))
			return
		}
		p.live()
	}()
}

// busy marks a peer whose statement begins, or ends. It reports false if the peer should not go on.
func (d *Door) busy(p *peer, is bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.peers[p] = is
	return is || !d.closing
}

// Close lets no new client in, ends idle connections at once and the others after their statement; after drain, and a
// moment for what Server.Close killed to be told, all that are left. The listener is the one that Serve got, or nil.
func (d *Door) Close(ctx context.Context, l net.Listener, drain time.Duration) error {
	d.mu.Lock()
	d.closing = true
	for p, busy := range d.peers {
		if !busy {
			_ = p.conn.Close() // it waits for a packet that need not come
		}
	}
	d.mu.Unlock()
	if l != nil {
		_ = l.Close() // Serve returns
	}
	all := make(chan struct{})
	go func() { d.gone.Wait(); close(all) }()
	timer := time.NewTimer(drain + time.Second)
	defer timer.Stop()
	select {
	case <-all:
	case <-timer.C:
	case <-ctx.Done():
	}
	d.cut()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for native clients: %w", ctx.Err())
	}
}

// exception is an error as a packet.
func exception(b *proto.Buffer, err error) {
	var wrong *native.ProtocolError
	if errors.As(err, &wrong) {
		err = refuse(unexpectedPacket, "%s", wrong.Text)
	}
	code, text := codeOf(err)
	native.Exception(b, code, text)
}
