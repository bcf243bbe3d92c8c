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
	same func() error // checks for the same user, once
}

// ConnContext is for an http.Server: it adds the connection to the context of
// its requests. The owner is looked up by the first request that needs it.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, client{c, sync.OnceValue(func() error { return Same(c.LocalAddr(), c.RemoteAddr()) })})
}

// SameUser returns nil if the request's connection belongs to the same user.
func SameUser(ctx context.Context) error {
	if c, ok := ctx.Value(connKey{}).(client); ok {
		return c.same()
	}
	return &OtherUserError{UID: -1, Err: ErrUnknown}
}

// lookEvery is the interval at which the client's presence is checked.
const lookEvery = time.Second

// UntilLeft returns a request's context that ends when its client disconnects, or
// closes its half of the connection. The request's own context does not end if
// further data followed the request, because an http.Server then stops reading.
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
