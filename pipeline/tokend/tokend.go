// Package tokend is the sole issuer of tokens: it knows the balance, divides it
// among the stages, publishes grants and reaps dead claims.
//
//	/token, closes ──▶ bucket ─┐
//	consumers, polls ─▶ demand ┼─▶ token.Issuer (pure) ─▶ grant.STAGE (compare-and-swap)
//	grants ────────────────────┘                          balance, LEDGER
//
// The Issuer makes every decision; this package reads its inputs and carries out its effects. Two instances
// are safe: a lease elects one, and an epoch in every grant fences off the other. Every wait is bounded.
package tokend

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lmittmann/tint"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/stall"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/gateway"
)

// Run issues tokens until ctx ends.
func Run(ctx context.Context, env process.Env) error {
	cfg, err := process.Load[Config](ctx, env.Lookup)
	if err != nil {
		return err
	}
	b, err := bus.OpenFor(ctx, cfg.NATS, env, "tokend", cfg.Keepa.Plan)
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
	defer t.measure()()
	return t.run(ctx)
}

// tokend interprets a token.Issuer. Only the loop's goroutine uses it, except for beat, shown, refused, settled,
// hint, and the reads that hints make forget.
type tokend struct {
	cfg   Config
	env   process.Env
	bus   *bus.Bus
	keepa *gateway.Gateway
	kv    jetstream.KeyValue
	marks jetstream.KeyValue
	lease *bus.Lease
	hint  process.Hint
	now   func() token.Moment

	leads   bool
	issuer  token.Issuer
	grants  map[pipeline.Stage]*bus.Memo[token.Grant]
	wish    *bus.Memo[token.WishRead]
	lanes   *bus.Memo[lanes]
	polls   *bus.Memo[[]time.Time]
	settled atomic.Bool              // something may have been settled since the lanes were read
	waits   map[string]token.Backlog // by durable, as last read; replaced at every read
	ready   bool
	failing string      // the last failure that was logged
	watch   stall.Watch // detects that no turn succeeds

	mu   sync.Mutex
	beat pipeline.Heartbeat

	shown   atomic.Pointer[shown] // nil while another instance leads
	refused atomic.Bool           // Keepa's last answer rejected the key
}

func open(ctx context.Context, env process.Env, b *bus.Bus, g *gateway.Gateway, cfg Config) (*tokend, error) {
	kv, err := b.Store(ctx, b.Own(pipeline.BucketTokens))
	if err != nil {
		return nil, err
	}
	marks, err := b.Store(ctx, pipeline.BucketWatermarks)
	if err != nil {
		return nil, err
	}
	t := &tokend{
		cfg: cfg, env: env, bus: b, keepa: g, kv: kv, marks: marks, hint: process.NewHint(),
		lease: bus.NewLease(b, pipeline.KeyLeader),
		now:   func() token.Moment { return token.Moment{Now: env.Now(), Machine: process.MachineNow()} },
	}
	t.memorize()
	return t, t.listen()
}

// listen subscribes to every write that may matter, as a hint. A lost hint costs a bus.Fallback.
func (t *tokend) listen() error {
	tokens := func(key string) string { return pipeline.KeySubject(t.bus.Own(pipeline.BucketTokens), key) }
	listens := map[string]func(){
		tokens(pipeline.KeyMode):                            t.wish.Forget,
		tokens(pipeline.KeyPolicy):                          t.wish.Forget,
		pipeline.KeySubject(pipeline.BucketWatermarks, ">"): t.polls.Forget,
		"survivor.>": t.lanes.Forget,
	}
	for stage, g := range t.grants {
		listens[tokens(pipeline.KeyGrant(stage))] = func() {
			g.Forget()
			t.lanes.Forget() // a worker takes what it has claimed for, and settles it about when it closes the claim
		}
	}
	for subject, forget := range listens {
		err := t.onPublish(subject, func() {
			forget()
			t.hint.Give()
		})
		if err != nil {
			return err
		}
	}
	// There may be many a second, so they start no turn: one comes within a second.
	return t.onPublish("$JS.ACK."+pipeline.StreamSurvivors+".>", func() { t.settled.Store(true) })
}

// onPublish calls f for every publish to a subject until the connection ends.
func (t *tokend) onPublish(subject string, f func()) error {
	if _, err := t.bus.Hint(subject, f); err != nil {
		return fmt.Errorf("listen to %s: %w", subject, err)
	}
	return nil
}

// run is the loop: lead or stand by, then run a turn.
func (t *tokend) run(ctx context.Context) error {
	defer t.lease.Release()
	for ctx.Err() == nil {
		pause, err := t.turn(ctx)
		if err != nil && ctx.Err() == nil {
			t.failed(err)
			pause = 250 * time.Millisecond
		}
		timer := time.NewTimer(pause)
		hint := t.hint
		if !t.leads || err != nil {
			hint = nil // a standby reacts to no hint
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

// failed logs a failure once, not at every turn that repeats it.
func (t *tokend) failed(err error) {
	t.report(func(h *pipeline.Heartbeat) {
		h.LastError = err.Error()
		h.Counters = counted(h.Counters, "failed_turns")
	})
	t.standstill(err)
	if err.Error() != t.failing {
		t.failing = err.Error()
		t.env.Log.Warn("turn failed, will retry", tint.Err(err))
	}
}

// standstill reports in the heartbeat that turns fail: at once
// for an unreadable key, after a while for any other reason.
func (t *tokend) standstill(err error) {
	now := t.env.Now()
	t.watch = t.watch.Observe(stall.Observation{Work: true, Tokens: true, Wish: true}, now)
	d := t.watch.Stuck(now)
	if d == 0 && !bus.IsBad(err) {
		return
	}
	t.report(func(h *pipeline.Heartbeat) { h.State, h.Stuck = "stuck", "no turn succeeds: "+err.Error() })
}

// succeeded reports that a turn has succeeded.
func (t *tokend) succeeded() {
	t.watch = t.watch.Step()
	t.failing = ""
	t.report(func(h *pipeline.Heartbeat) { h.Stuck = "" })
}

// turn leads or stands by once, and returns the machine time until something is due.
func (t *tokend) turn(ctx context.Context) (time.Duration, error) {
	leads, fresh, err := t.lease.Hold(ctx)
	if err != nil {
		return 0, err
	}
	if !leads {
		t.leads = false
		t.shown.Store(nil)
		t.report(func(h *pipeline.Heartbeat) { h.State = "standby" })
		t.announce()
		return time.Second, nil
	}
	if fresh || !t.leads {
		if err := t.takeOver(ctx); err != nil {
			return 0, t.fenced(err)
		}
	}
	if err := t.lead(ctx); err != nil {
		return 0, t.fenced(err)
	}
	t.succeeded()
	if t.issuer.Bucket.Known {
		t.announce()
	}
	return t.pause(), nil
}

// fenced steps down when another tokend owns the grants. It contends for the lease again and never waits in place.
func (t *tokend) fenced(err error) error {
	if errors.Is(err, token.ErrEpoch) {
		t.leads = false
		t.shown.Store(nil)
		t.lease.Drop()
	}
	return err
}

// lead is one turn of the leader: read, decide, write.
func (t *tokend) lead(ctx context.Context) error {
	grants, rebuilt, err := t.readGrants(ctx)
	if err != nil {
		return err
	}
	if err := t.step(ctx, token.GrantsRead{Grants: grants, Rebuilt: rebuilt}); err != nil {
		return err
	}
	if err := t.step(ctx, token.Check{}); err != nil {
		return err
	}
	wish, err := t.wish.Read(ctx)
	if err != nil {
		return err
	}
	if err := t.step(ctx, wish); err != nil {
		return err
	}
	demand, err := t.readDemand(ctx)
	if err != nil {
		return err
	}
	if err := t.step(ctx, demand); err != nil {
		return err
	}
	if err := t.step(ctx, token.Spend{}); err != nil {
		return err
	}
	return t.publish(ctx)
}

// pause returns the machine time until something is due, at most a poll interval: a second, of pipeline time where that
// is scaled. Hints end it.
func (t *tokend) pause() time.Duration {
	const shortest = 2 * time.Millisecond
	longest := min(time.Second, max(250*time.Millisecond, t.env.Clock.Machine(time.Second)))
	now := t.env.Now()
	at := t.issuer.Wake(now)
	if at.IsZero() {
		return longest
	}
	return max(shortest, min(longest, t.env.Clock.Machine(at.Sub(now))))
}

func (t *tokend) announce() {
	if !t.ready {
		t.ready = true
		t.env.AnnounceReady()
	}
}

// report updates the heartbeat.
func (t *tokend) report(f func(*pipeline.Heartbeat)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.beat)
}

func (t *tokend) heartbeat() pipeline.Heartbeat {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.beat
}

// counted returns a copy of the counters with one of them
// raised, because a reader of the heartbeat holds the old map.
func counted(m map[string]int64, name string) map[string]int64 {
	next := maps.Clone(m)
	if next == nil {
		next = map[string]int64{}
	}
	next[name]++
	return next
}
