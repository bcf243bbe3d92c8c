package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// SetClock gives a lease a machine clock of its own.
func (l *Lease) SetClock(now func() time.Time) { l.now = now }

// Deafen ends the lease's subscription, so that no question reaches it.
func (l *Lease) Deafen() error { return l.sub.Unsubscribe() }

// SetStuckAfter is how long a write may fail before that is logged.
func (b *Bus) SetStuckAfter(d time.Duration) { b.stuck.after = d }

// Between calls trip before each batch of a bus: what it returns is the outcome of one that was lost, or that landed.
func (b *Bus) Between(trip func(context.Context) (landed bool, lost error)) {
	send := b.atomic
	b.atomic = func(ctx context.Context, js jetstream.JetStream, ms []*nats.Msg, opts ...jetstreamext.PublishMsgBatchOpt) (*jetstreamext.BatchAck, error) {
		landed, lost := trip(ctx)
		if lost != nil && !landed {
			return nil, lost
		}
		ack, err := send(ctx, js, ms, opts...)
		if lost != nil && err == nil {
			return nil, lost
		}
		return ack, err
	}
}

// Transient reports whether a write may be repeated after an error.
var Transient = transient

// Undelivered reports whether a consumer with this state was not delivered something up to last.
func (b *Bus) Undelivered(ctx context.Context, stream string, info *jetstream.ConsumerInfo, last uint64) (bool, error) {
	return b.undelivered(ctx, stream, info, last)
}

// NotReady is what the probes answer about a daemon.
var NotReady = notReady
