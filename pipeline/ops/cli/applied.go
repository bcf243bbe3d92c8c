package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

// errConflict means that another process applied something at the same time.
var errConflict = errors.New("others were applied at the same time; look at the history and repeat the command")

// versions returns the versions of a key of CONFIG, the oldest first. Unreadable ones are skipped.
func versions[T any](ctx context.Context, b *bus.Bus, key string, version func(T) int) ([]T, error) {
	var all []T
	from := bus.From{Subjects: []string{"$KV." + pipeline.BucketConfig + "." + key}}
	err := bus.ScanJSON(ctx, b, "KV_"+pipeline.BucketConfig, from, func(_ bus.Read, a T) error {
		if version(a) > 0 {
			all = append(all, a)
		}
		return nil
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w; no daemon of this build has run on this NATS: start one with `ratchet up`, or run `ratchet topology apply`", err)
	}
	return all, err
}

// apply writes the next version of a key of CONFIG, and returns what is stored.
func apply[T any](ctx context.Context, b *bus.Bus, key string, a T, version func(*T) *int) (T, error) {
	kv, err := b.Store(ctx, pipeline.BucketConfig)
	if err != nil {
		return a, fmt.Errorf("%w; start the pipeline with `ratchet up`, or run `ratchet topology apply`", err)
	}
	cell := bus.NewCell(kv, key)
	_, rev, err := cell.Read(ctx)
	if err != nil {
		return a, err
	}
	all, err := versions(ctx, b, key, func(a T) int { return *version(&a) })
	if err != nil {
		return a, err
	}
	next := 1
	for i := range all {
		next = max(next, *version(&all[i])+1)
	}
	*version(&a) = next
	body, err := json.Marshal(a)
	if err != nil {
		return a, err
	}
	if _, err = cell.Swap(ctx, rev, body); errors.Is(err, bus.ErrConflict) {
		err = errConflict
	}
	return a, err
}
