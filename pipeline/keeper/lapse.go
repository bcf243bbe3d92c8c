package keeper

import (
	"context"
	"fmt"

	"ratchet/pipeline"
	"ratchet/pipeline/action"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/post"
	"ratchet/pipeline/stock"
)

// lapse says of what the user ignores for a time that the time is over. A crash after the message is published repeats
// it under the same id, which counts once.
func (k *keeper) lapse(ctx context.Context) error {
	var done action.Record
	err := k.bus.Scan(ctx, pipeline.StreamActions, bus.From{}, func(r bus.Read) error {
		if said, err := action.Read(r.Stored()); err == nil {
			done.Hear(said)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what is ignored: %w", err)
	}
	for _, over := range done.Due(k.env.Now()) {
		if _, err := k.bus.Publish(ctx, post.Action(over)); err != nil {
			return err
		}
	}
	k.actions = done.Rules()
	return nil
}

// watched reports whether a deal is worth a token: of one that was bought or is ignored nobody wants to know
// whether it still is one. After an undo it is due at once.
func (k *keeper) watched(h stock.Holding) bool {
	return k.actions.Hides(action.Product{Domain: h.Domain, ASIN: h.ASIN}) == ""
}
