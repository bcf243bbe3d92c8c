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

// A stream may be deleted and made anew while a recorder runs, and nobody tells it: the next fetch asks for a stream
// and a durable by their names, and succeeds. The new stream numbers its messages from 1 again, and an
// acknowledgement names a stream, a durable and a sequence. So messages that came of one stream and are recorded
// under the epoch of the other would be rows that are there already, and be lost; and one of the old stream, once
// stored, would settle the message of the new one that has its number now. Hence the epoch is looked at twice: after
// every take, and before anything is settled.

var errMadeAnew = errors.New("the stream was deleted and made anew")

// still says that the stream is the one of that epoch. Messages that were taken and may be another's are handed back:
// those of the new stream come again at once, and the old one has taken its own with it.
func (l *line[R]) still(ctx context.Context, epoch uint32, taken []jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := l.r.bus.JS.Stream(ctx, l.stream)
	if err == nil && bus.Made(s.CachedInfo()) != epoch {
		err = errMadeAnew
	}
	if err == nil {
		return nil
	}
	for _, m := range taken {
		_ = m.Nak() // unsaid, it comes after AckWait
	}
	return fmt.Errorf("look whether %s is the stream that it was: %w", l.stream, err)
}

// bind opens the durable and learns which stream of that name it belongs to.
func (l *line[R]) bind(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := l.r.bus.JS.Stream(ctx, l.stream)
	if err != nil {
		return fmt.Errorf("look at stream %s: %w", l.stream, err)
	}
	name := pipeline.DurableRecorder(l.stream)
	c, err := l.r.bus.JS.Consumer(ctx, l.stream, name)
	if err != nil {
		return fmt.Errorf("open consumer %s on %s: %w", name, l.stream, err)
	}
	l.durable, l.epoch = c, bus.Made(s.CachedInfo())
	return nil
}

// rebind opens the durable again: it, or its stream, may have been deleted and created again.
func (l *line[R]) rebind(ctx context.Context) {
	if err := l.bind(ctx); err != nil && ctx.Err() == nil {
		l.r.pulse.failed(err)
	}
}
