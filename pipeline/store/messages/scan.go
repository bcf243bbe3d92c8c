package messages

import (
	"context"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
)

// ScanVerdicts calls f for every stored verdict of a selection, oldest first. What the
// recorder buries is passed over, so that it hides nothing else.
func ScanVerdicts(ctx context.Context, b *bus.Bus, from bus.From, f func(bus.Read, visibility.Verdict) error) error {
	return b.Scan(ctx, pipeline.StreamVerdicts, from, func(r bus.Read) error {
		v, err := visibility.ReadVerdict(r.Stored())
		if err != nil {
			return nil //nolint:nilerr // it is on DEAD, with its reason
		}
		return f(r, v)
	})
}

// ScanActions calls f for everything that the user did, oldest first. What cannot be read is passed over.
func ScanActions(ctx context.Context, b *bus.Bus, f func(action.Said)) error {
	return b.Scan(ctx, pipeline.StreamActions, bus.From{}, func(r bus.Read) error {
		if said, err := action.Read(r.Stored()); err == nil {
			f(said)
		}
		return nil
	})
}
