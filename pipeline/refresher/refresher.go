// Package refresher keeps the stock of deals: it hears what was decided about them,
// offers them again, and says what is stale or expired and why.
//
//	VERDICTS ─hear─▶ STOCK (one key a deal) ─round─▶ verdict.*.list.*   (stale, expired)
//	                                           └───▶ candidate.*.refresh|repair.*
//	                                                 (acknowledged)  ─swap─▶ STOCK
//	ACTIONS ─what is ignored, and its time is over─▶ action.*.lapse.*
//
// It spends nothing: what it offers passes glance and peek like everything else, on
// lanes of its own. One instance leads; others stand by. It runs beside the reader
// of the list, which waits for tokens for hours.
package refresher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lmittmann/tint"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/worker"
)

// keeper is the leader's view of the stock.
type keeper struct {
	cfg   Config
	env   process.Env
	bus   *bus.Bus
	pulse *worker.Pulse
	lease *bus.Lease

	books   bus.Cell
	state   refresh.Books
	all     map[string]refresh.Holding // by key; as STOCK holds them
	seen    uint64                     // sequence in the stream of STOCK up to which that is true
	stepped time.Time                  // pipeline time
	done    action.Record              // what the user did
	doneTo  uint64                     // sequence in ACTIONS up to which that is true
	actions action.Rules               // what of it hides deals
	shown   atomic.Pointer[refresh.Summary]
	bad     map[string]error // keys that cannot be read; they are left as they are
}

// stepEvery is how often the stock is looked through, in pipeline time.
const stepEvery = time.Minute

var (
	// errMoved means that somebody else changed the stock: it is read again.
	errMoved   = errors.New("the stock was changed by another keeper")
	errForeign = errors.New("it is not about the deal of its key")
)

// Run keeps the stock until ctx ends.
func Run(ctx context.Context, env process.Env, b *bus.Bus, cfg Config, pulse *worker.Pulse) error {
	k, err := open(ctx, env, b, cfg, pulse)
	if err != nil {
		return err
	}
	defer k.lease.Release()
	defer env.Health.Metrics().Add("stock", k.metrics)()
	for ctx.Err() == nil {
		leads, fresh, err := k.lease.Hold(ctx)
		if err == nil && !leads {
			k.shown.Store(nil)
		}
		if err == nil && leads {
			err = k.follow(ctx, fresh || k.all == nil || len(k.bad) > 0)
		}
		if err == nil && leads && env.Now().Sub(k.stepped) >= stepEvery {
			err = k.step(ctx)
		}
		if err != nil && ctx.Err() == nil {
			k.all = nil // what is in memory may not be what is stored
			pulse.Failed(err)
			env.Log.Warn("the stock could not be kept, will retry", tint.Err(err))
		}
		nap(ctx, env)
	}
	return ctx.Err()
}

// nap is a minute of pipeline time, but never so long that the lease is lost.
func nap(ctx context.Context, env process.Env) {
	t := time.NewTimer(min(max(env.Clock.Machine(stepEvery), 50*time.Millisecond), bus.LeaseTTL/5))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

func open(ctx context.Context, env process.Env, b *bus.Bus, cfg Config, pulse *worker.Pulse) (*keeper, error) {
	kv, err := b.Store(ctx, pipeline.BucketStock)
	if err != nil {
		return nil, err
	}
	return &keeper{
		cfg: cfg, env: env, bus: b, pulse: pulse, lease: bus.NewLease(b, pipeline.KeyKeeperLeader),
		books: bus.NewCell(kv, pipeline.KeyBooks),
	}, nil
}

// stockStream is the stream of STOCK.
const stockStream = "KV_" + pipeline.BucketStock

// follow reads the stock where it must be, or where somebody else has written to it: what they wrote may not be
// readable, and nobody would notice before that deal is due.
func (k *keeper) follow(ctx context.Context, must bool) error {
	last, err := k.bus.Last(ctx, stockStream)
	if err != nil {
		return err
	}
	if !must && last == k.seen {
		return nil
	}
	k.seen = last // before it is read: what is written meanwhile is read again
	return k.load(ctx)
}

// load reads the stock.
func (k *keeper) load(ctx context.Context) error {
	verdicts, err := k.verdicts(ctx)
	if err != nil {
		return err
	}
	all, state, bad := map[string]refresh.Holding{}, refresh.Books{}, map[string]error{}
	err = k.bus.Scan(ctx, stockStream, bus.From{Newest: true}, func(r bus.Read) error {
		key := r.Subject[len("$KV."+pipeline.BucketStock+"."):]
		switch {
		case len(r.Body) == 0:
			return nil // deleted by hand
		case key == pipeline.KeyBooks:
			state = readBooks(r.Body, verdicts, k.env.Now())
			return nil
		}
		h, err := readHolding(key, r.Body, k.env.Now())
		if err != nil {
			bad[key] = &bus.BadCell{Bucket: pipeline.BucketStock, Key: key, Err: err}
			return nil
		}
		all[key] = h
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the stock: %w", err)
	}
	k.all, k.state = all, state
	k.name(bad)
	return nil
}

func readHolding(key string, raw []byte, now time.Time) (h refresh.Holding, err error) {
	if err := json.Unmarshal(raw, &h); err != nil {
		return h, err
	}
	if pipeline.KeySeen(h.Identity) != key {
		return h, errForeign
	}
	return h, h.Possible(int64(keepa.FromTime(now)), now)
}

// readBooks are the books; those that cannot be read are ours alone: what was heard is heard again.
func readBooks(raw []byte, verdicts bus.Span, now time.Time) (b refresh.Books) {
	if json.Unmarshal(raw, &b) != nil || !b.Possible(verdicts.Last, verdicts.Made, now) {
		return refresh.Books{}
	}
	return b
}

// verdicts is what VERDICTS holds now.
func (k *keeper) verdicts(ctx context.Context) (bus.Span, error) {
	shelf, err := k.bus.Shelf(ctx, pipeline.StreamVerdicts)
	if err != nil {
		return bus.Span{}, err
	}
	return shelf.Span(ctx)
}

// name says which deals are not looked after because what is kept of them cannot be read.
func (k *keeper) name(bad map[string]error) {
	for key := range k.bad {
		if bad[key] == nil {
			k.pulse.Cell(key, nil)
		}
	}
	for key, err := range bad {
		k.pulse.Cell(key, err)
	}
	k.bad = bad
}

// step hears, decides, publishes, and only then stores. Dying between any two of
// these repeats them to the same effect.
func (k *keeper) step(ctx context.Context) error {
	now := k.env.Now()
	heard, err := k.hear(ctx)
	if err != nil {
		return err
	}
	signs, rate, err := k.signs(ctx)
	if err != nil {
		return err
	}
	if err := k.lapse(ctx); err != nil {
		return err
	}
	next := k.state
	if rate <= 0 {
		rate = k.state.Rate // a budget of which nothing is known just now: the plan is still the plan
	}
	next.Rate = rate
	next.Clock, next.Seq, next.Made = next.Tick(signs.Stalled(now), now), heard.seq, heard.made
	round := k.round(rate, next.Clock, heard.changed, now)
	if err := k.publish(ctx, round, now); err != nil {
		return err
	}
	if err := k.swap(ctx, round); err != nil {
		return err
	}
	next.Summary = k.cfg.plan(rate).Sum(slices.Collect(maps.Values(k.all)))
	if err := k.keep(ctx, next); err != nil {
		return err
	}
	k.stepped = now
	k.shown.Store(&next.Summary)
	return nil
}

// round is what one step is about: holdings to store, and what to publish before.
type round struct {
	refresh.Round
	gaveUp []refresh.Holding
	store  map[string]refresh.Holding
}

// round decides about the stock as it is after what was heard.
func (k *keeper) round(rate int, c refresh.Clock, heard map[string]refresh.Holding, now time.Time) round {
	r := round{store: maps.Clone(heard)}
	all := make([]refresh.Holding, 0, len(k.all)+len(heard))
	for _, key := range slices.Sorted(maps.Keys(k.all)) {
		if _, newer := heard[key]; !newer {
			all = append(all, k.all[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(heard)) {
		all = append(all, heard[key])
	}
	if rate <= 0 {
		return r // nothing was ever known of the budget: what it can refresh is unknown too
	}
	p := k.cfg.plan(rate)
	all = slices.DeleteFunc(all, func(h refresh.Holding) bool { return !k.watched(h) })
	r.Round = p.Round(all, c, now)
	for _, h := range r.Change {
		r.store[pipeline.KeySeen(h.Identity)] = h
	}
	for _, w := range r.Offer {
		r.store[pipeline.KeySeen(w.Holding.Identity)] = w.Holding
	}
	for _, h := range p.GiveUp(all, now) {
		if _, busy := r.store[pipeline.KeySeen(h.Identity)]; !busy {
			r.gaveUp = append(r.gaveUp, h)
			r.store[pipeline.KeySeen(h.Identity)] = h
		}
	}
	return r
}

// swap stores what changed. A holding that another keeper moved on is not written.
func (k *keeper) swap(ctx context.Context, r round) error {
	kv, err := k.bus.Store(ctx, pipeline.BucketStock)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(r.store)) {
		if k.bad[key] != nil {
			continue
		}
		was, h, wrote := k.all[key], r.store[key], false
		_, err := bus.Change(ctx, bus.NewCell(kv, key), func(old refresh.Holding) (refresh.Holding, bool, error) {
			switch {
			case same(old, h):
				return h, false, nil // our own write, whose answer was lost
			case !same(old, was):
				return old, false, errMoved
			}
			wrote = true
			return h, true, nil
		})
		if err != nil {
			return fmt.Errorf("store %s: %w", key, err)
		}
		k.all[key] = h
		k.wrote(wrote)
	}
	return nil
}

// same compares what is stored of two holdings.
func same(a, b refresh.Holding) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// wrote counts our own writes. One whose answer was lost is not counted, so the stock is read again.
func (k *keeper) wrote(landed bool) {
	if landed {
		k.seen++
	}
}

// keep stores the books: up to where verdicts were heard, the clock, the sums.
func (k *keeper) keep(ctx context.Context, next refresh.Books) error {
	verdicts, err := k.verdicts(ctx)
	if err != nil {
		return err
	}
	now := k.env.Now()
	_, err = bus.ChangeOwn(ctx, k.books, func(old refresh.Books) (refresh.Books, bool, error) {
		if old.Possible(verdicts.Last, verdicts.Made, now) && old.Made == next.Made && (old.Seq > next.Seq || old.At.After(next.At)) {
			return old, false, errMoved
		}
		return next, true, nil
	})
	if err != nil {
		return fmt.Errorf("store the books of the stock: %w", err)
	}
	k.wrote(true)
	k.state = next
	return nil
}
