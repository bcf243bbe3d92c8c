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
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lmittmann/tint"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/gateway"
	"ratchet/pipeline/token"
)

// Run issues tokens until ctx ends.
func Run(ctx context.Context, env daemon.Env) error {
	cfg, err := LoadConfig(ctx, env.Lookup)
	if err != nil {
		return err
	}
	b, err := bus.Connect(ctx, cfg.NATS, env, "tokend")
	if err != nil {
		return err
	}
	defer b.Close()
	if err := b.Ensure(ctx); err != nil {
		return err
	}
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

// tokend is the loop's state. Only the loop's goroutine touches it, but for beat.
type tokend struct {
	cfg    Config
	env    daemon.Env
	bus    *bus.Bus
	keepa  *gateway.Gateway
	kv     jetstream.KeyValue
	marks  jetstream.KeyValue
	lease  *bus.Lease
	hint   chan struct{}
	epoch  uint64
	pos    token.Position
	grants map[pipeline.Stage]token.Grant
	seen   map[string]sighting // open claims, by id, as this process first saw them
	drift  drift
	state  State
	wrote  time.Time // machine time of the last balance
	probed time.Time // machine time of the last /token
	failed time.Time // machine time since which /token fails; zero while it works
	ready  bool

	mu   sync.Mutex
	beat pipeline.Heartbeat
}

// sighting is when an open claim was first seen, on this process's clock: no two
// clocks are compared.
type sighting struct {
	at time.Time
	n  int
}

// State is the balance key: what tokend knows, for people and other programs.
type State struct {
	Epoch    uint64                        `json:"epoch"`
	Est      int                           `json:"est"` // projected balance, tokens
	At       time.Time                     `json:"at"`  // pipeline time of the projection
	API      *pipeline.Reading             `json:"api,omitempty"`
	Heard    time.Time                     `json:"heard,omitzero"` // pipeline time of the newest reading
	Rate     int                           `json:"rate"`
	Cap      int                           `json:"cap"`
	Next     time.Time                     `json:"next_refill,omitzero"`
	State    string                        `json:"state"` // burst, recharge, paused, nospend, unknown
	Since    time.Time                     `json:"since,omitzero"`
	Target   int                           `json:"target,omitempty"`
	ETA      time.Time                     `json:"eta,omitzero"`
	Deadline time.Time                     `json:"deadline,omitzero"`
	EndedBy  string                        `json:"ended_by,omitempty"`
	Stages   map[pipeline.Stage]StageState `json:"stages"`
	Drift    int                           `json:"drift"` // tokens that no claim of ours explains, ever
	Note     string                        `json:"note,omitempty"`
}

// StageState is a stage's part of the balance.
type StageState struct {
	Credit int `json:"credit"`
	Open   int `json:"open"`
	Demand int `json:"demand"`
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
		lease: bus.NewLease(b, pipeline.KeyLeader), seen: map[string]sighting{},
	}
	t.pos.Base = map[pipeline.Stage]int{}
	go t.watch(ctx)
	return t, nil
}

// watch turns every change of the bucket, and every survivor and poll, into a
// hint. A hint that is lost costs at most one tick.
func (t *tokend) watch(ctx context.Context) {
	poke := func() {
		select {
		case t.hint <- struct{}{}:
		default:
		}
	}
	w, err := t.kv.Watch(ctx, "grant.>", jetstream.UpdatesOnly())
	if err != nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-w.Updates():
			if !ok {
				return
			}
			poke()
		}
	}
}

// run is the loop: lead or stand by, then turn.
func (t *tokend) run(ctx context.Context) error {
	defer t.lease.Release()
	for ctx.Err() == nil {
		pause, err := t.turn(ctx)
		if err != nil && ctx.Err() == nil {
			t.env.Log.Warn("turn failed, will retry", tint.Err(err))
			t.note(func(h *pipeline.Heartbeat) { h.LastError = err.Error() })
			pause = 250 * time.Millisecond
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.hint:
		case <-timer.C:
		}
		timer.Stop()
	}
	return ctx.Err()
}

// turn is one step: it returns how long nothing is due, on the machine's clock.
func (t *tokend) turn(ctx context.Context) (time.Duration, error) {
	leads, fresh, err := t.lease.Hold(ctx)
	if err != nil {
		return 0, err
	}
	if !leads {
		t.epoch = 0
		t.note(func(h *pipeline.Heartbeat) { h.State = "standby" })
		t.announce()
		return time.Second, nil
	}
	if fresh || t.epoch == 0 {
		if err := t.takeOver(ctx); err != nil {
			return 0, err
		}
	}
	if err := t.readGrants(ctx); err != nil {
		return 0, err
	}
	now := t.env.Now()
	t.listen(now)
	if err := t.probe(ctx, now); err != nil {
		t.state.Note = err.Error()
	}
	if err := t.reap(ctx); err != nil {
		return 0, t.fenced(err)
	}
	wish, err := t.wish(ctx)
	if err != nil {
		return 0, err
	}
	if err := t.readDemand(ctx, now); err != nil {
		return 0, err
	}
	wait, need, err := t.issue(ctx, wish, now)
	if err != nil {
		return 0, t.fenced(err)
	}
	if err := t.publish(ctx, wish, now); err != nil {
		return 0, t.fenced(err)
	}
	if t.pos.Bucket.Known {
		t.announce()
	}
	return t.pause(wait, need, now), nil
}

// fenced steps down when another tokend owns the grants: contend again, never
// wait in place.
func (t *tokend) fenced(err error) error {
	if errors.Is(err, token.ErrEpoch) {
		t.epoch = 0
		t.lease.Drop()
	}
	return err
}

func (t *tokend) announce() {
	if !t.ready {
		t.ready = true
		t.env.AnnounceReady()
	}
}

// takeOver raises the epoch in the balance and then in every grant; from then on
// a slower tokend's swaps fail.
func (t *tokend) takeOver(ctx context.Context) error {
	s, err := bus.Change(ctx, bus.NewCell(t.kv, pipeline.KeyBalance), func(s State) (State, bool, error) {
		s.Epoch++
		return s, true, nil
	})
	if err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	for _, stage := range pipeline.Stages() {
		_, err := bus.Change(ctx, t.cell(stage), func(g token.Grant) (token.Grant, bool, error) {
			g, err := g.Adopt(s.Epoch)
			return g, true, err
		})
		if err != nil {
			return fmt.Errorf("take over %s: %w", stage, err)
		}
	}
	t.state, t.epoch = s, s.Epoch
	t.probed, t.drift = time.Time{}, drift{total: s.Drift}
	t.env.Log.Info("leads", "epoch", s.Epoch)
	return t.entry(ctx, pipeline.Entry{Event: pipeline.EventMode, Note: "tokend leads"}, fmt.Sprintf("mode:lead:%d", s.Epoch))
}

func (t *tokend) cell(s pipeline.Stage) bus.Cell { return bus.NewCell(t.kv, pipeline.KeyGrant(s)) }

func (t *tokend) readGrants(ctx context.Context) error {
	t.grants = map[pipeline.Stage]token.Grant{}
	for _, stage := range pipeline.Stages() {
		raw, _, err := t.cell(stage).Read(ctx)
		if err != nil {
			return err
		}
		var g token.Grant
		if raw != nil {
			if err := json.Unmarshal(raw, &g); err != nil {
				return fmt.Errorf("decode grant of %s: %w", stage, err)
			}
		}
		if g.Epoch != t.epoch {
			t.epoch = 0
			t.lease.Drop()
			return token.ErrEpoch
		}
		t.grants[stage] = g
	}
	t.pos.Grants = t.grants
	return nil
}

// listen takes the readings that workers left in their grants.
func (t *tokend) listen(now time.Time) {
	for _, g := range t.grants {
		if g.API != nil {
			t.pos.Bucket = t.pos.Bucket.Heard(*g.API, now)
		}
	}
}

// How often /token may be asked, on the machine's clock.
const (
	probeAgain = 2 * time.Second
	// outage is how long /token may fail before dead claims are given up without it.
	outage = 30 * time.Second
	// probeIdle is how old a reading may grow, pipeline time, before a free probe.
	probeIdle = time.Hour
)

// probe asks /token when nothing is known, or nothing was heard for long.
func (t *tokend) probe(ctx context.Context, now time.Time) error {
	if t.pos.Bucket.Known && now.Sub(t.pos.Bucket.At) < probeIdle || time.Since(t.probed) < probeAgain {
		return nil
	}
	return t.ask(ctx)
}

func (t *tokend) ask(ctx context.Context) error {
	t.probed = time.Now()
	r, err := t.keepa.Token(ctx)
	if err != nil {
		if t.failed.IsZero() {
			t.failed = time.Now()
		}
		t.note(func(h *pipeline.Heartbeat) { h.LastError = err.Error() })
		return err
	}
	t.failed = time.Time{}
	now := t.env.Now()
	first := !t.pos.Bucket.Known
	t.pos.Bucket = t.pos.Bucket.Heard(r, now)
	if first && t.pos.Bucket.Known {
		t.pos.Opened, t.pos.Start = now, r.Left
		t.pos.Listed = token.Used(t.grants[pipeline.StageWatermarker])
		for s, g := range t.grants {
			t.pos.Base[s] = token.Used(g)
		}
	}
	t.state.Note = ""
	return nil
}

// reap gives up claims that have outlived their life. A free probe first tells
// what the balance really is; while /token is out for long, the projection does.
func (t *tokend) reap(ctx context.Context) error {
	life := max(t.env.Clock.Machine(token.ClaimLife), token.ClaimLifeMachine)
	alive := map[string]sighting{}
	for stage, g := range t.grants {
		for id, h := range g.Open {
			s, known := t.seen[id]
			if !known {
				s = sighting{at: time.Now(), n: h.N}
			}
			if time.Since(s.at) <= life {
				alive[id] = s
				continue
			}
			if err := t.ask(ctx); err != nil && time.Since(t.failed) < outage {
				alive[id] = s
				continue
			}
			if err := t.giveUp(ctx, stage, id, h); err != nil {
				return err
			}
		}
	}
	t.seen = alive
	return nil
}

func (t *tokend) giveUp(ctx context.Context, stage pipeline.Stage, id string, h token.Hold) error {
	e := pipeline.Entry{Event: pipeline.EventLost, Stage: stage, Tokens: h.N, PriceKind: h.Kind, Items: h.Items, Claim: id, Note: "its worker did not close it"}
	if err := t.entry(ctx, e, "lost:"+id); err != nil {
		return err
	}
	g, err := bus.Change(ctx, t.cell(stage), func(g token.Grant) (token.Grant, bool, error) {
		g, err := g.Reap(t.epoch, id)
		return g, true, err
	})
	if err != nil {
		return err
	}
	t.grants[stage] = g
	t.env.Log.Warn("claim given up", "claim", id, "tokens", h.N)
	return nil
}

func (t *tokend) wish(ctx context.Context) (token.Wish, error) {
	raw, _, err := bus.NewCell(t.kv, pipeline.KeyMode).Read(ctx)
	return token.ParseWish(raw), err
}

// issue publishes what the plan gives, and takes back the credit of stages that
// want nothing.
func (t *tokend) issue(ctx context.Context, wish token.Wish, now time.Time) (pipeline.Stage, int, error) {
	for _, stage := range pipeline.Stages() {
		g, d := t.grants[stage], t.pos.Demand[stage]
		keep := d.Tokens
		if wish != token.Run {
			keep = 0
		}
		if g.Credit() > keep {
			if err := t.change(ctx, stage, func(g token.Grant) (token.Grant, error) { return g.Revoke(t.epoch, keep) }); err != nil {
				return "", 0, err
			}
		}
	}
	if wish != token.Run {
		return "", 0, nil
	}
	for _, stage := range pipeline.Stages() {
		if t.pos.Demand[stage].Tokens == 0 {
			t.pos.Base[stage] = t.cfg.shares().Forgive(t.pos, stage)
		}
	}
	plan, wait, need := t.cfg.shares().Plan(t.pos, now)
	for stage, q := range plan {
		if err := t.change(ctx, stage, func(g token.Grant) (token.Grant, error) { return g.Issue(t.epoch, q) }); err != nil {
			return "", 0, err
		}
		e := pipeline.Entry{Event: pipeline.EventIssue, Stage: stage, Tokens: q}
		if err := t.entry(ctx, e, fmt.Sprintf("issue:%d:%s:%d", t.epoch, stage, t.grants[stage].Issued)); err != nil {
			return "", 0, err
		}
	}
	return wait, need, nil
}

func (t *tokend) change(ctx context.Context, stage pipeline.Stage, f func(token.Grant) (token.Grant, error)) error {
	before := t.grants[stage]
	g, err := bus.Change(ctx, t.cell(stage), func(g token.Grant) (token.Grant, bool, error) {
		// The plan was made from before. A worker may have claimed or closed since,
		// which only lowers what is outstanding; another issue may not.
		if g.Epoch == t.epoch && g.Issued != before.Issued {
			return g, false, nil
		}
		next, err := f(g)
		return next, true, err
	})
	if err == nil {
		t.grants[stage] = g
	}
	return err
}

// pause is how long nothing is due on the machine's clock: until the projection
// affords what is waited for, and never longer than a poll.
func (t *tokend) pause(wait pipeline.Stage, need int, now time.Time) time.Duration {
	longest := 250 * time.Millisecond
	if t.anyDemand() {
		longest = 50 * time.Millisecond
	}
	if wait == "" {
		return longest
	}
	missing := need - t.pos.Head(now)
	at, ok := t.pos.Bucket.Affordable(t.pos.Bucket.Balance(now)+missing, now)
	if !ok {
		return longest
	}
	return max(2*time.Millisecond, min(longest, t.env.Clock.Machine(at.Sub(now))))
}

func (t *tokend) anyDemand() bool {
	for _, d := range t.pos.Demand {
		if d.Tokens > 0 {
			return true
		}
	}
	return false
}

// entry writes a line of the ledger under an id that its repeat shares.
func (t *tokend) entry(ctx context.Context, e pipeline.Entry, id string) error {
	if e.At.IsZero() {
		e.At = t.env.Now()
	}
	if e.Stage == "" {
		e.Stage = "tokend"
	}
	m, err := bus.Encode(pipeline.SubjectLedger(e.Stage, e.Event), pipeline.SchemaLedger, id, "", e)
	if err != nil {
		return err
	}
	_, err = t.bus.Publish(ctx, m)
	return err
}

func (t *tokend) note(f func(*pipeline.Heartbeat)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.beat)
}

func (t *tokend) heartbeat() pipeline.Heartbeat {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.beat
}
