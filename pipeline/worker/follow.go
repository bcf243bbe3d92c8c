package worker

import (
	"context"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// FollowKey calls read for a key of CONFIG now, and again whenever it may have changed, until ctx ends.
// It returns the error of the first read; later ones are logged.
func FollowKey(ctx context.Context, b *bus.Bus, env process.Env, key string, read func(context.Context) error) error {
	hint := process.NewHint()
	stop, err := b.Hint(pipeline.KeySubject(pipeline.BucketConfig, key), hint.Give)
	if err != nil {
		return fmt.Errorf("listen to %s: %w", key, err)
	}
	if err := read(ctx); err != nil {
		stop()
		return err
	}
	go func() {
		defer stop()
		for {
			t := time.NewTimer(max(time.Second, bus.Fallback(env.Clock))) // a hint may be lost
			select {
			case <-ctx.Done():
				t.Stop()
				return
			case <-hint:
			case <-t.C:
			}
			t.Stop()
			if err := read(ctx); err != nil && ctx.Err() == nil {
				env.Log.Debug("what was applied could not be read", "key", key, "err", err)
			}
		}
	}()
	return nil
}
