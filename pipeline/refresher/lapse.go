package refresher

import (
	"context"
	"fmt"
	"iter"

	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/refresh"
	"ratchet/pipeline/store/messages"
)

// lapse publishes the end of each ignore whose time is over.
// After a crash the message is repeated under the same ID and dropped.
func (k *refresher) lapse(ctx context.Context) error {
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

// readActions reads the user's actions if there are new ones.
func (k *refresher) readActions(ctx context.Context) error {
	last, err := k.acted.Read(ctx)
	if err != nil || last == k.doneTo {
		return err
	}
	var done action.Record
	if err := messages.ScanActions(ctx, k.bus, done.Add); err != nil {
		return err
	}
	k.done, k.doneTo, k.actions = done, last, done.Rules()
	return nil
}

// worthAToken leaves out the holdings that are not watched.
func (k *refresher) worthAToken(all iter.Seq[refresh.Holding]) iter.Seq[refresh.Holding] {
	return func(yield func(refresh.Holding) bool) {
		for h := range all {
			if k.watched(h) && !yield(h) {
				return
			}
		}
	}
}

// watched reports whether a deal is worth a token: one that was bought
// or is ignored need not be confirmed. After an undo it is due at once.
func (k *refresher) watched(h refresh.Holding) bool {
	return k.actions.Hides(action.Product{Domain: h.Domain, ASIN: h.ASIN}) == ""
}
