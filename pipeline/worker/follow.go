package worker

import (
	"context"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// appliedEvery is how often what was applied is looked at beside the hints, which may be lost; machine time.
const appliedEvery = 5 * time.Second

// FollowKey looks at a key of CONFIG now, and again whenever it may have changed, until ctx ends. The error of the
// first look is its own.
func FollowKey(ctx context.Context, b *bus.Bus, env process.Env, key string, look func(context.Context) error) error {
	hint := make(chan struct{}, 1)
	poke := func() {
		select {
		case hint <- struct{}{}:
		default:
		}
	}
	stop, err := b.Hint("$KV."+pipeline.BucketConfig+"."+key, poke, 3*time.Millisecond, 30*time.Millisecond, 300*time.Millisecond)
	if err != nil {
		return fmt.Errorf("listen to %s: %w", key, err)
	}
	if err := look(ctx); err != nil {
		stop()
		return err
	}
	go func() {
		defer stop()
		tick := time.NewTicker(appliedEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-hint:
			case <-tick.C:
			}
			if err := look(ctx); err != nil && ctx.Err() == nil {
				env.Log.Debug("what was applied could not be looked at", "key", key, "err", err)
			}
		}
	}()
	return nil
}
