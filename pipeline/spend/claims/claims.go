// Package claims is a worker's side of the grant protocol: it claims tokens
// before work is fetched and closes the claim with the cost that Keepa reported.
//
// Only this package can create a Claim, and only the gateway, which
// requires one, can call Keepa: a call without permission does not compile.
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
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/metric"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/trace"
)

// ErrShort means that the grant has less credit than the claim needs: try again when Changed fires.
var ErrShort = token.ErrShort

// ErrHeld is ErrShort because the operator's mode is not run.
var ErrHeld = fmt.Errorf("the operator's mode permits no spending: %w", ErrShort)

// Spender is one worker's access to its stage's grant.
type Spender struct {
	bus     *bus.Bus
	env     process.Env
	stage   pipeline.Stage
	grant   bus.Cell
	mode    bus.Cell
	balance bus.Cell
	good    atomic.Pointer[readWish] // the last readable one
	worker  string
	seq     atomic.Uint64
	hint    process.Hint
}

// Open subscribes to hints about the stage's grant; every decision reads the grant again.
func Open(ctx context.Context, b *bus.Bus, env process.Env, stage pipeline.Stage) (*Spender, error) {
	kv, err := b.Store(ctx, b.Own(pipeline.BucketTokens))
	if err != nil {
		return nil, err
	}
	s := &Spender{
		bus: b, env: env, stage: stage, hint: process.NewHint(),
		grant: bus.NewCell(kv, pipeline.KeyGrant(stage)), mode: bus.NewCell(kv, pipeline.KeyMode), balance: bus.NewCell(kv, pipeline.KeyBalance),
		worker: string(stage) + "-" + strings.ReplaceAll(process.Instance(), ".", "-") + "-" + fmt.Sprintf("%x", process.MachineNow().UnixNano()),
	}
	stop, err := s.listen()
	if err != nil {
		return nil, fmt.Errorf("listen to the grant of %s: %w", stage, err)
	}
	context.AfterFunc(ctx, stop)
	s.count(token.KindOf(stage), answered, 0, 0)
	return s, nil
}

// answered is the result of a call that was.
const answered = "answered"

// count adds calls and tokens to the metrics. With none it begins their series: Prometheus
// sees an increase only in a series that it has seen before.
func (s *Spender) count(kind pipeline.Kind, result string, calls, tokens int) {
	m := s.env.Health.Metrics()
	m.Count(metric.Calls, float64(calls), string(s.stage), string(kind), result)
	m.Count(metric.Spent, float64(tokens), string(s.stage), string(kind))
}

// listen subscribes to writes of the grant and the mode.
func (s *Spender) listen() (func(), error) {
	var all []func()
	stop := func() {
		for _, end := range all {
			end()
		}
	}
	for _, key := range []string{pipeline.KeyGrant(s.stage), pipeline.KeyMode} {
		end, err := s.bus.Hint(pipeline.KeySubject(s.bus.Own(pipeline.BucketTokens), key), s.hint.Give)
		if err != nil {
			stop()
			return nil, err
		}
		all = append(all, end)
	}
	return stop, nil
}

// Changed fires when the grant or the mode may have changed. It may fire without a change, and
// it may fail to fire, so the waiter also reads the grant after a bus.Fallback.
func (s *Spender) Changed() <-chan struct{} { return s.hint }

// Affords returns how many items of a kind can be claimed now, at what a claim reserves for
// one: 0 while the kind is stopped, and unless the operator's mode is run.
func (s *Spender) Affords(ctx context.Context, kind pipeline.Kind) (int, error) {
	wish, err := s.Wish(ctx)
	if err != nil || wish != token.Run {
		return 0, err
	}
	g, err := s.read(ctx)
	if err != nil || g.Stopped(kind) {
		return 0, err
	}
	return g.Credit() / max(1, g.Ceiling(kind)), nil
}

// Income returns the plan's tokens a minute according to the stage's last answer; 0 before the first.
func (s *Spender) Income(ctx context.Context) (int, error) {
	g, err := s.read(ctx)
	if err != nil || g.API == nil {
		return 0, err
	}
	return g.API.Rate, nil
}

// read returns the grant; tokend rebuilds an unreadable one.
func (s *Spender) read(ctx context.Context) (token.Grant, error) {
	raw, _, err := s.grant.Read(ctx)
	if err != nil {
		return token.Grant{}, err
	}
	return bus.Decode[token.Grant](s.grant, raw)
}

// Wish returns what the operator wants; an absent key means run. If the wish is
// unreadable the last readable one applies, from here or from tokend's balance.
func (s *Spender) Wish(ctx context.Context) (token.Wish, error) {
	raw, _, err := s.mode.Read(ctx)
	if err != nil {
		return token.Run, err
	}
	wish, err := token.ParseWish(raw)
	if err == nil {
		s.good.Store(&readWish{wish, process.MachineNow()})
		return wish, nil
	}
	if good := s.good.Load(); good != nil {
		return good.wish, nil
	}
	return s.balanceWish(ctx)
}

// readWish is what the operator wanted at an instant of machine time.
type readWish struct {
	wish token.Wish
	at   time.Time
}

// recentWish returns the wish as it was within the last second: most claims follow a read of it, and while a server
// does not answer each further one is waited for.
func (s *Spender) recentWish(ctx context.Context) (token.Wish, error) {
	if good := s.good.Load(); good != nil && process.MachineSince(good.at) < time.Second {
		return good.wish, nil
	}
	return s.Wish(ctx)
}

// balanceWish returns the wish that tokend follows; paused if it has published none.
func (s *Spender) balanceWish(ctx context.Context) (token.Wish, error) {
	var v token.Balance
	raw, _, err := s.balance.Read(ctx)
	if err != nil || raw == nil || json.Unmarshal(raw, &v) != nil || v.Wish == "" {
		return token.Paused, err
	}
	return v.Wish, nil
}

// Claim is permission to spend up to Tokens on one call. It must be closed.
type Claim struct {
	spender  *Spender
	id       string
	n        int
	kind     pipeline.Kind
	items    int
	deadline time.Time
	counted  bool // in the metrics
}

// Claim takes n tokens for one call of a kind about that many items, if the operator's mode is run: tokend takes back
// what it has issued when that changes, but it may be down. After an error with an unknown outcome the grant is read
// again, and a claim that was stored is found by its ID.
func (s *Spender) Claim(ctx context.Context, n int, kind pipeline.Kind, items int) (*Claim, error) {
	if n <= 0 {
		return nil, fmt.Errorf("claim %d tokens: want at least 1", n)
	}
	wish, err := s.recentWish(ctx)
	if err != nil {
		return nil, err
	}
	if wish != token.Run {
		return nil, ErrHeld
	}
	span := trace.Begin(ctx, "claim") // recorded only if it succeeds
	c := &Claim{
		spender: s, id: fmt.Sprintf("%s.%d", s.worker, s.seq.Add(1)), n: n, kind: kind, items: items,
		deadline: process.MachineNow().Add(token.Life(s.env.Clock.Machine)), // measured from before the write: early, never late
	}
	hold := token.Hold{N: n, Kind: kind, Items: items, Worker: s.worker, At: s.env.Now()}
	_, err = bus.Change(ctx, s.grant, func(g token.Grant) (token.Grant, bool, error) {
		hold.N = max(n, items*g.Ceiling(kind)) // the operator's ceiling may exceed the caller's
		c.n = hold.N
		next, err := g.Take(c.id, hold)
		_, stored := g.Open[c.id]
		return next, !stored, err
	})
	if errors.Is(err, ErrShort) {
		return nil, err
	}
	if err == nil {
		_, err = s.bus.Publish(ctx, c.message(c.entry(pipeline.EventClaim, c.n), "claim:"+c.id))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("claim %d tokens: %w", n, err), c.undo(ctx))
	}
	span.Number("ratchet.tokens", c.n)
	span.End()
	return c, nil
}

// undo gives back a claim that may have been stored although its write failed, or may still
// be stored: it writes even if it finds no claim, so that a write in flight meets a newer
// revision and fails. If undo fails tokend reaps the claim, which costs time and no token.
func (c *Claim) undo(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, err := bus.Change(ctx, c.spender.grant, func(g token.Grant) (token.Grant, bool, error) {
		return g.Settle(c.id, 0, nil), true, nil
	})
	return err
}

// ID identifies the claim in the grant, the ledger and the stored answers.
func (c *Claim) ID() string { return c.id }

// Tokens returns the number of reserved tokens.
func (c *Claim) Tokens() int { return c.n }

// Deadline returns the machine time at which tokend may reap the claim. A call
// starts in the first half of the claim's lifetime and ends before the deadline.
func (c *Claim) Deadline() time.Time { return c.deadline }

// StartBy returns the machine time after which no call may start under the claim.
func (c *Claim) StartBy() time.Time {
	return c.deadline.Add(-token.Life(c.spender.env.Clock.Machine) / 2)
}

// Close ends the claim at its real price. The ledger's line is stored first, under the claim's ID:
// a crash in between leaves an open claim that tokend reaps, never a spent token without a line.
func (c *Claim) Close(ctx context.Context, consumed int, r *pipeline.Reading) error {
	e := c.entry(pipeline.EventClose, consumed)
	e.API = r
	result := answered
	if consumed == 0 && r == nil {
		result = "" // no call was made
	}
	return c.end(ctx, result, e, func(g token.Grant) token.Grant { return g.Settle(c.id, consumed, r) })
}

// CloseFailed ends a claim whose call returned no answer and whose price is known.
func (c *Claim) CloseFailed(ctx context.Context, consumed int, r *pipeline.Reading, note string) error {
	e := c.entry(pipeline.EventClose, consumed)
	e.API, e.Note = r, "failed: "+note
	return c.end(ctx, "failed", e, func(g token.Grant) token.Grant { return g.Settle(c.id, consumed, r) })
}

// CloseUnknown ends a claim whose answer never arrived. It settles nothing;
// tokend asks Keepa for the balance, and the call's cost appears as drift.
func (c *Claim) CloseUnknown(ctx context.Context, note string) error {
	e := c.entry(pipeline.EventClose, 0)
	e.Note = token.NoteUnknown + ": " + note
	return c.end(ctx, "unknown", e, func(g token.Grant) token.Grant { return g.SettleUnknown(c.id) })
}

// endWithin is how long a claim may be closed after its step was stopped: one that stays open is given up by tokend,
// and what was known of its cost is lost.
const endWithin = 2 * time.Second

// end writes the ledger's line and then the grant; both may be
// repeated. result is that of the call; empty without a call.
func (c *Claim) end(ctx context.Context, result string, e pipeline.Entry, f func(token.Grant) token.Grant) error {
	ctx, cancel := loop.Graceful(ctx, endWithin)
	defer cancel()
	if _, err := c.spender.bus.Publish(ctx, c.message(e, c.id)); err != nil {
		return fmt.Errorf("close claim %s: %w", c.id, err)
	}
	c.count(result, e.Tokens)
	_, err := bus.Change(ctx, c.spender.grant, func(g token.Grant) (token.Grant, bool, error) {
		return f(g), true, nil
	})
	if err != nil {
		return fmt.Errorf("close claim %s: %w", c.id, err)
	}
	return nil
}

// count adds the line to the metrics, once for a claim even if its end is retried.
func (c *Claim) count(result string, tokens int) {
	if c.counted || result == "" {
		return
	}
	c.counted = true
	c.spender.count(c.kind, result, 1, tokens)
}

func (c *Claim) entry(event pipeline.Event, tokens int) pipeline.Entry {
	return pipeline.Entry{
		Event: event, Stage: c.spender.stage, Plan: c.spender.bus.Plan(), At: c.spender.env.Now(), Tokens: tokens,
		PriceKind: c.kind, Items: c.items, Claim: c.id,
	}
}

func (c *Claim) message(e pipeline.Entry, id string) bus.Message {
	body, err := json.Marshal(e)
	if err != nil {
		panic(err) // an Entry contains nothing that JSON cannot encode
	}
	return bus.Message{Subject: e.Subject(), Schema: pipeline.SchemaLedger, ID: id, Body: body}
}
