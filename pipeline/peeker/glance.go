package peeker

import (
	"context"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/stall"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/store/seen"
	"ratchet/pipeline/worker"
)

// glanceBatch is how many candidates one step looks at; memory is asked once for
// all of them.
const glanceBatch = 200

// recalled is what a glance knows beside the row.
type recalled struct {
	Memory pipeline.Memory
	Known  bool
}

func (p *peeker) glanceLoop(ctx context.Context) (*loop.Loop[worker.Unit, recalled, worker.Effect], error) {
	inlet, err := p.bus.Inlet(ctx, pipeline.StreamCandidates, pipeline.DurableGlance)
	if err != nil {
		return nil, err
	}
	return &loop.Loop[worker.Unit, recalled, worker.Effect]{
		Take: func(ctx context.Context) ([]loop.Item, error) {
			items, err := inlet.Take(ctx, glanceBatch, time.Second)
			if len(items) > 0 {
				p.pulse.See(loopGlance, stall.Sight{Work: true, Tokens: true, Wish: true})
			}
			return items, err
		},
		Read:   worker.Read(pipeline.SchemaCandidate),
		Gather: p.recall,
		Decide: p.glance,
		Apply: func(ctx context.Context, out []worker.Effect) error {
			err := worker.Apply(p.bus)(ctx, out)
			if err == nil {
				p.pulse.Stepped(loopGlance) // also when all of it is to come back later
			}
			return err
		},
		Bury: func(ctx context.Context, it loop.Item, reason string, cause error) error {
			p.pulse.Count("dead", 1)
			return p.bus.Bury(ctx, string(pipeline.StagePeeker), it, reason, cause)
		},
		Now: p.env.Now, Log: p.env.Log, Grace: p.cfg.Grace, Retry: 100 * time.Millisecond,
	}, nil
}

// recall asks memory about every candidate at once.
func (p *peeker) recall(ctx context.Context, units []worker.Unit) ([]recalled, error) {
	ids := make([]pipeline.Identity, len(units))
	for i, u := range units {
		ids[i] = u.Identity()
	}
	known, err := seen.Recall(ctx, p.bus, ids)
	if err == nil {
		err = worker.Name(ctx, p.bus, units)
	}
	if err != nil {
		p.pulse.Failed(err)
		return nil, err
	}
	out := make([]recalled, len(units))
	for i, id := range ids {
		m, ok := known[id]
		out[i] = recalled{Memory: m, Known: ok}
	}
	return out, nil
}

// glance decides about a candidate on its row. What was decided stays decided,
// unless the source asks for it again.
func (p *peeker) glance(u worker.Unit, r recalled, now time.Time) loop.Decision[worker.Effect] {
	if wait := u.Survivor.NotBefore.Sub(now); wait > 0 {
		return loop.Decision[worker.Effect]{Again: p.env.Clock.Machine(wait)}
	}
	if r.Known && r.Memory.Outcome.Final() && once(u.Survivor.Source) {
		p.pulse.Count("known", 1)
		return loop.Decision[worker.Effect]{}
	}
	if p.cfg.Skip {
		return p.conclude(u, decide.Skip(p.rules.Judge(), u.Work, now))
	}
	return p.conclude(u, decide.Glance(p.rules.Judge(), u.Work, now))
}

// conclude counts a ruling and makes it happen; a survivor of the glance keeps its
// source as its lane, one of the peek has its tier.
func (p *peeker) conclude(u worker.Unit, r decide.Ruling) loop.Decision[worker.Effect] {
	v := r.Verdict
	p.pulse.Changed(p.env.Log, r.Changed)
	lane := string(v.Source)
	if v.Look == pipeline.LookPeek {
		lane = string(v.Tier)
	}
	p.pulse.Count(string(v.Look)+"_"+string(v.Outcome), 1)
	p.pulse.Verdict(v.Look, v.Outcome, v.Reason)
	p.pulse.Decided(u.ID)
	return loop.Decision[worker.Effect]{Out: []worker.Effect{u.Conclude(v, lane)}}
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
