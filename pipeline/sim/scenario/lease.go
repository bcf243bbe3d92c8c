package scenario

import (
	"context"
	"fmt"
	"time"

	"ratchet/pipeline"
)

// loseTheLease deletes tokend's leader key repeatedly, as its expiry would: the
// next instance to ask becomes the leader, and the old one must notice.
func loseTheLease(from, every time.Duration, times int) []Step {
	var steps []Step
	for i := range times {
		steps = append(steps, Step{At: from + time.Duration(i)*every, Name: "the leader loses its lease", Do: dropLease})
	}
	return steps
}

func dropLease(ctx context.Context, r *Rig) error {
	kv, err := r.Bus.Store(ctx, pipeline.BucketLeaders)
	if err != nil {
		return err
	}
	if err := kv.Delete(ctx, pipeline.KeyLeader); err != nil {
		return fmt.Errorf("delete the lease: %w", err)
	}
	return nil
}
