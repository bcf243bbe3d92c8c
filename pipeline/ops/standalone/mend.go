package standalone

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/natsd"
)

// ensure creates what is missing in the store and mends what was damaged in it: docs/damage.md has
// the table. What cannot be mended is an error that names the directory and the next step.
func (b *Box) ensure(ctx context.Context) error {
	losses, err := b.nats.Losses()
	if err != nil {
		return err
	}
	if err := b.recreate(ctx); err != nil {
		return err
	}
	for _, l := range losses {
		if err := b.lost(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

// recreate ensures the topology. A consumer whose state could not be read was set aside: it is
// recreated where everything before is known to be settled, at the worst at the first message.
func (b *Box) recreate(ctx context.Context) error {
	err := b.Bus.Ensure(ctx)
	var stream *bus.DamagedStream
	if errors.As(err, &stream) {
		dir := b.nats.StreamDir(stream.Stream)
		return fmt.Errorf("%w; its files are in %s: stop Ratchet, move that directory away (mv %s /somewhere/else) and start again", err, dir, dir)
	}
	if err != nil {
		return err
	}
	for _, a := range b.nats.Aside() {
		from := b.nats.Floor(a.Stream, a.Durable) + 1
		err := b.Bus.Rewind(ctx, a.Stream, a.Durable, from)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			from, err = 1, nil // a target's of the notifier, which creates it
		}
		if err != nil {
			return err
		}
		b.o.Log.Warn("a consumer's state could not be read, it is recreated and repeats", "consumer", a.Durable,
			"stream", a.Stream, "from", from, "aside", a.To)
	}
	return nil
}

// lost reports what is gone and what follows. Survivors are made again from the candidates, for no
// token; everything else comes back by itself or is named in docs/damage.md.
func (b *Box) lost(ctx context.Context, l natsd.Loss) error {
	if l.Now < l.Last && l.Empty {
		if err := b.Bus.Raise(ctx, l.Stream, l.Last); err != nil {
			return err
		}
	}
	next := "nothing: it comes back by itself; docs/damage.md"
	switch l.Stream {
	case pipeline.StreamSurvivors:
		if err := b.Bus.Rewind(ctx, pipeline.StreamCandidates, pipeline.DurableGlance, 1); err != nil {
			return err
		}
		next = "nothing: every candidate is looked at again, for no token"
	case pipeline.StreamCandidates:
		next = "nats kv del WATERMARKS KEY for each query reads its list again; otherwise its next sweep does"
	case pipeline.StreamResponses, pipeline.StreamVerdicts, pipeline.StreamDeals, pipeline.StreamLedger, pipeline.StreamDead, pipeline.StreamActions:
		next = "restore the directory from a copy if you have one; docs/damage.md lists what is missing without it"
	}
	b.o.Log.Warn("a stream lost messages", "stream", l.Stream, "messages", l.Messages, "had", l.Last, "dir", l.Dir, "next", next)
	return nil
}
