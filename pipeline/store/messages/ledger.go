package messages

import (
	"context"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
)

// AppendLine adds a line to the ledger, which drops a repeat by the line's id.
func AppendLine(ctx context.Context, b *bus.Bus, l token.Line) error {
	l.Entry.Plan = b.Plan()
	m, err := bus.Encode(l.Entry.Subject(), pipeline.SchemaLedger, b.Own(l.ID), "", l.Entry)
	if err != nil {
		return err
	}
	_, err = b.Publish(ctx, m)
	return err
}
