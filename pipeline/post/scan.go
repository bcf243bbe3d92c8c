package post

import (
	"context"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/standing"
)

// ScanVerdicts calls f for every stored verdict of a selection, oldest first. What the
// recorder buries is passed over, so that it hides nothing else.
func ScanVerdicts(ctx context.Context, b *bus.Bus, from bus.From, f func(bus.Read, standing.Verdict) error) error {
	return b.Scan(ctx, pipeline.StreamVerdicts, from, func(r bus.Read) error {
		v, err := standing.ReadVerdict(r.Stored())
		if err != nil {
			return nil //nolint:nilerr // it is on DEAD, with its reason
		}
		return f(r, v)
	})
}
