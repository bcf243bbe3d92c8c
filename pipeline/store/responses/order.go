package responses

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

// ordersAtOnce is how many orders are placed concurrently.
const ordersAtOnce = 16

// Order announces that a worker is about to buy answers, so that another one with the same ASIN or
// seller does not buy them too: its work is redelivered later and finds them stored. mine reports,
// in the order of the keys, which orders are ours; a key may be given once. After ordering, look
// into RESPONSES again before paying, because the answer may have been stored in between.
//
// No worker waits for an order. The order of a dead worker expires after life, machine time.
// done withdraws our orders; if that fails it costs other workers a wait and no token.
func Order(ctx context.Context, b *bus.Bus, domain int, kind pipeline.Kind, keys []string, life time.Duration) (mine []bool, done func(), err error) {
	kv, err := b.Store(ctx, pipeline.BucketOrders)
	if err != nil {
		return nil, nil, err
	}
	mine = make([]bool, len(keys))
	done = func() { withdraw(ctx, kv, domain, kind, keys, mine) }
	var all errgroup.Group
	all.SetLimit(ordersAtOnce)
	for i, key := range keys {
		all.Go(func() error {
			_, err := kv.Create(ctx, pipeline.KeyOrder(domain, kind, key), nil, jetstream.KeyTTL(max(life, time.Second)))
			switch {
			case err == nil:
				mine[i] = true
			case !errors.Is(err, jetstream.ErrKeyExists):
				// It may have been stored: then no worker buys this answer until it expires.
				return fmt.Errorf("order %s of %s: %w", kind, key, err)
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		done()
		return nil, nil, err
	}
	return mine, done, nil
}

// withdraw deletes our orders. One that cannot be deleted expires.
func withdraw(ctx context.Context, kv jetstream.KeyValue, domain int, kind pipeline.Kind, keys []string, mine []bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	var all sync.WaitGroup
	slots := make(chan struct{}, ordersAtOnce)
	for i, key := range keys {
		if !mine[i] {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			_ = kv.Delete(ctx, pipeline.KeyOrder(domain, kind, key)) // see above
		})
	}
	all.Wait()
}
