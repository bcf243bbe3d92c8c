// Package refresher keeps the stock of deals: it reads what was decided about them,
// offers them again, and publishes which are stale or expired, and why.
//
//	VERDICTS ─read─▶ STOCK (one key a deal) ─round─▶ verdict.*.list.*   (stale, expired)
//	                                           └───▶ candidate.*.refresh|repair.*
//	                                                 (acknowledged)  ─swap─▶ STOCK
//	ACTIONS ─the time of an ignore has ended─▶ action.*.lapse.*
//
// It spends no tokens: its offers pass glance and peek like all candidates, on lanes of their own. One instance
// leads and the others stand by. It runs beside the watermarker's reader, which may wait for tokens for hours.
package refresher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lmittmann/tint"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/worker"
)

// refresher is the leader's view of the stock.
type refresher struct {
	cfg    Config
	env    process.Env
	bus    *bus.Bus
	status *worker.Status
	lease  *bus.Lease

	checkpoint bus.Cell
	state      refresh.Checkpoint
	stored     refresh.Checkpoint // of state, the last that was read or stored
	stock      stock              // as in STOCK
	loaded     bool               // stock is what was read and written since
	seen       uint64             // sequence in the stream of STOCK up to which it was read
	own        uint64             // how many of the later messages are our own writes, which stock has
	last       *bus.Memo[uint64]  // the last sequence in that stream
	acted      *bus.Memo[uint64]  // and in ACTIONS
	stepped    time.Time          // pipeline time
	done       action.Record      // the user's actions
	doneTo     uint64             // sequence in ACTIONS up to which done is current
	actions    action.Rules       // those that hide deals
	shown      atomic.Pointer[refresh.Summary]
	bad        map[string]error // keys with unreadable values, which are left unchanged
}

// stepEvery is the interval of the steps, pipeline time.
const stepEvery = time.Minute

var (
	// errMoved means that another process changed the stock: it is read again.
	errMoved   = errors.New("the stock was changed by another refresher")
	errForeign = errors.New("it is not about the deal of its key")
)

// Run keeps the stock until ctx ends.
func Run(ctx context.Context, env process.Env, b *bus.Bus, cfg Config, status *worker.Status) error {
	k, err := open(ctx, env, b, cfg, status)
	if err != nil {
		return err
	}
	defer k.lease.Release()
	defer env.Health.Metrics().Add("stock", k.metrics)()
	pause := pauseOf(env)
	failed := process.Backoff{First: pause, Most: failedPauses * pause}
	for ctx.Err() == nil {
		leads, fresh, err := k.lease.Hold(ctx)
		if err == nil && !leads {
			k.shown.Store(nil)
		}
		if err == nil && leads {
			err = k.follow(ctx, fresh || !k.loaded)
		}
		if err == nil && leads && env.Now().Sub(k.stepped).Abs() >= stepEvery {
			err = k.step(ctx)
		}
		if err != nil && ctx.Err() == nil {
			k.loaded = false // the memory may differ from what is stored
			status.Failed(err)
			env.Log.Warn("step of the refresher failed, will retry", tint.Err(err))
			_ = failed.Sleep(ctx) // the loop looks at ctx
			continue
		}
		failed.Reset()
		_ = process.Sleep(ctx, pause) // the loop looks at ctx
	}
	return ctx.Err()
}

// failedPauses is how much longer a pause becomes after failures in a row: each of them reads the whole stock anew.
const failedPauses = 5

// pauseOf is stepEvery, but not so long that the lease expires.
func pauseOf(env process.Env) time.Duration {
	return min(max(env.Clock.Machine(stepEvery), 50*time.Millisecond), bus.LeaseTTL/20)
}

func open(ctx context.Context, env process.Env, b *bus.Bus, cfg Config, status *worker.Status) (*refresher, error) {
	kv, err := b.Store(ctx, pipeline.BucketStock)
	if err != nil {
		return nil, err
	}
	last := func(stream string) *bus.Memo[uint64] {
		return bus.NewMemo(env.Clock, func(ctx context.Context) (uint64, error) { return b.Last(ctx, stream) })
	}
	k := &refresher{
		cfg: cfg, env: env, bus: b, status: status, lease: bus.NewLease(b, pipeline.KeyRefresherLeader),
		checkpoint: bus.NewCell(kv, b.Own(pipeline.KeyCheckpoint)), stock: newStock(), last: last(stockStream), acted: last(pipeline.StreamActions),
	}
	for subject, forget := range map[string]func(){stockPrefix + ">": k.last.Forget, "action.>": k.acted.Forget} {
		if _, err := b.Hint(subject, forget); err != nil { // until the connection ends
			return nil, fmt.Errorf("listen to %s: %w", subject, err)
		}
	}
	return k, nil
}

// stockStream is the stream of STOCK; a key is the rest of a subject after stockPrefix.
var (
	stockStream = pipeline.BucketStream(pipeline.BucketStock)
	stockPrefix = pipeline.KeySubject(pipeline.BucketStock, "")
)

// follow reads the stock if it must, and otherwise what other processes have written to it: a value
// written by hand may be unreadable, which must be reported before the deal is due.
func (k *refresher) follow(ctx context.Context, must bool) error {
	last, err := k.last.Read(ctx)
	if err != nil {
		return err
	}
	must = must || last < k.seen // the stream was restored
	news, others := bus.From{Sequence: k.seen + 1}, last != k.seen+k.own
	k.seen, k.own = last, 0 // before the read: later writes are read again
	switch {
	case must:
		return k.load(ctx)
	case others:
		return k.read(ctx, news, k.stock, k.state)
	}
	return nil
}

// load reads the whole stock.
func (k *refresher) load(ctx context.Context) error {
	k.stored = refresh.Checkpoint{}
	return k.read(ctx, bus.From{Newest: true}, newStock(), refresh.Checkpoint{})
}

// read applies stored values to what is known of the stock. After an error it is unknown.
func (k *refresher) read(ctx context.Context, from bus.From, all stock, state refresh.Checkpoint) error {
	verdicts, err := k.verdicts(ctx)
	if err != nil {
		return err
	}
	bad := map[string]error{}
	if !from.Newest {
		maps.Copy(bad, k.bad) // until a message repairs them
	}
	err = k.bus.Scan(ctx, stockStream, from, func(r bus.Read) error {
		key := strings.TrimPrefix(r.Subject, stockPrefix)
		if key == k.checkpoint.Key() {
			state = readCheckpoint(r.Body, verdicts, k.env.Now())
			k.stored = state
			return nil
		}
		if another(k.bus, key) {
			return nil
		}
		delete(bad, key)
		if len(r.Body) == 0 { // deleted by hand
			all.drop(key)
			return nil
		}
		h, err := readHolding(key, r.Body, k.env.Now())
		if err != nil {
			bad[key] = &bus.BadCell{Bucket: pipeline.BucketStock, Key: key, Err: err}
			all.drop(key)
			return nil
		}
		all.read(key, h, r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the stock: %w", err)
	}
	k.stock, k.state, k.loaded = all, state, true
	k.reportUnreadable(bad)
	return nil
}

// another reports whether a key belongs to the refresher of another plan: its state, or a deal of its marketplaces.
func another(b *bus.Bus, key string) bool {
	if domain := pipeline.DomainOf(key); domain != 0 {
		return !b.Serves(domain)
	}
	return key == pipeline.KeyCheckpoint || strings.HasPrefix(key, pipeline.KeyCheckpoint+"_")
}

func readHolding(key string, raw []byte, now time.Time) (h refresh.Holding, err error) {
	if err := json.Unmarshal(raw, &h); err != nil {
		return h, err
	}
	if pipeline.KeySeen(h.Identity) != key {
		return h, errForeign
	}
	return h, h.Validate(now)
}

// readCheckpoint decodes the refresher's own state. If it is unreadable it starts afresh, and all verdicts are read
// again.
func readCheckpoint(raw []byte, verdicts bus.Span, now time.Time) (b refresh.Checkpoint) {
	if json.Unmarshal(raw, &b) != nil || !b.Valid(verdicts.Last, verdicts.Made, now) {
		return refresh.Checkpoint{}
	}
	return b
}

// verdicts returns the span of VERDICTS.
func (k *refresher) verdicts(ctx context.Context) (bus.Span, error) {
	return k.bus.Span(ctx, pipeline.StreamVerdicts)
}

// reportUnreadable logs which deals are not refreshed because their holding is unreadable.
func (k *refresher) reportUnreadable(bad map[string]error) {
	for key := range k.bad {
		if bad[key] == nil {
			k.status.Cell(key, nil)
		}
	}
	for key, err := range bad {
		k.status.Cell(key, err)
	}
	k.bad = bad
}

// step reads, decides, publishes, and only then stores. A crash
// between any two of these repeats them with the same effect.
func (k *refresher) step(ctx context.Context) error {
	now := k.env.Now()
	news, err := k.readVerdicts(ctx)
	if err != nil {
		return err
	}
	if news.more {
		return k.catchUp(ctx, news)
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
		rate = k.state.Rate // while the budget is unknown the last known plan is used
	}
	next.Rate, next.Cost = rate, news.cost
	next.Clock, next.Seq, next.Made = next.Tick(signs.Stalled(now), now), news.seq, news.made
	round := k.round(next, news.changed, now)
	if err := k.publish(ctx, round, now); err != nil {
		return err
	}
	if err := k.swap(ctx, round); err != nil {
		return err
	}
	next.Summary = k.cfg.plan(rate, next.Cost).Sum(k.stock.with(nil))
	if err := k.keep(ctx, next); err != nil {
		return err
	}
	k.stepped = now
	k.shown.Store(&next.Summary)
	return nil
}

// catchUp stores the effect of the verdicts that were read, and decides nothing:
// there are more, which the next step reads.
func (k *refresher) catchUp(ctx context.Context, news changes) error {
	if err := k.swap(ctx, round{store: news.changed}); err != nil {
		return err
	}
	next := k.state
	next.Seq, next.Made, next.Cost = news.seq, news.made, news.cost
	return k.keep(ctx, next)
}

// round is the result of one step: holdings to store, and what to publish first.
type round struct {
	refresh.Round
	gaveUp []refresh.Holding
	store  map[string]refresh.Holding
	aged   map[string]bool // keys that are rewritten although nothing changed
}

// round decides about the stock after the verdicts were applied, and rewrites what STOCK would soon drop.
func (k *refresher) round(c refresh.Checkpoint, news map[string]refresh.Holding, now time.Time) round {
	r := k.decide(c, news, now)
	for _, key := range k.stock.aged(process.MachineNow()) {
		if _, changed := r.store[key]; !changed {
			r.store[key], r.aged[key] = k.stock.holding(key), true
		}
	}
	return r
}

// decide decides which deals change their state, and which are offered.
func (k *refresher) decide(c refresh.Checkpoint, news map[string]refresh.Holding, now time.Time) round {
	r := round{store: maps.Clone(news), aged: map[string]bool{}}
	if c.Rate <= 0 {
		return r // the budget was never known, nor is what it can refresh
	}
	p := k.cfg.plan(c.Rate, c.Cost)
	all := k.worthAToken(k.stock.with(news))
	r.Round = p.Round(all, c.Clock, now)
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

// swap stores what changed. A holding that another refresher has changed is not written.
func (k *refresher) swap(ctx context.Context, r round) error {
	kv, err := k.bus.Store(ctx, pipeline.BucketStock)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(r.store)) {
		if k.bad[key] != nil {
			continue
		}
		if err := k.swapOne(ctx, bus.NewCell(kv, key), r.store[key], r.aged[key]); err != nil {
			return fmt.Errorf("store %s: %w", key, err)
		}
	}
	return nil
}

// swapOne stores a holding in the place of the one that was read, or the same once more if it is aged. It keeps the
// row, where the new one brings none.
func (k *refresher) swapOne(ctx context.Context, cell bus.Cell, h refresh.Holding, aged bool) error {
	raw, revision, err := cell.Read(ctx)
	if err != nil {
		return err
	}
	old, err := bus.Decode[refresh.Holding](cell, raw)
	if err != nil {
		return err
	}
	if h.Row == nil {
		h.Row = old.Row
	}
	if same(old, h) && !aged { // our own write, whose acknowledgement was lost
		k.stock.put(cell.Key(), h, revision)
		return nil
	}
	if revision != k.stock.revision(cell.Key()) {
		return errMoved
	}
	body, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if revision, err = cell.Swap(ctx, revision, body); err != nil {
		return err // it is read again, and decided again
	}
	k.stock.put(cell.Key(), h, revision)
	k.wrote()
	return nil
}

// same compares the stored fields of two holdings.
func same(a, b refresh.Holding) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// wrote counts our own writes. A write with a lost acknowledgement is not counted, so it is read.
func (k *refresher) wrote() {
	k.own++
	k.last.Forget()
}

// keep stores the refresher's own state, unless only its clock has run on: the position in VERDICTS, the clock, the
// sums.
func (k *refresher) keep(ctx context.Context, next refresh.Checkpoint) error {
	if !next.Differs(k.stored) {
		k.state = next
		return nil
	}
	verdicts, err := k.verdicts(ctx)
	if err != nil {
		return err
	}
	now := k.env.Now()
	_, err = bus.ChangeOwn(ctx, k.checkpoint, func(old refresh.Checkpoint) (refresh.Checkpoint, bool, error) {
		if old.Valid(verdicts.Last, verdicts.Made, now) && old.Made == next.Made && (old.Seq > next.Seq || old.At.After(next.At)) {
			return old, false, errMoved
		}
		return next, true, nil
	})
	if err != nil {
		return fmt.Errorf("store the state of the stock: %w", err)
	}
	k.wrote()
	k.state, k.stored = next, next
	return nil
}
