// Package purse is a worker's side of the grant protocol: it claims tokens before
// work is fetched and closes the claim with what Keepa reported.
//
// Only this package can make a Claim, and only the gateway, which wants one, can
// talk to Keepa: a call without permission does not compile.
package purse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/token"
)

// ErrShort means that the grant has less credit than the claim wants: look again
// when Changed fires.
var ErrShort = token.ErrShort

// Purse is one worker's hold on its stage's grant.
type Purse struct {
	bus    *bus.Bus
	env    daemon.Env
	stage  pipeline.Stage
	grant  bus.Cell
	mode   bus.Cell
	worker string
	seq    atomic.Uint64
	hint   chan struct{}
}

// Open watches the stage's grant as a hint; every decision reads it anew.
func Open(ctx context.Context, b *bus.Bus, env daemon.Env, stage pipeline.Stage) (*Purse, error) {
	kv, err := b.Store(ctx, pipeline.BucketTokens)
	if err != nil {
		return nil, err
	}
	p := &Purse{
		bus: b, env: env, stage: stage, hint: make(chan struct{}, 1),
		grant: bus.NewCell(kv, pipeline.KeyGrant(stage)), mode: bus.NewCell(kv, pipeline.KeyMode),
		worker: string(stage) + "-" + strings.ReplaceAll(daemon.Instance(), ".", "-") + "-" + fmt.Sprintf("%x", time.Now().UnixNano()),
	}
	go p.watch(ctx, kv)
	return p, nil
}

// watch turns changes of the bucket into hints. It goes deaf for seconds after a
// server restart, so a hint also fires each second.
func (p *Purse) watch(ctx context.Context, kv jetstream.KeyValue) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var updates <-chan jetstream.KeyValueEntry
	if w, err := kv.WatchAll(ctx, jetstream.UpdatesOnly()); err == nil {
		updates = w.Updates()
		defer func() { _ = w.Stop() }() // the connection ends it too
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case _, ok := <-updates:
			if !ok {
				updates = nil
			}
		}
		select {
		case p.hint <- struct{}{}:
		default:
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
	raw, _, err := p.grant.Read(ctx)
	if err != nil || raw == nil {
		return 0, err
	}
	var g token.Grant
	if err := json.Unmarshal(raw, &g); err != nil {
		return 0, fmt.Errorf("decode %s: %w", p.grant.Key(), err)
	}
	return g.Credit(), nil
}

// Wish is what the operator wants; an absent key is run.
func (p *Purse) Wish(ctx context.Context) (token.Wish, error) {
	raw, _, err := p.mode.Read(ctx)
	if err != nil {
		return token.Run, err
	}
	return token.ParseWish(raw), nil
}

// Claim is permission to spend up to Tokens on one call. It must be closed.
type Claim struct {
	p        *Purse
	id       string
	n        int
	kind     pipeline.Kind
	items    int
	deadline time.Time
}

// claimLife is how long a claim lives: tokend reaps it later.
func claimLife(env daemon.Env) time.Duration {
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
		deadline: time.Now().Add(claimLife(p.env)), // counted from before the write: early, never late
	}
	hold := token.Hold{N: n, Kind: kind, Items: items, Worker: p.worker, At: p.env.Now()}
	_, err := bus.Change(ctx, p.grant, func(g token.Grant) (token.Grant, bool, error) {
		next, err := g.Take(c.id, hold)
		_, landed := g.Open[c.id]
		return next, !landed, err
	})
	if err != nil {
		return nil, err
	}
	e := c.entry(pipeline.EventClaim, n)
	if _, err := p.bus.Publish(ctx, c.message(e, "claim:"+c.id)); err != nil {
		return nil, errors.Join(err, c.Close(context.WithoutCancel(ctx), 0, nil))
	}
	return c, nil
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
	return c.close(ctx, consumed, r, "")
}

// CloseUnknown ends a claim whose answer never arrived. It settles nothing; what
// the call cost shows as drift in Keepa's next answer.
func (c *Claim) CloseUnknown(ctx context.Context, note string) error {
	return c.close(ctx, 0, nil, "outcome unknown: "+note)
}

func (c *Claim) close(ctx context.Context, consumed int, r *pipeline.Reading, note string) error {
	e := c.entry(pipeline.EventClose, consumed)
	e.API, e.Note = r, note
	if _, err := c.p.bus.Publish(ctx, c.message(e, c.id)); err != nil {
		return fmt.Errorf("close claim %s: %w", c.id, err)
	}
	_, err := bus.Change(ctx, c.p.grant, func(g token.Grant) (token.Grant, bool, error) {
		return g.Settle(c.id, consumed, r), true, nil
	})
	if err != nil {
		return fmt.Errorf("close claim %s: %w", c.id, err)
	}
	return nil
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
