package peeker

import (
	"context"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/stall"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/seen"
	"ratchet/pipeline/worker"
)

// glanceBatch is how many candidates one step looks at; SEEN is read once for all of them.
const glanceBatch = 200

// recalled is what a glance knows in addition to the row.
type recalled struct {
	Judge *verdict.Judge
	Seen  pipeline.Seen
	Known bool
}

func (p *peeker) glanceLoop(ctx context.Context) (*loop.Loop[worker.Unit, recalled, worker.Effect], error) {
	inlet, err := p.bus.Inlet(ctx, pipeline.StreamCandidates, p.bus.Own(pipeline.DurableGlance))
	if err != nil {
		return nil, err
	}
	return &loop.Loop[worker.Unit, recalled, worker.Effect]{
		Take: func(ctx context.Context) (loop.Batch[worker.Unit, recalled], error) {
			items, err := inlet.Take(ctx, glanceBatch, bus.Patient)
			if len(items) == 0 {
				return loop.Batch[worker.Unit, recalled]{}, err
			}
			p.status.Observe(loopGlance, stall.Observation{Work: true, Tokens: true, Wish: true})
			judge, done := p.rules.Use()
			return loop.Batch[worker.Unit, recalled]{
				Items: items, Release: func(context.Context) { done() },
				Gather: func(ctx context.Context, units []worker.Unit) ([]recalled, error) { return p.recall(ctx, judge, units) },
			}, err
		},
		Read:   worker.Read(pipeline.SchemaCandidate),
		Decide: glancer{skip: p.cfg.Skip, clock: p.env.Clock}.decide,
		Apply: func(ctx context.Context, out []worker.Effect) error {
			err := worker.ApplyAndCount(p.bus, p.status, p.env.Log)(ctx, out)
			if err == nil {
				p.status.Stepped(loopGlance) // also if all of it is returned for later
			}
			return err
		},
		DeadLetter: p.deadLetter,
		Trace:      p.env.Trace, Name: loopGlance,
		Now: p.env.Now, Log: p.env.Log, Grace: min(p.cfg.Grace, freeGrace), Retry: 100 * time.Millisecond,
	}, nil
}

// recall reads the earlier decisions about all candidates at once.
func (p *peeker) recall(ctx context.Context, judge *verdict.Judge, units []worker.Unit) ([]recalled, error) {
	ids := make([]pipeline.Identity, len(units))
	for i, u := range units {
		ids[i] = u.Identity()
	}
	known, err := seen.Read(ctx, p.bus, ids)
	if err == nil {
		err = worker.AddQueries(ctx, p.bus, units)
	}
	if err != nil {
		p.status.Failed(err)
		return nil, err
	}
	out := make([]recalled, len(units))
	for i, id := range ids {
		m, ok := known[id]
		out[i] = recalled{Judge: judge, Seen: m, Known: ok}
	}
	return out, nil
}

// glancer is the configuration of a glance.
type glancer struct {
	skip  bool // every candidate survives
	clock process.Clock
}

// decide decides about a candidate from its row. An earlier decision stands, unless the source requests a new one.
func (g glancer) decide(u worker.Unit, r recalled, now time.Time) loop.Decision[worker.Effect] {
	if wait := u.Survivor.NotBefore.Sub(now); wait > 0 {
		return loop.Decision[worker.Effect]{After: g.clock.Machine(wait)}
	}
	if r.Known && r.Seen.Outcome.Final() && once(u.Survivor.Source) {
		return loop.Decision[worker.Effect]{Out: []worker.Effect{g.known(u, r, now)}}
	}
	return conclude(u, g.look(u, r, now))
}

func (g glancer) look(u worker.Unit, r recalled, now time.Time) decide.Decision {
	if g.skip {
		return decide.Skip(r.Judge, u.Work, now)
	}
	return decide.Glance(r.Judge, u.Work, now)
}

// known returns the effect of work that was decided before. A survivor is stored before its verdict: if the process
// died in between, a later look may have decided meanwhile. So the verdict of a redelivery is stored alone, and
// dropped if it is a repeat.
func (g glancer) known(u worker.Unit, r recalled, now time.Time) (e worker.Effect) {
	if u.Deliveries == 1 || r.Seen.Look == pipeline.LookGlance {
		return e
	}
	if v := g.look(u, r, now).Verdict; v.Outcome == pipeline.Survive {
		e.Messages = append(e.Messages, messages.Verdict(pipeline.RunLive, u.ID, u.Origin, v))
	}
	return e
}

// conclude returns the effects of a decision; a survivor of the
// glance has its source as its lane, one of the peek its tier.
func conclude(u worker.Unit, r decide.Decision) loop.Decision[worker.Effect] {
	lane := string(r.Verdict.Source)
	if r.Verdict.Look == pipeline.LookPeek {
		lane = string(r.Verdict.Tier)
	}
	e := u.Conclude(r.Verdict, lane)
	e.Changed = r.Changed
	return loop.Decision[worker.Effect]{Out: []worker.Effect{e}}
}

// once reports whether a source wants each identity decided only once.
func once(s pipeline.Source) bool {
	switch s {
	case pipeline.SourceLive, pipeline.SourceGap, pipeline.SourceBackfill:
		return true
	case pipeline.SourceRefresh, pipeline.SourceRepair, pipeline.SourceRetry:
		return false
	}
	return false
}
