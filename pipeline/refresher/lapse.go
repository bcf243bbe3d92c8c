package refresher

import (
	"context"
	"fmt"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/store/messages"
)

// lapse says of what the user ignores for a time that the time is over. A crash after the message is published repeats
// it under the same id, which counts once.
func (k *keeper) lapse(ctx context.Context) error {
	if err := k.readActions(ctx); err != nil {
		return fmt.Errorf("read what is ignored: %w", err)
	}
	for _, over := range k.done.Due(k.env.Now()) {
		if _, err := k.bus.Publish(ctx, messages.Action(over)); err != nil {
			return err
		}
	}
	return nil
}

// readActions reads what the user did, where something was said since the last time.
func (k *keeper) readActions(ctx context.Context) error {
	last, err := k.bus.Last(ctx, pipeline.StreamActions)
	if err != nil || last == k.doneTo {
		return err
	}
	var done action.Record
	if err := messages.ScanActions(ctx, k.bus, done.Hear); err != nil {
		return err
	}
	k.done, k.doneTo, k.actions = done, last, done.Rules()
	return nil
}

// watched reports whether a deal is worth a token: of one that was bought or is ignored nobody wants to know
// whether it still is one. After an undo it is due at once.
func (k *keeper) watched(h refresh.Holding) bool {
	return k.actions.Hides(action.Product{Domain: h.Domain, ASIN: h.ASIN}) == ""
}
