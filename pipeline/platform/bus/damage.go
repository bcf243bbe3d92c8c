package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// DamagedStream is the error for a stream or bucket that can be neither opened nor created.
type DamagedStream struct {
	Stream string
	Err    error
}

func (e *DamagedStream) Error() string { return fmt.Sprintf("ensure stream %s: %v", e.Stream, e.Err) }
func (e *DamagedStream) Unwrap() error { return e.Err }

// DamagedConsumer is the error for a consumer whose state the server has but cannot
// read. No request can remove it, because the server lists no such consumer.
type DamagedConsumer struct {
	Stream, Durable string
	Err             error
}

func (e *DamagedConsumer) Error() string {
	return fmt.Sprintf("ensure consumer %s on %s: its state cannot be read: %v; stop NATS, move the directory streams/%s/obs/%s of its store away and start it again: the consumer is recreated and repeats its work, which is paid for already",
		e.Durable, e.Stream, e.Err, e.Stream, e.Durable)
}
func (e *DamagedConsumer) Unwrap() error { return e.Err }

// The server's codes for what it cannot open, create or change in its store, and for limits that allow more than it may
// store.
const (
	badConsumerStore = 10012
	badStream        = 10049
	badStreamStore   = 10077
	badStreamUpdate  = 10069
	noStorage        = 10047
)

func damagedStore(err error) bool { return hasCode(err, badConsumerStore) }

func hasCode(err error, codes ...jetstream.ErrorCode) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && slices.Contains(codes, api.ErrorCode)
}

// streamError returns the error of a stream that could not be ensured. Only the store's own errors mean damage.
func streamError(stream string, err error) error {
	switch {
	case hasCode(err, badStream, badStreamStore, badStreamUpdate):
		return &DamagedStream{Stream: stream, Err: err}
	case hasCode(err, noStorage):
		return fmt.Errorf("ensure %s: %w: the limits of all streams together exceed what the server may store; raise its max_file_store, or lower NATS_MAX_RESPONSES", nameOf(stream), err)
	}
	return fmt.Errorf("ensure %s: %w", nameOf(stream), err)
}

// behind resets a consumer whose position is beyond the end of its stream. The
// stream has lost messages, and the consumer would skip what is stored next.
func (b *Bus) behind(ctx context.Context, d durable) error {
	c, err := b.JS.Consumer(ctx, d.stream, d.cfg.Durable)
	if err != nil {
		return err
	}
	info := c.CachedInfo()
	at := max(info.Delivered.Stream, info.AckFloor.Stream)
	// Read after the consumer, because it may deliver new messages in between.
	last, err := b.Last(ctx, d.stream)
	if err != nil || at <= last {
		return err
	}
	b.Log.Warn("a consumer is past the end of its stream, it is reset to the beginning", "consumer", d.cfg.Durable, "stream", d.stream,
		"at", at, "last", last)
	return b.Rewind(ctx, d.stream, d.cfg.Durable, 1)
}

// Rewind makes a consumer deliver again from a sequence. Work that was settled
// is decided again from stored answers and the SEEN bucket, and costs nothing.
func (b *Bus) Rewind(ctx context.Context, stream, durable string, sequence uint64) error {
	s, err := b.JS.Stream(ctx, stream)
	if err == nil {
		_, err = s.ResetConsumerToSequence(ctx, durable, sequence)
	}
	if err != nil {
		return fmt.Errorf("rewind %s on %s: %w", durable, stream, err)
	}
	return nil
}

// Raise makes an empty stream continue after a sequence that it had reached, so that none is used twice.
func (b *Bus) Raise(ctx context.Context, stream string, last uint64) error {
	s, err := b.JS.Stream(ctx, stream)
	if err == nil {
		err = s.Purge(ctx, jetstream.WithPurgeSequence(last+1))
	}
	if err != nil {
		return fmt.Errorf("raise %s to #%d: %w", stream, last, err)
	}
	return nil
}
