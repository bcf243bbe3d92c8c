package replay

import (
	"context"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/seen"
)

// Reconsidered counts what changed rules mean for rejected work.
type Reconsidered struct {
	Rejected int `json:"rejected"` // verdicts that were decided again
	Still    int `json:"still"`    // rejected by these rules too
	Passes   int `json:"passes"`   // no longer rejected
	Offered  int `json:"offered"`  // of those, to the live pipeline; the others have a newer verdict or another price
	Lost     int `json:"lost"`     // not decided: their evidence is no longer stored, or unreadable
}

// Rejects decides again what each look rejected since from, under a version of the applied rules, and offers what
// passes now to the live pipeline. Each look is a run of its own. It is idempotent: a second call completes an
// interrupted one.
func Rejects(ctx context.Context, b *bus.Bus, rules []byte, version int, from time.Time, progress func(Step)) (Reconsidered, error) {
	var sum Reconsidered
	before := 0
	for _, look := range []pipeline.Look{pipeline.LookCommit, pipeline.LookPeek, pipeline.LookGlance} {
		last := Step{}
		r, err := rejectsOf(ctx, b, rules, version, look, from, func(s Step) {
			last = s
			progress(Step{Seen: before + s.Seen, Total: before + s.Total, Decided: sum.Rejected + s.Decided})
		})
		if err != nil {
			return sum, fmt.Errorf("the rejects of the %s: %w", look, err)
		}
		before += last.Total
		sum.add(r)
	}
	return sum, nil
}

func rejectsOf(ctx context.Context, b *bus.Bus, rules []byte, version int, look pipeline.Look, from time.Time, progress func(Step)) (*Replay, error) {
	run := b.Own(fmt.Sprintf("rules-%d-%s", version, look)) // versions are counted in each plan
	o := Options{Look: look, Rules: rules, Run: run, From: from, Rejects: true, ChangedOnly: true}
	l, err := openLedger(ctx, b, o.Run)
	if err != nil {
		return nil, err
	}
	o.Resume = l.exists()
	r, err := Open(ctx, b, nil, o, progress)
	if err == nil {
		err = r.Run(ctx, nil)
	}
	if err == nil {
		err = r.Publish(ctx)
	}
	return r, err
}

func (s *Reconsidered) add(r *Replay) {
	lost := 0
	for _, n := range r.Sums.Lost {
		lost += n
	}
	s.Rejected += r.Sums.Selected
	s.Lost += lost
	s.Passes += r.Sums.NewCount
	s.Still += r.Sums.Selected - lost - r.Sums.NewCount
	s.Offered += r.Published
}

// stillRejected returns those whose last verdict is a rejection: nothing else was decided since, and the price is
// the same.
func stillRejected(ctx context.Context, b *bus.Bus, all []pipeline.Candidate) ([]pipeline.Candidate, error) {
	ids := make([]pipeline.Identity, len(all))
	for i, c := range all {
		ids[i] = c.Identity
	}
	last, err := seen.Read(ctx, b, ids)
	if err != nil {
		return nil, err
	}
	var still []pipeline.Candidate
	for _, c := range all {
		if m, ok := last[c.Identity]; ok && m.Outcome == pipeline.Reject {
			still = append(still, c)
		}
	}
	return still, nil
}
