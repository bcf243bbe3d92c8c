package httpd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// execAside runs a statement in a session of its own.
func (s *Server) execAside(sql string) error {
	_, err := s.askAside(sql, "Null")
	return err
}

// askAside runs a query in a session of its own.
func (s *Server) askAside(sql, format string) (string, error) {
	c, err := s.o.Engine.Connect()
	if err != nil {
		return "", err
	}
	defer c.Close()
	b, _, err := c.Query(sql, format, nil)
	return string(b), err
}

// killWhenDone kills the statement of the request with the ID when its client has
// disconnected. The returned function ends the watch and returns once no kill is in progress.
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

// ErrHung means that the engine makes no progress. Only a new process helps.
var ErrHung = errors.New("the ClickHouse engine hangs")

// Patience configures the timeouts of the watch on the engine.
type Patience struct {
	Every  time.Duration // the interval of the checks
	Answer time.Duration // the timeout of an answer
	// Merge is how long a merge or a mutation may make no progress. A stalled one occupies its slot, and parts
	// accumulate until inserts are rejected; ClickHouse's issue 110772 reports merges of 26.6 that never end.
	Merge time.Duration
}

// merging is the query for background work: a name and, after a tab, its progress.
const merging = "SELECT database || '.' || table || ' ' || result_part_name, progress, rows_read, rows_written, bytes_written_uncompressed, columns_written FROM system.merges"

// Watch checks the engine regularly and returns ErrHung after a timeout; nil when ctx is done.
func (s *Server) Watch(ctx context.Context, p Patience) error {
	tick := time.NewTicker(p.Every)
	defer tick.Stop()
	seen := merges{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		report, err := s.look(ctx, p.Answer)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrHung):
			return err
		case err != nil:
			s.o.Log.Warn("engine answers with an error", "err", err)
			continue
		}
		var still string
		if seen, still = seen.next(report, time.Now(), p.Merge); still != "" {
			return fmt.Errorf("%w: the merge to %s has done nothing for %s", ErrHung, still, p.Merge)
		}
	}
}

// look queries the merges, and waits for the answer until ctx is done, but at most within: then it
// returns ErrHung. A call into an engine that hangs never returns, so its goroutine is abandoned.
func (s *Server) look(ctx context.Context, within time.Duration) (report string, err error) {
	answered := make(chan struct{})
	var answer string
	var fault error
	go func() {
		defer close(answered)
		answer, fault = s.askAside(merging, "TabSeparated")
	}()
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-answered:
		return answer, fault
	case <-timer.C:
		return "", fmt.Errorf("%w: no answer within %s", ErrHung, within)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// merges are those in progress, by name: the progress last seen, and since when it has not changed.
type merges map[string]struct {
	far   string
	since time.Time
}

// next returns the merges after another look, and the name of one without progress for the limit, if any.
func (m merges) next(report string, now time.Time, limit time.Duration) (after merges, still string) {
	after = merges{}
	for line := range strings.Lines(report) {
		name, far, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		one, known := m[name]
		if !known || one.far != far {
			one.far, one.since = far, now
		}
		after[name] = one
		if now.Sub(one.since) >= limit {
			still = name
		}
	}
	return after, still
}
