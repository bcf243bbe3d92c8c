package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
)

// sampleEvery is the watcher's interval, on the machine's clock: 3 s of pipeline time at speed 60.
const sampleEvery = 50 * time.Millisecond

// seen is the result of a watcher.
type seen struct {
	samples     []sample
	grantWrites int // of all stages together
	reaction    int // samples for which work may wait before expiry counts
}

// watcher samples a running box and counts its final verdicts.
type watcher struct {
	rig   *Rig
	mu    sync.Mutex
	final map[string]bool // Work-Ids
	seen  seen
	subs  []*nats.Subscription
	list  *discovery
	stop  chan struct{}
	done  sync.WaitGroup
}

func watch(ctx context.Context, r *Rig) (*watcher, error) {
	w := &watcher{rig: r, final: map[string]bool{}, stop: make(chan struct{}), list: newDiscovery(r)}
	// Live tails: one shows when to stop, the other counts. The other figures come from the streams.
	for subject, f := range map[string]nats.MsgHandler{
		"verdict.>": w.verdict, pipeline.KeySubject(pipeline.BucketTokens, "grant.>"): w.count, pipeline.KeySubject(pipeline.BucketWatermarks, ">"): w.list.observe,
	} {
		sub, err := r.Bus.NC.Subscribe(subject, f)
		if err != nil {
			return nil, err
		}
		w.subs = append(w.subs, sub)
	}
	w.done.Go(func() { w.run(ctx) })
	w.done.Go(func() { w.list.run(ctx, w.stop) })
	return w, nil
}

func (w *watcher) verdict(m *nats.Msg) {
	parts := strings.Split(m.Subject, ".")
	if len(parts) < 5 || parts[2] == string(pipeline.LookList) || !pipeline.Outcome(parts[3]).Final() {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.final[m.Header.Get(pipeline.HeaderWorkID)] = true
}

func (w *watcher) count(*nats.Msg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.grantWrites++
}

// recount reads the stream: a live tail misses messages while its server is down.
func (w *watcher) recount(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	sum, err := cli.ReadReport(ctx, w.rig.Bus)
	if err != nil {
		return // the next one sees it
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range sum.Final() {
		w.final[id] = true
	}
}

// decided returns how much work has ended.
func (w *watcher) decided() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.final)
}

func (w *watcher) run(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		waits, err := workWaits(ctx, w.rig.Bus, w.rig.Env.Now())
		if err != nil {
			continue // a failed read proves nothing
		}
		books := w.rig.Sim.Account()
		at := w.rig.Env.Now()
		w.mu.Lock()
		w.seen.samples = append(w.seen.samples, sample{
			at: at, waits: waits, balance: books.Balance, expired: books.Expired, consumed: books.Consumed(),
		})
		w.mu.Unlock()
	}
}

// end stops sampling and returns the result.
func (w *watcher) end() seen {
	close(w.stop)
	w.done.Wait()
	for _, sub := range w.subs {
		_ = sub.Unsubscribe() // the connection closes next
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

// workWaits reports whether spending is allowed and something is pending or
// unsettled on a paid durable, or a poll is due.
func workWaits(ctx context.Context, b *bus.Bus, now time.Time) (bool, error) {
	if spends, err := maySpend(ctx, b); !spends {
		return false, err
	}
	lanes, err := b.Backlogs(ctx, pipeline.StreamSurvivors)
	for _, l := range lanes {
		if l.Pending > 0 || l.Unsettled > 0 {
			return true, err
		}
	}
	if err != nil {
		return false, err
	}
	return pollDue(ctx, b, now)
}

// maySpend reports whether the operator's mode allows spending.
func maySpend(ctx context.Context, b *bus.Bus) (bool, error) {
	kv, err := b.Store(ctx, pipeline.BucketTokens)
	if err != nil {
		return false, err
	}
	e, err := kv.Get(ctx, pipeline.KeyMode)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	wish, err := token.ParseWish(e.Value())
	return wish == token.Run, err
}

func pollDue(ctx context.Context, b *bus.Bus, now time.Time) (bool, error) {
	kv, err := b.Store(ctx, pipeline.BucketWatermarks)
	if err != nil {
		return false, err
	}
	keys, err := bus.Keys(ctx, kv)
	if err != nil {
		return false, err
	}
	for _, k := range keys {
		e, err := kv.Get(ctx, k)
		if err != nil {
			continue // it changed or was deleted; the next look sees it
		}
		if due(e, now) {
			return true, nil
		}
	}
	return false, nil
}

func due(e jetstream.KeyValueEntry, now time.Time) bool {
	var v watermark.State
	return json.Unmarshal(e.Value(), &v) == nil && !v.NextPoll.IsZero() && !v.NextPoll.After(now)
}
