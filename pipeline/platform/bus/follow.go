package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline/platform/process"
)

// followAgain is how long a follower waits after a failure before it retries.
const followAgain = time.Second

// Follow passes every message of the stream on one of the subjects (none: all) from a
// sequence on to f, in order, and waits for more until ctx ends or f fails. It affects no
// consumer. After an outage of the server it resumes behind the last message that f received.
func (b *Bus) Follow(ctx context.Context, stream string, from From, f func(Read) error) error {
	for next := max(1, from.Sequence); ; {
		err := b.follow(ctx, stream, from.Subjects, &next, f)
		var refused refusedError
		switch {
		case errors.As(err, &refused):
			return refused.error
		case ctx.Err() != nil:
			return nil
		}
		b.Log.Debug("follow again", "stream", stream, "from", next, "err", err)
		if process.Sleep(ctx, followAgain) != nil {
			return nil
		}
	}
}

// refusedError wraps an error of f, which ends Follow.
type refusedError struct{ error }

// follow reads until something fails; next is where to resume.
func (b *Bus) follow(ctx context.Context, stream string, subjects []string, next *uint64, f func(Read) error) error {
	c, err := b.JS.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: subjects, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: *next, InactiveThreshold: time.Minute,
	})
	if err != nil {
		return fmt.Errorf("follow %s: %w", stream, err)
	}
	it, err := c.Messages()
	if err != nil {
		return fmt.Errorf("follow %s: %w", stream, err)
	}
	defer it.Stop()
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	for {
		m, err := it.Next()
		if err != nil {
			return fmt.Errorf("follow %s: %w", stream, err)
		}
		r, _, err := ReadOf(m)
		if err != nil {
			return fmt.Errorf("follow %s: %w", stream, err)
		}
		if err := f(r); err != nil {
			return refusedError{err}
		}
		*next = r.Sequence + 1
	}
}

// Last returns the sequence of the newest message of a stream; 0 if there is none.
func (b *Bus) Last(ctx context.Context, stream string) (uint64, error) {
	s, err := b.JS.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("read the state of %s: %w", stream, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}
