// Package claims is a worker's side of the grant protocol: it claims tokens before
// work is fetched and closes the claim with what Keepa reported.
//
// Only this package can make a Claim, and only the gateway, which wants one, can
// talk to Keepa: a call without permission does not compile.
package claims

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/metric"
	"ratchet/pipeline/platform/process"
)

// ErrShort means that the grant has less credit than the claim wants: look again
// when Changed fires.
var ErrShort = token.ErrShort

// Purse is one worker's hold on its stage's grant.
type Purse struct {
	bus     *bus.Bus
	env     process.Env
	stage   pipeline.Stage
	grant   bus.Cell
	mode    bus.Cell
	balance bus.Cell
	good    atomic.Pointer[token.Wish] // the last one that could be read
	worker  string
	seq     atomic.Uint64
	hint    chan struct{}
}

// Open watches the stage's grant as a hint; every decision reads it anew.
func Open(ctx context.Context, b *bus.Bus, env process.Env, stage pipeline.Stage) (*Purse, error) {
	kv, err := b.Store(ctx, pipeline.BucketTokens)
	if err != nil {
		return nil, err
	}
	p := &Purse{
		bus: b, env: env, stage: stage, hint: make(chan struct{}, 1),
		grant: bus.NewCell(kv, pipeline.KeyGrant(stage)), mode: bus.NewCell(kv, pipeline.KeyMode), balance: bus.NewCell(kv, pipeline.KeyBalance),
		worker: string(stage) + "-" + strings.ReplaceAll(process.Instance(), ".", "-") + "-" + fmt.Sprintf("%x", process.MachineNow().UnixNano()),
	}
	hints, err := p.listen()
	if err != nil {
		return nil, fmt.Errorf("listen to the grant of %s: %w", stage, err)
	}
	go p.watch(ctx, hints)
	return p, nil
}

// listen asks for hints at the writes of the grant and the mode.
func (p *Purse) listen() (func(), error) {
	var all []func()
	stop := func() {
		for _, s := range all {
			s()
		}
	}
	for _, key := range []string{pipeline.KeyGrant(p.stage), pipeline.KeyMode} {
		s, err := p.bus.Hint("$KV."+pipeline.BucketTokens+"."+key, p.poke, readable...)
		if err != nil {
			stop()
			return nil, err
		}
		all = append(all, s)
	}
	return stop, nil
}

// readable is when a write that a hint tells of is looked at again.
var readable = []time.Duration{3 * time.Millisecond, 30 * time.Millisecond}

func (p *Purse) poke() {
	select {
	case p.hint <- struct{}{}:
	default:
	}
}

// watch fires a hint each second beside those that writes bring, which may be
// lost.
func (p *Purse) watch(ctx context.Context, stop func()) {
	defer stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.poke()
		}
	}
}

// Changed fires when something may have moved; it may fire for nothing.
func (p *Purse) Changed() <-chan struct{} { return p.hint }

// Credit is what can be claimed now: nothing unless the operator's wish is run.
func (p *Purse) Credit(ctx context.Context) (int, error) {
	wish, err := p.Wish(ctx)
	if err != nil || wish != token.Run {
		return 0, err
	}
	g, err := p.read(ctx)
	return g.Credit(), err
}

// Income is the plan's tokens a minute as the stage's last answer told it; 0 when
// none has told it yet.
func (p *Purse) Income(ctx context.Context) (int, error) {
	g, err := p.read(ctx)
	if err != nil || g.API == nil {
		return 0, err
	}
	return g.API.Rate, nil
}

// read is the grant as it is; tokend mends one that cannot be read.
func (p *Purse) read(ctx context.Context) (token.Grant, error) {
	raw, _, err := p.grant.Read(ctx)
	if err != nil {
		return token.Grant{}, err
	}
	return bus.Decode[token.Grant](p.grant, raw)
}

// Wish is what the operator wants; an absent key is run. Of a wish that cannot be read the last one
// that could holds, here or by what tokend wrote.
func (p *Purse) Wish(ctx context.Context) (token.Wish, error) {
	raw, _, err := p.mode.Read(ctx)
	if err != nil {
		return token.Run, err
	}
	wish, err := token.ParseWish(raw)
	if err == nil {
		p.good.Store(&wish)
		return wish, nil
	}
	if good := p.good.Load(); good != nil {
		return *good, nil
	}
	return p.told(ctx)
}

// told is the wish that tokend follows; paused where it has not said.
func (p *Purse) told(ctx context.Context) (token.Wish, error) {
	var v struct {
		Wish token.Wish `json:"wish"`
	}
	raw, _, err := p.balance.Read(ctx)
	if err != nil || raw == nil || json.Unmarshal(raw, &v) != nil || v.Wish == "" {
		return token.Paused, err
	}
	return v.Wish, nil
}

// Claim is permission to spend up to Tokens on one call. It must be closed.
type Claim struct {
	p        *Purse
	id       string
	n        int
	kind     pipeline.Kind
	items    int
	deadline time.Time
	counted  bool // by Prometheus
}

// claimLife is how long a claim lives: tokend reaps it later.
func claimLife(env process.Env) time.Duration {
	return max(env.Clock.Machine(token.ClaimLife), token.ClaimLifeMachine)
}

// Claim takes n tokens for one call of a kind about that many items. After an
// error whose outcome is unknown the grant is read again, and a claim that
// landed is found by its id.
func (p *Purse) Claim(ctx context.Context, n int, kind pipeline.Kind, items int) (*Claim, error) {
	if n <= 0 {
		return nil, fmt.Errorf("claim %d tokens: want at least 1", n)
	}
	c := &Claim{
		p: p, id: fmt.Sprintf("%s.%d", p.worker, p.seq.Add(1)), n: n, kind: kind, items: items,
		deadline: process.MachineNow().Add(claimLife(p.env)), // counted from before the write: early, never late
	}
	hold := token.Hold{N: n, Kind: kind, Items: items, Worker: p.worker, At: p.env.Now()}
	_, err := bus.Change(ctx, p.grant, func(g token.Grant) (token.Grant, bool, error) {
		hold.N = max(n, items*g.Ceiling(kind)) // the operator's ceiling may be above the caller's
		c.n = hold.N
		next, err := g.Take(c.id, hold)
		_, landed := g.Open[c.id]
		return next, !landed, err
	})
	if errors.Is(err, ErrShort) {
		return nil, err
	}
	if err == nil {
		_, err = p.bus.Publish(ctx, c.message(c.entry(pipeline.EventClaim, c.n), "claim:"+c.id))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("claim %d tokens: %w", n, err), c.undo(ctx))
	}
	return c, nil
}

// undo gives a claim back that may have landed although we were told otherwise,
// or may still land: it writes even where it finds no claim, so that a write that
// is under way meets a newer revision and fails. If it cannot, tokend reaps the
// claim: time is lost, no token.
func (c *Claim) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, err := bus.Change(ctx, c.p.grant, func(g token.Grant) (token.Grant, bool, error) {
		return g.Settle(c.id, 0, nil), true, nil
	})
	return err
}

// ID names the claim in the grant, the ledger and the stored answers.
func (c *Claim) ID() string { return c.id }

// Tokens is what the claim reserves.
func (c *Claim) Tokens() int { return c.n }

// Deadline is the machine time at which tokend may give the claim up. A call
// starts in the first half of the claim's life and ends before it.
func (c *Claim) Deadline() time.Time { return c.deadline }

// StartBy is the machine time after which no call may start under the claim.
func (c *Claim) StartBy() time.Time { return c.deadline.Add(-claimLife(c.p.env) / 2) }

// Close ends the claim at its real price. The ledger's line is stored first,
// under the claim's id: dying in between leaves an open claim that tokend reaps,
// never a spent token that no line explains.
func (c *Claim) Close(ctx context.Context, consumed int, r *pipeline.Reading) error {
	return c.close(ctx, consumed, r)
}

// CloseFailed ends a claim whose call brought no answer and whose price is known.
func (c *Claim) CloseFailed(ctx context.Context, consumed int, r *pipeline.Reading, note string) error {
	e := c.entry(pipeline.EventClose, consumed)
	e.API, e.Note = r, "failed: "+note
	return c.end(ctx, "failed", e, func(g token.Grant) token.Grant { return g.Settle(c.id, consumed, r) })
}

// CloseUnknown ends a claim whose answer never arrived. It settles nothing; tokend
// asks Keepa for the balance, and what the call cost shows as drift.
func (c *Claim) CloseUnknown(ctx context.Context, note string) error {
	e := c.entry(pipeline.EventClose, 0)
	e.Note = token.NoteUnknown + ": " + note
	return c.end(ctx, "unknown", e, func(g token.Grant) token.Grant { return g.SettleUnknown(c.id) })
}

func (c *Claim) close(ctx context.Context, consumed int, r *pipeline.Reading) error {
	e := c.entry(pipeline.EventClose, consumed)
	e.API = r
	result := "answered"
	if consumed == 0 && r == nil {
		result = "" // nothing was called
	}
	return c.end(ctx, result, e, func(g token.Grant) token.Grant { return g.Settle(c.id, consumed, r) })
}

// end writes the ledger's line and then the grant; both may be repeated. result is that of the call; empty for none.
func (c *Claim) end(ctx context.Context, result string, e pipeline.Entry, f func(token.Grant) token.Grant) error {
	if _, err := c.p.bus.Publish(ctx, c.message(e, c.id)); err != nil {
		return fmt.Errorf("close claim %s: %w", c.id, err)
	}
	c.count(result, e.Tokens)
	_, err := bus.Change(ctx, c.p.grant, func(g token.Grant) (token.Grant, bool, error) {
		return f(g), true, nil
	})
	if err != nil {
		return fmt.Errorf("close claim %s: %w", c.id, err)
	}
	return nil
}

// count says to Prometheus what the ledger has, once for a claim however often its end is repeated.
func (c *Claim) count(result string, tokens int) {
	if c.counted || result == "" {
		return
	}
	c.counted = true
	m := c.p.env.Health.Metrics()
	m.Count(metric.Calls, 1, string(c.p.stage), string(c.kind), result)
	m.Count(metric.Spent, float64(tokens), string(c.p.stage), string(c.kind))
}

func (c *Claim) entry(event pipeline.Event, tokens int) pipeline.Entry {
	return pipeline.Entry{
		Event: event, Stage: c.p.stage, At: c.p.env.Now(), Tokens: tokens,
		PriceKind: c.kind, Items: c.items, Claim: c.id,
	}
}

func (c *Claim) message(e pipeline.Entry, id string) bus.Message {
	body, err := json.Marshal(e)
	if err != nil {
		panic(err) // an Entry holds nothing that JSON cannot
	}
	return bus.Message{Subject: pipeline.SubjectLedger(c.p.stage, e.Event), Schema: pipeline.SchemaLedger, ID: id, Body: body}
}
