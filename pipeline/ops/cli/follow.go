package cli

import (
	"context"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// Follow prints the visible deals and then each deal that becomes visible, once, until ctx ends. A refresh that finds a
// deal again does not make it new; a new price does. source is called with the source of the list.
//
//	         ┌ the list, which has all that the streams held before
//	remember ┤
//	         └ DEALS, and the accepts and confirms of VERDICTS, from there on ─▶ visible now? ─▶ shown
//
// A message on one of the two makes a deal visible. Their order does not matter: each makes the follower read the
// current state of the deal.
func (v *Visible) Follow(ctx context.Context, since time.Time, show Show, w io.Writer, source func(Source)) error {
	deals, err := v.b.Last(ctx, pipeline.StreamDeals)
	if err != nil {
		return err
	}
	verdicts, err := v.b.Last(ctx, pipeline.StreamVerdicts)
	if err != nil {
		return err
	}
	list, from, err := v.List(ctx, since)
	if err != nil {
		return err
	}
	source(from)
	f := follower{b: v.b, since: since, out: &stream{Show: show, w: w}, shown: map[pipeline.Identity]bool{}}
	for _, d := range list {
		if err := f.show(d); err != nil {
			return err
		}
	}
	if err := f.run(ctx, deals+1, verdicts+1); ctx.Err() == nil {
		return err
	}
	return nil
}

// follower shows what becomes visible.
type follower struct {
	b     *bus.Bus
	since time.Time
	out   *stream
	shown map[pipeline.Identity]bool
}

// run owns a goroutine for each of the two streams, and waits for them.
func (f follower) run(ctx context.Context, deals, verdicts uint64) error {
	touched := make(chan visibility.DealKey)
	work, ctx := errgroup.WithContext(ctx)
	touch := func(p visibility.DealKey) error {
		select {
		case touched <- p:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	work.Go(func() error {
		return f.b.Follow(ctx, pipeline.StreamDeals, bus.From{Sequence: deals}, func(r bus.Read) error {
			if v, err := visibility.ReadVersion(r.Stored()); err == nil {
				return touch(v.DealKey)
			}
			return nil
		})
	})
	work.Go(func() error {
		from := bus.From{Sequence: verdicts, Subjects: []string{"verdict.*.*.accept.>", "verdict.*.*.confirm.>"}}
		return f.b.Follow(ctx, pipeline.StreamVerdicts, from, func(r bus.Read) error {
			if v, err := visibility.ReadVerdict(r.Stored()); err == nil && v.Run == pipeline.RunLive {
				return touch(visibility.DealKeyOf(v.Identity))
			}
			return nil
		})
	})
	work.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case p := <-touched:
				if err := f.look(ctx, p); err != nil {
					return err
				}
			}
		}
	})
	return work.Wait()
}

// look shows a deal that is visible now and was not shown. It retries while the server is away.
func (f follower) look(ctx context.Context, p visibility.DealKey) error {
	for {
		book, err := readDeals(ctx, f.b, p)
		if err == nil {
			deals, err := dealsOf(book.Visible(f.since))
			for _, d := range deals {
				if !f.shown[d.Identity()] {
					return f.show(d)
				}
			}
			return err
		}
		f.b.Log.Debug("deal cannot be read, will retry", "asin", p.ASIN, "err", err)
		if process.Sleep(ctx, time.Second) != nil {
			return nil
		}
	}
}

func (f follower) show(d Deal) error {
	f.shown[d.Identity()] = true
	return f.out.show(d)
}
