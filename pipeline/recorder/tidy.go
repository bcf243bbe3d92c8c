package recorder

import (
	"context"
	"time"

	"ratchet/pipeline/platform/process"
)

const (
	tidyEvery  = time.Hour        // machine time, as retention
	tidyWithin = 10 * time.Minute // for each run
)

// tidyUp runs the maintenance that ClickHouse does not do by itself. Only disk space and
// the speed of some queries depend on it, so after a failure it waits for the next hour.
// Several recorders may all run it: a second run within the hour finds nothing to do.
func (r *recorder) tidyUp(ctx context.Context) {
	for ctx.Err() == nil {
		if err := r.tidyOnce(ctx); err != nil && ctx.Err() == nil {
			r.env.Log.Warn("tidying up failed, will retry", "pause", tidyEvery, "err", err)
		}
		_ = process.Sleep(ctx, tidyEvery) // the condition checks ctx
	}
}

func (r *recorder) tidyOnce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, tidyWithin)
	defer cancel()
	s, err := r.store.open(ctx)
	if err != nil {
		return err
	}
	n, err := s.Tidy(ctx)
	if n > 0 {
		r.env.Log.Info("forgot rejects that can hide no deal", "rejects", n)
	}
	return err
}
