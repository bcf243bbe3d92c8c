package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

// Runs are the records of all runs, the newest first. One that cannot be read is passed over.
func Runs(ctx context.Context, b *bus.Bus) ([]Record, error) {
	kv, err := b.Store(ctx, pipeline.BucketRuns)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys, err := bus.Keys(ctx, kv)
	if err != nil {
		return nil, fmt.Errorf("list the runs: %w", err)
	}
	var out []Record
	for _, key := range keys {
		e, err := kv.Get(ctx, key)
		if err != nil {
			continue // it was forgotten meanwhile
		}
		if r, err := bus.Decode[Record](bus.NewCell(kv, key), e.Value()); err == nil {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Record) int { return b.Began.Compare(a.Began) })
	return out, nil
}
