// Package worker holds what the spending daemons and the refresher share: units of work and the effects of their
// verdicts, redelivery, applied rules, the circuit breaker, and the heartbeat.
package worker

import (
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/metric"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/trace"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/seen"
)

// Unit is one candidate or survivor in progress.
type Unit struct {
	decide.Work
	Origin     string // STREAM/SEQUENCE
	Sequence   uint64
	Deliveries uint64

	// The message as delivered, for dead letters.
	Subject string
	Header  map[string][]string
	Body    []byte
}

// Identity returns the identity of what is being decided.
func (u Unit) Identity() pipeline.Identity { return u.Survivor.Identity }

// Limit returns the maximum age of another work's answer: a refresh needs a newer one, and an answer from before the
// price began does not contain it. It is at most fresh.
func (u Unit) Limit(fresh time.Duration, now time.Time) time.Duration {
	if s := u.Survivor.Source; u.Survivor.Pay || s == pipeline.SourceRefresh || s == pipeline.SourceRepair {
		return 0
	}
	return max(0, min(fresh, now.Sub(u.Row.CreationDate.Time())))
}

// Read decodes a candidate or a survivor.
func Read(schema string) func(loop.Item) (Unit, error) {
	return func(it loop.Item) (Unit, error) {
		w, err := messages.Work(schema, it.Header, it.Body)
		return Unit{
			Work: w, Origin: messages.Origin(it.Stream, it.Sequence), Sequence: it.Sequence, Deliveries: it.Deliveries,
			Subject: it.Subject, Header: it.Header, Body: it.Body,
		}, err
	}
}

// AddQueries adds to each unit the queries that list it now, including those that listed it after it was offered.
func AddQueries(ctx context.Context, b *bus.Bus, units []Unit) error {
	ids := make([]pipeline.Identity, len(units))
	for i, u := range units {
		ids[i] = u.Identity()
	}
	wanted, err := seen.Wanted(ctx, b, ids)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if more := wanted[id]; len(more) > 0 {
			units[i].Survivor.Queries = seen.Union(units[i].Survivor.Queries, more)
		}
	}
	return nil
}

// Effect is the effect of a look, applied in this order: messages, then SEEN, then the heartbeat's counters.
type Effect struct {
	Messages []bus.Message
	ID       pipeline.Identity
	Seen     *pipeline.Seen // set when the decision is final

	WorkID  string             // empty for work that was decided before
	Verdict pipeline.Verdict   // of WorkID
	Changed []*keepa.TypeError // fields of the answer with an unexpected type
}

// Apply publishes the survivors and deals, then the verdicts, so that a reader of a
// verdict finds its consequence, and then stores every final decision in SEEN.
func Apply(b *bus.Bus) func(context.Context, []Effect) error {
	return func(ctx context.Context, all []Effect) error {
		var first, verdicts []bus.Message
		var final []seen.Decided
		for _, e := range all {
			for _, m := range e.Messages {
				if m.Schema == pipeline.SchemaVerdict {
					verdicts = append(verdicts, m)
				} else {
					first = append(first, m)
				}
			}
			if e.Seen != nil {
				final = append(final, seen.Decided{ID: e.ID, Seen: *e.Seen})
			}
		}
		for _, ms := range [][]bus.Message{first, verdicts} {
			if err := b.PublishAll(ctx, ms); err != nil {
				return err
			}
		}
		return seen.StoreAll(ctx, b, final)
	}
}

// ApplyAndCount applies the effects, and then counts them.
func ApplyAndCount(b *bus.Bus, p *Status, log *slog.Logger) func(context.Context, []Effect) error {
	apply := Apply(b)
	return func(ctx context.Context, all []Effect) error {
		if err := apply(ctx, all); err != nil {
			return err
		}
		for _, e := range all {
			p.made(log, e)
			trace.Note(ctx, e.WorkID, "ratchet.outcome", string(e.Verdict.Outcome))
			trace.Note(ctx, e.WorkID, "ratchet.reason", e.Verdict.Reason)
		}
		return nil
	}
}

// made counts a decision.
func (p *Status) made(log *slog.Logger, e Effect) {
	if e.WorkID == "" {
		p.Count("known", 1)
		return
	}
	v := e.Verdict
	p.Changed(log, e.Changed)
	p.Count(string(v.Look)+"_"+string(v.Outcome), 1)
	p.Verdict(v.Look, v.Outcome, v.Reason)
	p.Decided(e.WorkID)
}

// SeenOf returns what SEEN holds of a final verdict; nil if it is not final.
func SeenOf(v pipeline.Verdict) *pipeline.Seen {
	if !v.Outcome.Final() {
		return nil
	}
	return &pipeline.Seen{
		CreationDate: v.CreationDate, Look: v.Look, Outcome: v.Outcome, Reason: v.Reason, DecidedAt: v.DecidedAt, RuleSet: v.RuleSet,
	}
}

// Conclude returns the effect of a live decision: the survivor or the deal, then the verdict, then
// SEEN, so that a reader of the verdict finds its consequence. lane is where a survivor goes.
func (u Unit) Conclude(v pipeline.Verdict, lane string) Effect {
	e := Effect{ID: v.Identity, Seen: SeenOf(v), WorkID: u.ID, Verdict: v}
	switch {
	case v.Outcome == pipeline.Survive:
		e.Messages = append(e.Messages, messages.Survivor(u.Work, v, lane))
	case v.Deal != nil:
		e.Messages = append(e.Messages, messages.Deal(u.ID, v))
	}
	e.Messages = append(e.Messages, messages.Verdict(pipeline.RunLive, u.ID, u.Origin, v))
	return e
}

// Postpone reports returned work and delays it by 30 to 120 s of pipeline time,
// as machine time: calls that failed together should not be retried together.
func Postpone(env process.Env, p *Status) func(Unit, error) time.Duration {
	return func(u Unit, why error) time.Duration {
		p.Again(env.Log, u.ID, why)
		d := 30*time.Second + time.Duration(rand.Int64N(int64(90*time.Second)))
		return max(50*time.Millisecond, env.Clock.Machine(d))
	}
}

// Status is the heartbeat of a daemon, which its loops update concurrently.
type Status struct {
	mu   sync.Mutex
	now  func() time.Time
	h    pipeline.Heartbeat
	back map[string]back // work that was returned

	logged map[string]time.Time // when each reason for that was last logged

	still standstill

	metrics *metric.Set // nil without metrics
}

// NewStatus returns a heartbeat in pipeline time.
func NewStatus(env process.Env) *Status {
	return &Status{now: env.Now, metrics: env.Health.Metrics(), h: pipeline.Heartbeat{State: "idle", Counters: map[string]int64{}, Detail: map[string]any{}}}
}

// Beat returns the current heartbeat.
func (p *Status) Beat() pipeline.Heartbeat {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.back) > 0 {
		p.show()
	}
	h := p.h
	h.Counters = maps.Clone(h.Counters)
	p.still.show(&h, p.now())
	return h
}

// State sets what the daemon does: idle, working, waiting_for_tokens.
func (p *Status) State(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.State = s
}

// Count adds to a counter and records progress.
func (p *Status) Count(name string, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.Counters[name] += int64(n)
	p.h.LastProgress = p.now()
}

// Verdict counts a decision by its reason, only in the metrics: a heartbeat has no room for reasons.
func (p *Status) Verdict(l pipeline.Look, o pipeline.Outcome, reason string) {
	p.metrics.Count(metric.Decisions, 1, string(l), string(o), reason)
}

// Paid records a paid call.
func (p *Status) Paid(tokens int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.LastPaid = p.now()
	p.h.Counters["calls"]++
	p.h.Counters["tokens"] += int64(tokens)
}

// Failed records the last error.
func (p *Status) Failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.h.LastError, p.still.failed = err.Error(), err.Error()
	p.still.failures++
	p.h.Counters["failures"]++
}
