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

// An event is one row (warehouse.Row says which messages are the same), although it may be two messages: the stream drops a
// repeat only within its dedup window. So a batch is looked up before it is inserted, and what is stored under another row
// id already is left out.
//
// That is exact if of two messages of one event the first is settled before the second is looked up, whoever holds them and
// however long he has been frozen. The two lie at least the window apart. So a message that was stored the window or more after
// the oldest message that is not settled is not ripe, and is left for later: what is looked up and inserted at any time lies
// within one window. Where a batch holds less than a day of messages, all of it is ripe.
//
// Who was frozen in between holds messages that are settled by now. He inserts them under the row ids under which they
// are stored, which changes nothing.

// insertAnew stores the rows that are not stored yet.
func (l *line[R]) insertAnew(ctx context.Context, s sink, rows []R, token string) error {
	events := warehouse.Events(rows)
	stored, err := s.Stored(ctx, l.stream, events)
	if err != nil {
		return err
	}
	anew, seen := warehouse.WithoutRepeats(rows, events, stored)
	// The token names the whole batch: which of its rows are repeats does not change from one attempt to the next.
	if err := l.insert(s, ctx, anew, token); err != nil {
		return err
	}
	if len(seen) > 0 {
		if err := s.Remember(ctx, l.stream, seen); err != nil {
			return err
		}
		l.r.pulse.count("repeats", len(seen))
	}
	return nil
}

// unripeFor is how long a message is left for later.
const unripeFor = time.Second

// ripe are the rows that may be recorded now. The others come again.
func (l *line[R]) ripe(ctx context.Context, rows []held[R]) []held[R] {
	limit, err := l.limit(ctx)
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return rows // the stream has nothing more that could come again: these are the last of it
	}
	if err != nil {
		l.r.pulse.failed(err)
		l.r.env.Log.Warn("take failed, will repeat", "stream", l.stream, "err", err)
	}
	out := rows[:0]
	for _, h := range rows {
		if meta, e := h.msg.Metadata(); err != nil || e == nil && !meta.Timestamp.Before(limit) {
			_ = h.msg.NakWithDelay(unripeFor) // unsaid, it comes after AckWait
			continue
		}
		out = append(out, h)
	}
	return out
}

// limit is until when a message may have been stored to be ripe.
func (l *line[R]) limit(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	name := pipeline.DurableRecorder(l.stream)
	c, err := l.r.bus.JS.Consumer(ctx, l.stream, name)
	if err != nil {
		return time.Time{}, fmt.Errorf("look at consumer %s: %w", name, err)
	}
	s, err := l.r.bus.JS.Stream(ctx, l.stream)
	if err != nil {
		return time.Time{}, fmt.Errorf("look at stream %s: %w", l.stream, err)
	}
	oldest, err := s.GetMsg(ctx, c.CachedInfo().AckFloor.Stream+1, jetstream.WithGetMsgSubject(">"))
	if err != nil {
		return time.Time{}, fmt.Errorf("read the oldest message of %s that is not settled: %w", l.stream, err)
	}
	return oldest.Time.Add(s.CachedInfo().Config.Duplicates), nil
}
