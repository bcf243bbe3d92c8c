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

// ordersAtOnce is how many orders are placed at the same time.
const ordersAtOnce = 16

// Order says that somebody is about to buy answers, so that another worker with
// the same ASIN or seller in hand does not buy them too: it comes back later and
// finds them stored. mine tells, in the order of the keys, which orders are ours;
// a key may be given once. Whoever ordered looks into RESPONSES again before
// paying, because the answer may have arrived between the look and the order.
//
// Nobody waits for an order. One whose worker died ends after life, machine time;
// done withdraws the others, and losing it costs a wait and no token.
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
				// It may have landed: then nobody buys this answer before its life ends.
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

// withdraw deletes our orders. What cannot be deleted ends by itself.
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
