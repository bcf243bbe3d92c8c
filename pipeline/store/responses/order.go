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
	"ratchet/pipeline/platform/process"
)

// ordersAtOnce is how many orders are placed, renewed or withdrawn concurrently.
const ordersAtOnce = 16

// shortestOrder is the shortest life that NATS gives a key.
const shortestOrder = time.Second

// Order announces that a worker is about to buy answers, so that another one with the same ASIN or
// seller does not buy them too: its work is redelivered later and finds them stored. mine reports,
// in the order of the keys, which orders are ours; a key may be given once. After ordering, look
// into RESPONSES again before paying, because the answer may have been stored in between.
//
// No worker waits for an order. Ours are renewed until done, because an answer that came just before the claim's
// end has still to be stored; the order of a dead worker expires after life, machine time.
// done withdraws our orders; if that fails it costs other workers a wait and no token.
func Order(ctx context.Context, b *bus.Bus, domain int, kind pipeline.Kind, keys []string, life time.Duration) (mine []bool, done func(), err error) {
	kv, err := b.Store(ctx, pipeline.BucketOrders)
	if err != nil {
		return nil, nil, err
	}
	o := &orders{b: b, kv: kv, life: max(life, shortestOrder), keys: make([]string, len(keys)), revisions: make([]uint64, len(keys))}
	for i, key := range keys {
		o.keys[i] = pipeline.KeyOrder(domain, kind, key)
	}
	if err := o.place(ctx); err != nil {
		o.withdraw(ctx)
		return nil, nil, err
	}
	mine = make([]bool, len(keys))
	for i, r := range o.revisions {
		mine[i] = r > 0
	}
	return mine, o.keep(ctx), nil
}

// orders are the orders of one step.
type orders struct {
	b         *bus.Bus
	kv        jetstream.KeyValue
	life      time.Duration
	keys      []string // in ORDERS
	revisions []uint64 // of our orders; 0 for those of other workers
}

// place places many orders in one batch, and one by one if another worker has placed one of them or withdrew it a
// moment ago. Of a batch that was stored and reported lost, all count as another worker's until their life ends.
func (o *orders) place(ctx context.Context) error {
	if len(o.keys) >= bus.BatchLeast {
		all := make([]bus.Update, len(o.keys))
		for i, key := range o.keys {
			all[i] = bus.Update{Key: key, TTL: o.life}
		}
		revisions, err := o.b.UpdateAll(ctx, o.kv.Bucket(), all)
		if err == nil {
			o.revisions = revisions
			return nil
		}
	}
	var all errgroup.Group
	all.SetLimit(ordersAtOnce)
	for i, key := range o.keys {
		all.Go(func() (err error) {
			o.revisions[i], err = o.kv.Create(ctx, key, nil, jetstream.KeyTTL(o.life))
			if err != nil && !errors.Is(err, jetstream.ErrKeyExists) {
				// It may have been stored: then no worker buys this answer until it expires.
				return fmt.Errorf("order %s: %w", key, err)
			}
			return nil
		})
	}
	return all.Wait()
}

// keep renews our orders before they expire, until ctx ends or they are withdrawn.
func (o *orders) keep(ctx context.Context) (done func()) {
	kept, stop := context.WithCancel(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() {
		for process.Sleep(kept, o.life/3) == nil {
			o.each(func(i int) { o.renew(kept, i) })
		}
	})
	return func() {
		stop()
		renewing.Wait()
		o.withdraw(ctx)
	}
}

// renew extends an order that is still ours. One that cannot be renewed now is renewed the next time, or has expired.
func (o *orders) renew(ctx context.Context, i int) {
	rev, err := o.b.PutFor(ctx, o.kv.Bucket(), o.keys[i], nil, o.life, jetstream.WithExpectLastSequencePerSubject(o.revisions[i]))
	if err == nil {
		o.revisions[i] = rev
	}
}

// withdraw purges our orders: of one that is deleted the server stores another marker when its life ends. One that
// cannot be purged expires; one that expired may be another worker's by now.
func (o *orders) withdraw(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	var all []bus.Update
	for i, r := range o.revisions {
		if r > 0 {
			all = append(all, bus.Update{Key: o.keys[i], Rev: r, Purge: true})
		}
	}
	if len(all) >= bus.BatchLeast {
		if _, err := o.b.UpdateAll(ctx, o.kv.Bucket(), all); err == nil {
			return
		}
	}
	o.each(func(i int) { _ = o.kv.Purge(ctx, o.keys[i], jetstream.LastRevision(o.revisions[i])) }) // see above
}

// each calls f for all of our orders, some at once.
func (o *orders) each(f func(i int)) {
	var all errgroup.Group
	all.SetLimit(ordersAtOnce)
	for i, r := range o.revisions {
		if r > 0 {
			all.Go(func() error { f(i); return nil })
		}
	}
	_ = all.Wait() // f returns no error
}
