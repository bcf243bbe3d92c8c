package onebox

import (
	"context"
	"errors"
	"fmt"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/embedded/natsd"
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

// recreate ensures the topology; a consumer whose state the server cannot read is set aside and
// recreated where everything before is known to be settled, at the worst at the first message.
func (b *Box) recreate(ctx context.Context) error {
	for {
		err := b.Bus.Ensure(ctx)
		var stream *bus.DamagedStream
		if errors.As(err, &stream) {
			dir := b.nats.StreamDir(stream.Stream)
			return fmt.Errorf("%w; its files are in %s: stop Ratchet, move that directory away (mv %s /somewhere/else) and start again", err, dir, dir)
		}
		var damaged *bus.DamagedConsumer
		if !errors.As(err, &damaged) {
			return err
		}
		aside, err := b.nats.SetAside(damaged.Stream, damaged.Durable)
		if err != nil {
			return errors.Join(damaged, err)
		}
		if err := b.Bus.Create(ctx, damaged.Stream, damaged.Durable); err != nil {
			return err
		}
		from := b.nats.Floor(damaged.Stream, damaged.Durable) + 1
		if err := b.Bus.Rewind(ctx, damaged.Stream, damaged.Durable, from); err != nil {
			return err
		}
		b.o.Log.Warn("a consumer's state could not be read, it is recreated and repeats", "consumer", damaged.Durable,
			"stream", damaged.Stream, "from", from, "aside", aside)
	}
}

// lost says what is gone and what follows. Survivors are made again from the candidates, for no
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
		next = "restore the directory from a copy if you have one; docs/damage.md says what is missing without it"
	}
	b.o.Log.Warn("a stream lost messages", "stream", l.Stream, "messages", l.Messages, "had", l.Last, "dir", l.Dir, "next", next)
	return nil
}
