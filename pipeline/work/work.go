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
	"ratchet/pipeline/stage"
	"ratchet/pipeline/verdict"
)

// Unit is one candidate or survivor in hand.
type Unit struct {
	WorkID     string
	Survivor   pipeline.Survivor // a candidate is a survivor of nothing
	Row        keepa.DealRow
	Deliveries uint64
}

// Identity is what is being decided.
func (u Unit) Identity() pipeline.Identity { return u.Survivor.Identity }

// Read decodes a candidate or a survivor.
func Read(schema string) func(stage.Item) (Unit, error) {
	return func(it stage.Item) (Unit, error) {
		if got := it.Head(pipeline.HeaderSchema); got != schema {
			return Unit{}, fmt.Errorf("schema is %q, want %s", got, schema)
		}
		u := Unit{WorkID: it.Head(pipeline.HeaderWorkID), Deliveries: it.Deliveries}
		if u.WorkID == "" {
			return u, fmt.Errorf("header %s is missing", pipeline.HeaderWorkID)
		}
		if err := json.Unmarshal(it.Body, &u.Survivor); err != nil {
			return u, fmt.Errorf("decode %s: %w", schema, err)
		}
		if !pipeline.ValidASIN(u.Survivor.ASIN) {
			return u, fmt.Errorf("%q is no ASIN", u.Survivor.ASIN)
		}
		var err error
		if u.Row, err = keepa.DecodeDealRow(u.Survivor.Row); err != nil {
			return u, fmt.Errorf("decode row of %s: %w", u.Survivor.ASIN, err)
		}
		return u, nil
	}
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

// Paid is what a look cost and rests on.
type Paid struct {
	Tokens      int
	ResponseIDs []string // all answers that the work rests on, this look's last
}

// Verdict is the verdict of a finding about a unit.
func (u Unit) Verdict(look pipeline.Look, f verdict.Finding, ruleSet string, p Paid, now time.Time) pipeline.Verdict {
	v := pipeline.Verdict{
		Identity: u.Identity(), Look: look, Outcome: f.Outcome, Reason: f.Reason, RuleID: f.RuleID, RuleSet: ruleSet,
		Heuristic: f.Heuristic, Inputs: f.Inputs, Unknown: f.Unknown, Source: u.Survivor.Source, Tier: f.Tier,
		Queries: u.Survivor.Queries, RootCategory: u.Row.RootCategory, ListedAt: u.Survivor.ListSeenAt, DecidedAt: now,
		Tokens: p.Tokens, TokensSpent: u.Survivor.TokensSpent + p.Tokens, ResponseIDs: nonNil(p.ResponseIDs), Title: u.Row.Title,
	}
	if f.Inputs == nil {
		v.Inputs = map[string]any{}
	}
	v.Unknown = nonNil(f.Unknown)
	if f.ExpectedKnown {
		v.ExpectedValueCents = &f.ExpectedValueCents
	}
	if f.ProfitKnown {
		v.ProfitCents = &f.ProfitCents
	}
	return v
}

func nonNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// Message is the verdict as it is published; its id is the verdict's identity.
func Message(workID string, v pipeline.Verdict) bus.Message {
	return must(bus.Encode(pipeline.SubjectVerdict(v.Domain, v.Look, v.Outcome, v.ASIN), pipeline.SchemaVerdict,
		v.ID(pipeline.RunLive, workID), workID, v))
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
func (u Unit) Forward(v pipeline.Verdict, lane string) bus.Message {
	s := u.Survivor
	s.Look, s.RuleSet, s.Tier, s.ExpectedValueCents = v.Look, v.RuleSet, v.Tier, v.ExpectedValueCents
	s.TokensSpent, s.ResponseIDs = v.TokensSpent, v.ResponseIDs
	return must(bus.Encode(pipeline.SubjectSurvivor(v.Domain, v.Look, lane, v.ASIN), pipeline.SchemaSurvivor,
		"survivor:"+v.ID(pipeline.RunLive, u.WorkID), u.WorkID, s))
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
