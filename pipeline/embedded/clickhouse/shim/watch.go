package shim

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// execAside runs a statement in a session of its own.
func (s *Server) execAside(sql string) error {
	c, err := s.o.Engine.Connect()
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Exec(sql)
}

// killWhenDone kills the statement of the request with the id when its client has left. The returned
// function ends the watch and returns once no kill is under way.
func (s *Server) killWhenDone(ctx context.Context, id string) func() {
	over, ended := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		// The statement may not have begun yet, so one kill is not enough.
		again := time.NewTicker(50 * time.Millisecond)
		defer again.Stop()
		for {
			select {
			case <-over:
				return
			default:
			}
			if err := s.execAside("KILL QUERY WHERE Settings['" + marker + "'] = " + quote(id) + " ASYNC"); err != nil {
				s.o.Log.Warn("query of a departed client not killed", "err", err)
			}
			select {
			case <-over:
				return
			case <-again.C:
			}
		}
	})
	return func() {
		close(over)
		if !stop() {
			<-ended
		}
	}
}

// ErrHung means that the engine no longer answers. Only a new process helps.
var ErrHung = errors.New("the ClickHouse engine does not answer")

// Watch asks the engine for a sign of life every interval, and returns ErrHung when
// none comes within the limit; nil when ctx is done.
func (s *Server) Watch(ctx context.Context, interval, limit time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		alive := make(chan error, 1)
		go func() { alive <- s.execAside("SELECT 1") }()
		timer := time.NewTimer(limit)
		select {
		case err := <-alive:
			timer.Stop()
			if err != nil {
				s.o.Log.Warn("engine answers with an error", "err", err)
			}
		case <-timer.C:
			return fmt.Errorf("%w within %s", ErrHung, limit)
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}
