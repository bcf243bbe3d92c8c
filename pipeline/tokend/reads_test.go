package tokend

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// stalled is a bucket whose server lists no key before the caller's time is over.
type stalled struct{ jetstream.KeyValue }

// lister ends with its context, without an error, as the client library's does.
type lister chan string

func (stalled) ListKeys(ctx context.Context, _ ...jetstream.WatchOpt) (jetstream.KeyLister, error) {
	keys := make(lister)
	context.AfterFunc(ctx, func() { close(keys) })
	return keys, nil
}

func (l lister) Keys() <-chan string { return l }
func (l lister) Stop() error         { return nil }

func TestAListOfWatermarksThatEndsEarlyIsNotTakenForTheWhole(t *testing.T) {
	t.Parallel()
	d := &tokend{marks: stalled{}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if polls, err := d.readPolls(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("polls %v, %v", polls, err)
	}
}
