package recorder

import (
	"context"
	"time"
)

const (
	tidyEvery  = time.Hour        // machine time, as retention
	tidyWithin = 10 * time.Minute // one time
)

// tidyUp keeps small what ClickHouse does not keep small by itself. Nothing depends on it but room and the speed of some
// questions, so a failure waits for the next time. Where several recorders run, each does it: a second time in the same hour
// finds nothing to do.
func (r *recorder) tidyUp(ctx context.Context) {
	for ctx.Err() == nil {
		if err := r.tidyOnce(ctx); err != nil && ctx.Err() == nil {
			r.env.Log.Warn("tidying up failed, will repeat", "pause", tidyEvery, "err", err)
		}
		rest(ctx, tidyEvery)
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
