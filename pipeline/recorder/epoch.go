package recorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

// A stream may be deleted and recreated while a recorder runs, without a notification: the next
// fetch uses the names of the stream and the durable, and succeeds. The new stream numbers its
// messages from 1 again, and an acknowledgement carries a stream, a durable and a sequence. Messages
// of one stream recorded under the epoch of the other would look like rows that are stored already,
// and be lost; and settling a message of the old stream would settle the one with its number in the
// new stream. Hence the epoch is checked twice: after every take, and before anything is settled.

var errRecreated = errors.New("the stream was deleted and recreated")

// checkEpoch returns an error unless the stream still has that epoch. Messages
// that were taken and may belong to another stream are returned: those of the
// new stream are redelivered at once, and those of the old one are gone with it.
func (l *streamRecorder[R]) checkEpoch(ctx context.Context, epoch uint32, taken []jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := l.r.bus.JS.Stream(ctx, l.stream)
	if err == nil && bus.Made(s.CachedInfo()) != epoch {
		err = errRecreated
	}
	if err == nil {
		return nil
	}
	for _, m := range taken {
		_ = m.Nak() // if this is lost, it is redelivered after AckWait
	}
	return fmt.Errorf("check that %s is still the same stream: %w", l.stream, err)
}

// bind opens the durable and reads the epoch of its stream.
func (l *streamRecorder[R]) bind(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := l.r.bus.JS.Stream(ctx, l.stream)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", l.stream, err)
	}
	name := pipeline.DurableRecorder(l.stream)
	c, err := l.r.bus.JS.Consumer(ctx, l.stream, name)
	if err != nil {
		return fmt.Errorf("open consumer %s on %s: %w", name, l.stream, err)
	}
	l.durable, l.epoch, l.subject = c, bus.Made(s.CachedInfo()), s.CachedInfo().Config.Subjects[0]
	return nil
}

// rebind opens the durable again, because it or its stream may have been recreated.
func (l *streamRecorder[R]) rebind(ctx context.Context) {
	if err := l.bind(ctx); err != nil && ctx.Err() == nil {
		l.r.pulse.failed(err)
	}
}
