package access

import (
	"context"
	"net"
	"sync"
	"time"
)

type connKey struct{}

// client is the other end of a connection.
type client struct {
	conn net.Conn
	same func() error // whether it is the same user's, looked up once
}

// ConnContext is for an http.Server: it keeps the connection, and whose it is, in its requests' context. That is looked up before
// the first request that asks.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, client{c, sync.OnceValue(func() error { return Same(c.LocalAddr(), c.RemoteAddr()) })})
}

// SameUser is nil if the request's connection is the same user's.
func SameUser(ctx context.Context) error {
	if c, ok := ctx.Value(connKey{}).(client); ok {
		return c.same()
	}
	return &OtherUserError{UID: -1, Err: ErrUnknown}
}

// lookEvery is how often it is looked whether a client is still there.
const lookEvery = time.Second

// UntilLeft is a request's context that ends when its client leaves, or closes its half of the connection. The request's own does
// not if something came behind the request: an http.Server reads no further then.
func UntilLeft(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if c, ok := ctx.Value(connKey{}).(client); ok {
		go func() {
			again := time.NewTicker(lookEvery)
			defer again.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-again.C:
					if left(c.conn) {
						cancel()
					}
				}
			}
		}()
	}
	return ctx, cancel
}
