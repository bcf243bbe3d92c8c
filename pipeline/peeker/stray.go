package peeker

import (
	"context"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
)

// strayLoops are those of the first of several plans; a single key needs none.
func (p *peeker) strayLoops(ctx context.Context) (all []*loop.Loop[loop.Item, struct{}, struct{}], err error) {
	if !p.bus.FirstOfSeveral() {
		return nil, nil
	}
	for _, stream := range []string{pipeline.StreamCandidates, pipeline.StreamSurvivors} {
		l, err := p.strayLoop(ctx, stream)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// strayLoop dead-letters every message with an unknown marketplace number. It acknowledges the others, which
// their plan's consumers deliver.
func (p *peeker) strayLoop(ctx context.Context, stream string) (*loop.Loop[loop.Item, struct{}, struct{}], error) {
	inlet, err := p.bus.Inlet(ctx, stream, pipeline.DurableStray)
	if err != nil {
		return nil, err
	}
	return &loop.Loop[loop.Item, struct{}, struct{}]{
		Take: func(ctx context.Context) (loop.Batch[loop.Item, struct{}], error) {
			items, err := inlet.Take(ctx, glanceBatch, bus.Patient)
			return loop.Batch[loop.Item, struct{}]{
				Items:  items,
				Gather: func(_ context.Context, in []loop.Item) ([]struct{}, error) { return make([]struct{}, len(in)), nil },
			}, err
		},
		Read:       func(it loop.Item) (loop.Item, error) { return it, p.bus.CheckDomain(it.Subject) },
		Decide:     func(loop.Item, struct{}, time.Time) (d loop.Decision[struct{}]) { return d },
		Apply:      func(context.Context, []struct{}) error { return nil },
		DeadLetter: p.deadLetter,
		Now:        p.env.Now, Log: p.env.Log, Grace: min(p.cfg.Grace, freeGrace), Retry: 100 * time.Millisecond,
	}, nil
}

func (p *peeker) deadLetter(ctx context.Context, it loop.Item, reason string, cause error) error {
	p.status.Count("dead", 1)
	return p.bus.DeadLetter(ctx, string(pipeline.StagePeeker), it, reason, cause)
}
