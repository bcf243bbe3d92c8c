// Package work is what peeker and committer share: reading candidates and
// survivors, publishing what a look concluded, and the counters of a daemon.
package work

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/keepa"
	"ratchet/pipeline/memory"
	"ratchet/pipeline/ruling"
	"ratchet/pipeline/stage"
)

// Unit is one candidate or survivor in hand.
type Unit struct {
	ruling.Work
	Origin     string // where it stands: STREAM/SEQUENCE
	Deliveries uint64
}

// Identity is what is being decided.
func (u Unit) Identity() pipeline.Identity { return u.Survivor.Identity }

// Read decodes a candidate or a survivor.
func Read(schema string) func(stage.Item) (Unit, error) {
	return func(it stage.Item) (Unit, error) {
		u := Unit{Deliveries: it.Deliveries, Origin: fmt.Sprintf("%s/%d", it.Stream, it.Sequence)}
		var err error
		u.Work, err = Decode(schema, it.Header, it.Body)
		return u, err
	}
}

// Decode reads a candidate or a survivor from a message's headers and body.
func Decode(schema string, header map[string][]string, body []byte) (ruling.Work, error) {
	head := stage.Item{Header: header}
	w := ruling.Work{ID: head.Head(pipeline.HeaderWorkID)}
	if got := head.Head(pipeline.HeaderSchema); got != schema {
		return w, fmt.Errorf("schema is %q, want %s", got, schema)
	}
	if w.ID == "" {
		return w, fmt.Errorf("header %s is missing", pipeline.HeaderWorkID)
	}
	if err := json.Unmarshal(body, &w.Survivor); err != nil {
		return w, fmt.Errorf("decode %s: %w", schema, err)
	}
	if !pipeline.ValidASIN(w.Survivor.ASIN) {
		return w, fmt.Errorf("%q is no ASIN", w.Survivor.ASIN)
	}
	var err error
	if w.Row, err = keepa.DecodeDealRow(w.Survivor.Row); err != nil {
		return w, fmt.Errorf("decode row of %s: %w", w.Survivor.ASIN, err)
	}
	return w, nil
}

// Effect is what a look makes happen, in this order: messages, then memory.
type Effect struct {
	Messages []bus.Message
	ID       pipeline.Identity
	Memory   *pipeline.Memory // set when the decision is final
}

// Apply publishes every message and then remembers every final decision.
func Apply(b *bus.Bus) func(context.Context, []Effect) error {
	return func(ctx context.Context, all []Effect) error {
		var ms []bus.Message
		for _, e := range all {
			ms = append(ms, e.Messages...)
		}
		if err := b.PublishAll(ctx, ms); err != nil {
			return err
		}
		for _, e := range all {
			if e.Memory == nil {
				continue
			}
			if err := memory.Remember(ctx, b, e.ID, *e.Memory); err != nil {
				return err
			}
		}
		return nil
	}
}

// Message is the verdict as it is published; its id is the verdict's identity
// within the run. origin names what was decided.
func Message(run, workID, origin string, v pipeline.Verdict) bus.Message {
	m := must(bus.Encode(pipeline.SubjectVerdict(v.Domain, v.Look, v.Outcome, v.ASIN), pipeline.SchemaVerdict,
		v.ID(run, workID), workID, v))
	m.Run = run
	if origin != "" {
		m.Header = map[string]string{pipeline.HeaderOrigin: origin}
	}
	return m
}

// Deal is the deal of an accepting live verdict as it is published.
func Deal(workID string, v pipeline.Verdict) bus.Message {
	return bus.Message{
		Subject: pipeline.SubjectDeal(v.Domain, v.PriceType, v.ASIN), Schema: pipeline.SchemaDeal,
		ID: "deal:" + workID, WorkID: workID, Body: v.Deal,
	}
}

// Memorable is what memory keeps of a final verdict; nil when it is not final.
func Memorable(v pipeline.Verdict) *pipeline.Memory {
	if !v.Outcome.Final() {
		return nil
	}
	return &pipeline.Memory{
		CreationDate: v.CreationDate, Look: v.Look, Outcome: v.Outcome, Reason: v.Reason, DecidedAt: v.DecidedAt, RuleSet: v.RuleSet,
	}
}

// Forward is the survivor that v lets through to the next look, on its lane.
func (u Unit) Forward(run string, v pipeline.Verdict, lane string) bus.Message {
	s := u.Survivor
	s.Look, s.RuleSet, s.Tier, s.ExpectedValueCents = v.Look, v.RuleSet, v.Tier, v.ExpectedValueCents
	s.TokensSpent, s.ResponseIDs = v.TokensSpent, v.ResponseIDs
	m := must(bus.Encode(pipeline.SubjectSurvivor(v.Domain, v.Look, lane, v.ASIN), pipeline.SchemaSurvivor,
		"survivor:"+v.ID(run, u.ID), u.ID, s))
	m.Run = run
	return m
}

// Conclude is everything that a live ruling makes happen: the survivor or the
// deal, then the verdict, then memory. Whoever reads the verdict finds what it
// led to. lane is where a survivor goes.
func (u Unit) Conclude(v pipeline.Verdict, lane string) Effect {
	e := Effect{ID: v.Identity, Memory: Memorable(v)}
	switch {
	case v.Outcome == pipeline.Survive:
		e.Messages = append(e.Messages, u.Forward(pipeline.RunLive, v, lane))
	case v.Deal != nil:
		e.Messages = append(e.Messages, Deal(u.ID, v))
	}
	e.Messages = append(e.Messages, Message(pipeline.RunLive, u.ID, u.Origin, v))
	return e
}

// must panics on what cannot happen: our own structs always encode.
func must(m bus.Message, err error) bus.Message {
	if err != nil {
		panic(err)
	}
	return m
}

// Postpone is a delay of 30 to 120 s of pipeline time, as machine time: calls
// that failed together should not come back together.
func Postpone(env daemon.Env) time.Duration {
	d := 30*time.Second + time.Duration(rand.Int64N(int64(90*time.Second)))
	return max(50*time.Millisecond, env.Clock.Machine(d))
}

// Nap is how long a loop that waits for work or tokens sleeps between looks: a
// few seconds of pipeline time, never long on the machine.
func Nap(env daemon.Env) time.Duration {
	return min(max(env.Clock.Machine(3*time.Second), 20*time.Millisecond), 250*time.Millisecond)
}

// Pulse is a daemon's heartbeat, kept by its loops.
type Pulse struct {
	mu  sync.Mutex
	now func() time.Time
	h   pipeline.Heartbeat
}

// NewPulse is a pulse on pipeline time.
func NewPulse(env daemon.Env) *Pulse {
	return &Pulse{now: env.Now, h: pipeline.Heartbeat{State: "idle", Counters: map[string]int64{}}}
}

// Beat is the heartbeat as it is now.
func (p *Pulse) Beat() pipeline.Heartbeat {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.h
	h.Counters = maps.Clone(h.Counters)
	return h
}

// State says what the daemon does: idle, working, waiting_for_tokens.
func (p *Pulse) State(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.State = s
}

// Count adds to a counter and marks progress.
func (p *Pulse) Count(name string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.Counters[name] += int64(n)
	p.h.LastProgress = p.now()
}

// Paid marks a paid call.
func (p *Pulse) Paid(tokens int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.LastPaid = p.now()
	p.h.Counters["calls"]++
	p.h.Counters["tokens"] += int64(tokens)
}

// Failed keeps the last error for people.
func (p *Pulse) Failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.LastError = err.Error()
	p.h.Counters["failures"]++
}
