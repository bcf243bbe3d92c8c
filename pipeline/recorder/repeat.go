package recorder

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline/warehouse"
)

// A verdict is one row by its identity (run, work, look), although it may be two messages: the stream drops a repeat only
// within its dedup window. So a batch is looked up before it is inserted, and what is stored under another row id already is
// left out. That is exact if of two messages of one verdict the first is settled before the second is looked up. They lie
// at least the window apart, so it suffices to leave for later what is that much younger than the oldest message in
// somebody else's hands. In one recorder, or in several that are not days behind, that is never the case.

// insertVerdicts stores the rows that are not stored yet.
func (r *recorder) insertVerdicts(s sink, ctx context.Context, rows []warehouse.VerdictRow, token string) error {
	anew, err := s.WithoutRepeats(ctx, rows)
	if err != nil {
		return err
	}
	if n := len(rows) - len(anew); n > 0 {
		r.pulse.count("repeats", n)
	}
	// The token names the whole batch: which of its rows are repeats does not change from one attempt to the next.
	return s.InsertVerdicts(ctx, anew, token)
}

// unripeFor is how long a message is left for later.
const unripeFor = time.Second

// ripe are the messages that may be recorded now. The others come again.
func (l *line[R]) ripe(ctx context.Context, msgs []jetstream.Msg) []jetstream.Msg {
	limit, err := l.limit(ctx, len(msgs))
	if err != nil && ctx.Err() == nil {
		l.r.pulse.failed(err)
		l.r.env.Log.Warn("take failed, will repeat", "stream", l.stream, "err", err)
	}
	out := msgs[:0]
	for _, m := range msgs {
		meta, unknown := m.Metadata()
		switch {
		case err != nil, unknown == nil && !limit.IsZero() && !meta.Timestamp.Before(limit):
			_ = m.NakWithDelay(unripeFor) // unsaid, it comes after AckWait
		default:
			out = append(out, m)
		}
	}
	return out
}

// limit is until when a message may have been stored to be ripe; zero is any time, since nobody else holds one.
func (l *line[R]) limit(ctx context.Context, inHand int) (time.Time, error) {
	if inHand == 0 {
		return time.Time{}, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	info, err := l.durable.Info(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("look at consumer %s: %w", l.durable.CachedInfo().Name, err)
	}
	if info.NumAckPending <= inHand {
		return time.Time{}, nil
	}
	s, err := l.r.bus.JS.Stream(ctx, l.stream)
	if err != nil {
		return time.Time{}, fmt.Errorf("look at stream %s: %w", l.stream, err)
	}
	oldest, err := s.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(">"))
	if err != nil {
		return time.Time{}, fmt.Errorf("read the oldest message of %s that is not settled: %w", l.stream, err)
	}
	return oldest.Time.Add(l.window), nil
}
