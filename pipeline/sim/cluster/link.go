package cluster

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// link is a TCP proxy in front of the route of one server, for one of its peers.
type link struct {
	from, to int
	target   string // host:port
	l        net.Listener

	mu    sync.Mutex
	open  chan struct{} // closed while bytes pass
	conns []net.Conn
	ended bool
}

func newLink(from, to int, target string) (*link, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for a route: %w", err)
	}
	k := &link{from: from, to: to, target: target, l: l, open: make(chan struct{})}
	close(k.open)
	go k.accept()
	return k, nil
}

// Addr is where the peer connects to.
func (k *link) Addr() string { return k.l.Addr().String() }

func (k *link) accept() {
	for {
		a, err := k.l.Accept()
		if err != nil {
			return
		}
		go k.forward(a)
	}
}

// forward connects the two sides; each direction ends both.
func (k *link) forward(a net.Conn) {
	k.wait()
	b, err := net.Dial("tcp", k.target) //nolint:noctx // on this machine
	if err != nil || !k.keep(a, b) {
		_ = a.Close() // nothing was sent
		return
	}
	for _, way := range [][2]net.Conn{{a, b}, {b, a}} {
		go func() {
			_, _ = io.Copy(way[1], gate{k, way[0]}) // a server that dies breaks the connection
			_, _ = a.Close(), b.Close()
		}()
	}
}

// gate is a connection whose bytes wait while the link is cut.
type gate struct {
	k    *link
	from net.Conn
}

// Read implements io.Reader.
func (g gate) Read(b []byte) (int, error) {
	n, err := g.from.Read(b)
	g.k.wait()
	return n, err
}

// wait returns when bytes pass.
func (k *link) wait() {
	k.mu.Lock()
	open := k.open
	k.mu.Unlock()
	<-open
}

func (k *link) keep(conns ...net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ended {
		k.conns = append(k.conns, conns...)
	}
	return !k.ended
}

// cut stops or resumes the flow of bytes.
func (k *link) cut(cut bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	passing := false
	select {
	case <-k.open:
		passing = true
	default:
	}
	switch {
	case cut && passing && !k.ended:
		k.open = make(chan struct{})
	case !cut && !passing:
		close(k.open)
	}
}

func (k *link) close() {
	_ = k.l.Close() // nothing can be done about it
	k.mu.Lock()
	k.ended = true
	for _, c := range k.conns {
		_ = c.Close()
	}
	k.mu.Unlock()
	k.cut(false)
}
