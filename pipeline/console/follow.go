package console

import (
	"context"
	"io"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
)

// Follow prints the visible deals and then every new one as it is found, until ctx
// ends. A refresh that finds a deal again is not a new one; a new price is.
func Follow(ctx context.Context, b *bus.Bus, since time.Time, format string, w io.Writer) error {
	last, err := b.Last(ctx, pipeline.StreamDeals)
	if err != nil {
		return err
	}
	deals, err := Deals(ctx, b, since)
	if err != nil {
		return err
	}
	out := &stream{w: w, format: format}
	shown := map[pipeline.Identity]bool{}
	for _, d := range deals {
		if err := out.show(d); err != nil {
			return err
		}
		shown[d.identity()] = true
	}
	return b.Follow(ctx, pipeline.StreamDeals, last+1, func(r bus.Read) error {
		d, err := readDeal(r)
		if err != nil || shown[d.identity()] || d.DecidedAt.Before(since) {
			return err
		}
		shown[d.identity()] = true
		return out.show(d)
	})
}
