package recorder

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/warehouse"
)

// An event is one row (warehouse.Row defines which messages are the same event), but it may arrive in two messages,
// because the stream drops a repeat only within its dedup window. So a batch is looked up before it is inserted,
// and rows that are stored under another row ID are left out.
//
// That is exact only if the first of two messages of an event is settled before the second is looked up, whichever
// recorder holds them and however long it was suspended. Two such messages were stored at least a dedup window
// apart. So a message that was stored a window or more after the oldest unsettled one is not eligible and is
// deferred: all that is looked up and inserted at a time then lies within one window.
//
// A recorder that was suspended meanwhile may hold messages that another one has settled. It inserts them under the
// row IDs under which they are stored, which changes nothing.

// insertMissing stores the rows that are not stored yet.
func (l *streamRecorder[R]) insertMissing(ctx context.Context, s sink, rows []R, token string) error {
	events := warehouse.Events(rows)
	stored, err := s.Stored(ctx, l.stream, events)
	if err != nil {
		return notOfTheRows(err)
	}
	fresh, seen := warehouse.WithoutRepeats(rows, events, stored)
	// The token identifies the whole batch, because the same rows are repeats in every attempt.
	if err := l.insert(s, ctx, fresh, token); err != nil {
		return err
	}
	if len(seen) > 0 {
		if err := s.Remember(ctx, l.stream, seen); err != nil {
			return notOfTheRows(err)
		}
		l.r.pulse.count("repeats", len(seen))
	}
	return nil
}

// notOfTheRows returns the error of a statement that has no values of the rows: a damaged part of the table answers
// with the codes of invalid data, and the rows of the batch are valid.
func notOfTheRows(err error) error {
	if warehouse.Classify(err) == warehouse.BadData {
		return errors.New(err.Error()) // without its code it is retried
	}
	return err
}

// deferFor is the redelivery delay of a message that is not eligible yet.
const deferFor = time.Second

// eligible returns the rows that may be recorded now and returns the other messages for redelivery.
func (l *streamRecorder[R]) eligible(ctx context.Context, rows []held[R]) []held[R] {
	limit, err := l.limit(ctx)
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return rows // nothing unsettled is left in the stream: these are its last messages
	}
	if err != nil {
		l.r.pulse.failed(err)
		l.r.env.Log.Warn("take failed, will retry", "stream", l.stream, "err", err)
	}
	out := rows[:0]
	for _, h := range rows {
		if meta, e := h.msg.Metadata(); err != nil || e == nil && !meta.Timestamp.Before(limit) {
			_ = h.msg.NakWithDelay(deferFor) // if this is lost, it is redelivered after AckWait
			continue
		}
		out = append(out, h)
	}
	return out
}

// limit returns the storage time from which on a message is not eligible.
func (l *streamRecorder[R]) limit(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	name := pipeline.DurableRecorder(l.stream)
	c, err := l.r.bus.JS.Consumer(ctx, l.stream, name)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the state of consumer %s: %w", name, err)
	}
	s, err := l.r.bus.JS.Stream(ctx, l.stream)
	if err != nil {
		return time.Time{}, fmt.Errorf("open stream %s: %w", l.stream, err)
	}
	oldest, err := s.GetMsg(ctx, c.CachedInfo().AckFloor.Stream+1, jetstream.WithGetMsgSubject(">"))
	if err != nil {
		return time.Time{}, fmt.Errorf("read the oldest unsettled message of %s: %w", l.stream, err)
	}
	return oldest.Time.Add(s.CachedInfo().Config.Duplicates), nil
}
