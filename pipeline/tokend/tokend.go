// Package tokend is the sole issuer of tokens: it knows the balance, divides it
// among the stages, publishes grants and reaps dead claims.
//
//	/token, closes ──▶ bucket ─┐
//	consumers, polls ─▶ demand ┼─▶ Plan (pure) ─▶ grant.STAGE (compare-and-swap)
//	grants ────────────────────┘                  balance, LEDGER
//
// Two instances are safe: a lease elects one, and an epoch in every grant fences
// off the other. Nothing here waits without a bound.
package tokend

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/lmittmann/tint"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/gateway"
	"ratchet/pipeline/stall"
	"ratchet/pipeline/token"
)

// Run issues tokens until ctx ends.
func Run(ctx context.Context, env daemon.Env) error {
	cfg, err := daemon.Load[Config](ctx, env.Lookup)
	if err != nil {
		return err
	}
	b, err := bus.Open(ctx, cfg.NATS, env, "tokend")
	if err != nil {
		return err
	}
	defer b.Close()
	g, err := gateway.New(cfg.Keepa, env)
	if err != nil {
		return err
	}
	t, err := open(ctx, env, b, g, cfg)
	if err != nil {
		return err
	}
	stop, err := bus.StartService(ctx, b, env, "tokend", t.heartbeat)
	if err != nil {
		return err
	}
	defer stop()
	return t.run(ctx)
}

// tokend is the loop's state. Only the loop's goroutine touches it, but for beat
// and hint.
type tokend struct {
	cfg   Config
	env   daemon.Env
	bus   *bus.Bus
	keepa *gateway.Gateway
	kv    jetstream.KeyValue
	marks jetstream.KeyValue
	lease *bus.Lease
	hint  chan struct{}

	epoch  uint64 // 0 while somebody else leads
	grants map[pipeline.Stage]token.Grant
	pos    token.Position
	seen   map[string]time.Time // open claims, by id: when this process first saw them, machine time
	demand demand
	probe  probe
	rules  token.Rules
	phase  token.Phase
	books  Books
	state  State     // as last written
	wrote  time.Time // machine time of that
	forced bool      // write the next state although it looks the same
	untold bool      // the ledger may not have the line about the state
	note   string
	short  bool // somebody waits for the balance to grow
	// stopped is the note on kinds that broke their ceiling; alarmed are the prices
	// that were told of.
	stopped string
	alarmed map[pipeline.Kind]int
	ready   bool
	moaned  string // the last failure that was logged
	// wish is the operator's last that could be read; denied says why a newer one does not hold.
	wish   token.Wish
	denied string
	reopen bool        // a grant was rebuilt, so the books begin again
	watch  stall.Watch // of turns that succeed

	mu   sync.Mutex
	beat pipeline.Heartbeat
}

func open(ctx context.Context, env daemon.Env, b *bus.Bus, g *gateway.Gateway, cfg Config) (*tokend, error) {
	kv, err := b.Store(ctx, pipeline.BucketTokens)
	if err != nil {
		return nil, err
	}
	marks, err := b.Store(ctx, pipeline.BucketWatermarks)
	if err != nil {
		return nil, err
	}
	t := &tokend{
		cfg: cfg, env: env, bus: b, keepa: g, kv: kv, marks: marks, hint: make(chan struct{}, 1),
		lease: bus.NewLease(b, pipeline.KeyLeader), alarmed: map[pipeline.Kind]int{},
	}
	return t, t.listen()
}

// readable is when a write that was heard is looked at again: a subscriber hears it
// before the stream has stored it.
const readable = 5 * time.Millisecond

// listen turns every write that may matter into a hint. It hears the publishes
// themselves: a watcher of a bucket would be deaf for seconds after a restart of
// the server. A hint that is lost costs a quarter of a second.
func (t *tokend) listen() error {
	hint := func() {
		select {
		case t.hint <- struct{}{}:
		default:
		}
	}
	poke := func(*nats.Msg) {
		hint()
		time.AfterFunc(readable, hint)
	}
	dirty := func(m *nats.Msg) {
		t.demand.dirty.Store(true)
		poke(m)
	}
	tokens := "$KV." + pipeline.BucketTokens + "."
	for subject, f := range map[string]nats.MsgHandler{
		tokens + "grant.>": poke, tokens + pipeline.KeyMode: poke, tokens + pipeline.KeyPolicy: poke,
		"$KV." + pipeline.BucketWatermarks + ".>": dirty, "survivor.>": dirty,
	} {
		if _, err := t.bus.NC.Subscribe(subject, f); err != nil {
			return fmt.Errorf("listen to %s: %w", subject, err)
		}
	}
	return nil
}

// run is the loop: lead or stand by, then turn.
func (t *tokend) run(ctx context.Context) error {
	defer t.lease.Release()
	for ctx.Err() == nil {
		pause, err := t.turn(ctx)
		if err != nil && ctx.Err() == nil {
			t.moan(err)
			pause = 250 * time.Millisecond
		}
		timer := time.NewTimer(pause)
		hint := t.hint
		if t.epoch == 0 || err != nil {
			hint = nil // a standby has nothing to hurry for
		}
		select {
		case <-ctx.Done():
		case <-hint:
		case <-timer.C:
		}
		timer.Stop()
	}
	return ctx.Err()
}

// moan logs a failure once, not at every turn that repeats it.
func (t *tokend) moan(err error) {
	t.tell(func(h *pipeline.Heartbeat) {
		h.LastError = err.Error()
		h.Counters = counted(h.Counters, "failed_turns")
	})
	t.standstill(err)
	if err.Error() != t.moaned {
		t.moaned = err.Error()
		t.env.Log.Warn("turn failed, will retry", tint.Err(err))
	}
}

// standstill says in the heartbeat that turns fail: at once where a key cannot be read, after a while
// for any other reason.
func (t *tokend) standstill(err error) {
	now := t.env.Now()
	t.watch = t.watch.See(stall.Sight{Work: true, Tokens: true, Wish: true}, now)
	d := t.watch.Stuck(now)
	if d == 0 && !badCell(err) {
		return
	}
	t.tell(func(h *pipeline.Heartbeat) { h.State, h.Stuck = "stuck", "no turn succeeds: "+err.Error() })
}

// turned says that a turn succeeded.
func (t *tokend) turned() {
	t.watch = t.watch.Step()
	t.moaned = ""
	t.tell(func(h *pipeline.Heartbeat) { h.Stuck = "" })
}

// turn is one step: it returns how long nothing is due, on the machine's clock.
func (t *tokend) turn(ctx context.Context) (time.Duration, error) {
	leads, fresh, err := t.lease.Hold(ctx)
	if err != nil {
		return 0, err
	}
	if !leads {
		t.epoch = 0
		t.tell(func(h *pipeline.Heartbeat) { h.State = "standby" })
		t.announce()
		return time.Second, nil
	}
	if fresh || t.epoch == 0 {
		if err := t.takeOver(ctx); err != nil {
			return 0, t.fenced(err)
		}
	}
	pause, err := t.lead(ctx)
	return pause, t.fenced(err)
}

// lead is the turn of the one who leads: learn, decide, write.
func (t *tokend) lead(ctx context.Context) (time.Duration, error) {
	if err := t.readGrants(ctx); err != nil {
		return 0, err
	}
	now := t.env.Now()
	if err := t.closeBooks(ctx); err != nil {
		return 0, err
	}
	t.ask(ctx, now)
	if err := t.reap(ctx, now); err != nil {
		return 0, err
	}
	wish, err := t.readWish(ctx)
	if err != nil {
		return 0, err
	}
	if err := t.ceilings(ctx); err != nil {
		return 0, err
	}
	if err := t.alarm(ctx); err != nil {
		return 0, err
	}
	if err := t.readDemand(ctx, now); err != nil {
		return 0, err
	}
	now = t.env.Now()
	wait, need, err := t.issue(ctx, wish, now)
	if err != nil {
		return 0, err
	}
	t.short = wait != ""
	if err := t.publish(ctx, wish, wait, need, now); err != nil {
		return 0, err
	}
	t.turned()
	if t.pos.Bucket.Known {
		t.announce()
	}
	return t.pause(wait, need, now), nil
}

// pause is how long nothing is due on the machine's clock: until the projection
// affords what is waited for, and never longer than a poll.
func (t *tokend) pause(wait pipeline.Stage, need int, now time.Time) time.Duration {
	const shortest, longest = 2 * time.Millisecond, 250 * time.Millisecond
	next := longest
	if wait != "" {
		missing := need - t.pos.Head(now)
		if at, ok := t.pos.Bucket.Affordable(t.pos.Bucket.Balance(now)+missing, now); ok {
			next = min(next, t.env.Clock.Machine(at.Sub(now)))
		}
		if at := t.pos.Bucket.Announced().Add(refillGuard); at.After(now) {
			next = min(next, t.env.Clock.Machine(at.Sub(now)))
		}
	}
	if d := t.phase.Deadline; !d.IsZero() {
		next = min(next, t.env.Clock.Machine(d.Sub(now)))
	}
	if d := t.demand.nextPoll; !d.IsZero() && d.After(now) {
		next = min(next, t.env.Clock.Machine(d.Sub(now)))
	}
	return max(shortest, next)
}

func (t *tokend) announce() {
	if !t.ready {
		t.ready = true
		t.env.AnnounceReady()
	}
}

// tell changes what the heartbeat says.
func (t *tokend) tell(f func(*pipeline.Heartbeat)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.beat)
}

func (t *tokend) heartbeat() pipeline.Heartbeat {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.beat
}

// counted is a copy of the counters with one of them raised: the heartbeat's
// reader holds the old map.
func counted(m map[string]int64, name string) map[string]int64 {
	next := maps.Clone(m)
	if next == nil {
		next = map[string]int64{}
	}
	next[name]++
	return next
}
