package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
)

// Read is one stored message.
type Read struct {
	Subject  string
	Sequence uint64
	StoredAt time.Time // machine time of the server
	Header   nats.Header
	Body     []byte
}

// ReadOf converts a delivered message to a stored one, with the number of messages still to come after it.
func ReadOf(m jetstream.Msg) (r Read, pending uint64, err error) {
	meta, err := m.Metadata()
	if err != nil {
		return r, 0, fmt.Errorf("read metadata: %w", err)
	}
	return Read{Subject: m.Subject(), Sequence: meta.Sequence.Stream, StoredAt: meta.Timestamp, Header: m.Headers(), Body: m.Data()}, meta.NumPending, nil
}

// Live reports whether the message is not of a replay.
func (r Read) Live() bool {
	run := r.Header.Get(pipeline.HeaderRunID)
	return run == "" || run == pipeline.RunLive
}

// Stored returns the message in the form that decoders use.
func (r Read) Stored() pipeline.Stored {
	return pipeline.Stored{Subject: r.Subject, Sequence: r.Sequence, StoredAt: r.StoredAt, Header: r.Header, Body: r.Body}
}

// FiltersAtOnce is how many subjects one consumer filters for.
const FiltersAtOnce = 500

// From selects the messages of a scan.
type From struct {
	Subjects []string  // filters; none means all
	Newest   bool      // only the newest message of each subject
	Sequence uint64    // first sequence; 0 means the first that is stored
	Headers  bool      // only headers: bodies are not transferred
	Since    time.Time // stored at or after this instant, machine time; where Sequence is 0
}

// Scan passes every message that the stream holds now to f, in order, and
// ends at the last of them; later arrivals are left for the next scan.
func (b *Bus) Scan(ctx context.Context, stream string, from From, f func(Read) error) error {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: from.Subjects, InactiveThreshold: time.Minute, HeadersOnly: from.Headers}
	switch {
	case from.Newest:
		cfg.DeliverPolicy = jetstream.DeliverLastPerSubjectPolicy
	case from.Sequence > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, from.Sequence
	case !from.Since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &from.Since
	default:
		cfg.DeliverPolicy = jetstream.DeliverAllPolicy
	}
	c, err := b.JS.OrderedConsumer(ctx, stream, cfg)
	if err != nil {
		return fmt.Errorf("scan %s: %w", stream, err)
	}
	info, err := c.Info(ctx)
	if err != nil {
		return fmt.Errorf("scan %s: %w", stream, err)
	}
	// An abandoned consumer would live for another minute, and repeated scans would fill the server
	// with them. Ordered consumers change their name when they recover, so the name is read at the end.
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = b.JS.DeleteConsumer(ctx, stream, c.CachedInfo().Name) // otherwise it expires
	}()
	if info.NumPending == 0 {
		return nil
	}
	it, err := c.Messages()
	if err != nil {
		return fmt.Errorf("scan %s: %w", stream, err)
	}
	defer it.Stop()
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	for left := info.NumPending; left > 0; left-- {
		m, err := it.Next()
		if err != nil {
			return errors.Join(ctx.Err(), fmt.Errorf("scan %s: %w", stream, err))
		}
		r, pending, err := ReadOf(m)
		if err != nil {
			return fmt.Errorf("scan %s: %w", stream, err)
		}
		if err := f(r); err != nil {
			return err
		}
		if pending == 0 {
			return nil
		}
	}
	return nil
}

// ScanJSON is Scan with the body decoded. A body that cannot be decoded is skipped, so
// that it does not hide the others; the consumer of the stream writes its dead letter.
func ScanJSON[T any](ctx context.Context, b *Bus, stream string, from From, f func(Read, T) error) error {
	return b.Scan(ctx, stream, from, func(r Read) error {
		var v T
		if json.Unmarshal(r.Body, &v) != nil {
			return nil
		}
		return f(r, v)
	})
}

// Waiting returns the number of messages that a durable has not delivered, and of those delivered and not settled.
func (b *Bus) Waiting(ctx context.Context, stream, durable string) (pending, unsettled int, err error) {
	c, err := b.JS.Consumer(ctx, stream, durable)
	if err != nil {
		return 0, 0, fmt.Errorf("read the state of consumer %s: %w", durable, err)
	}
	info := c.CachedInfo()
	return int(info.NumPending), info.NumAckPending, nil
}

// Held returns the number of messages in a stream.
func (b *Bus) Held(ctx context.Context, stream string) (uint64, error) {
	s, err := b.JS.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("read the state of %s: %w", stream, err)
	}
	return s.CachedInfo().State.Msgs, nil
}

// Settled returns the sequence up to which a durable has settled
// everything, and the stream's last. They are equal when no work is left.
func (b *Bus) Settled(ctx context.Context, stream, durable string) (settled, last uint64, err error) {
	if last, err = b.Last(ctx, stream); err != nil {
		return 0, 0, err
	}
	c, err := b.JS.Consumer(ctx, stream, durable)
	if err != nil {
		return 0, last, fmt.Errorf("read the state of consumer %s: %w", durable, err)
	}
	info := c.CachedInfo()
	if info.NumPending > 0 || info.NumAckPending > 0 {
		return info.AckFloor.Stream, last, nil
	}
	if info.Delivered.Stream < last {
		waits, err := b.undelivered(ctx, stream, info, last)
		if err != nil {
			return 0, last, fmt.Errorf("read what consumer %s was not delivered: %w", durable, err)
		}
		if waits {
			return info.AckFloor.Stream, last, nil
		}
	}
	return last, last, nil // also past messages that were deleted undelivered
}

// undelivered reports whether the stream holds a message up to last that a consumer was not delivered. The server
// counts what is pending a moment after it has acknowledged the publish, so a count of zero proves nothing.
func (b *Bus) undelivered(ctx context.Context, stream string, info *jetstream.ConsumerInfo, last uint64) (bool, error) {
	s, err := b.JS.Stream(ctx, stream)
	if err != nil {
		return false, err
	}
	filters := info.Config.FilterSubjects
	if len(filters) == 0 {
		filters = []string{cmp.Or(info.Config.FilterSubject, ">")}
	}
	for _, filter := range filters {
		m, err := s.GetMsg(ctx, info.Delivered.Stream+1, jetstream.WithGetMsgSubject(filter))
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return false, err
		}
		if err == nil && m.Sequence <= last {
			return true, nil
		}
	}
	return false, nil
}
