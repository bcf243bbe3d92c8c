package recorder

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/warehouse"
)

// line records one stream: rows of type R.
type line[R warehouse.Row] struct {
	r       *recorder
	stream  string
	most    int // rows of a batch
	heavy   int // bytes from which on a batch is full, whatever its rows
	largest int // bytes of a message, at most
	read    func(warehouse.Origin, pipeline.Stored) (R, error)
	insert  func(sink, context.Context, []R, string) error
	durable jetstream.Consumer
	epoch   uint32
	inHand  atomic.Int64 // messages taken and not settled
}

// heavyBatch is from how many bytes on a batch is full; largestMessage is more than any NATS server takes, with subject
// and headers.
const (
	heavyBatch     = 32 << 20
	largestMessage = 65 << 20
)

// held is a message in hand and the row that it becomes.
type held[R warehouse.Row] struct {
	msg   jetstream.Msg
	seq   uint64
	epoch uint32 // of the stream that it came from
	row   R

	taking string // tells a batch from the same messages, delivered at another time
}

// grave is a message that cannot be recorded, and why.
type grave struct {
	msg    jetstream.Msg
	seq    uint64
	reason string
	err    error
}

func newLine[R warehouse.Row](ctx context.Context, r *recorder, stream string, most int, read func(warehouse.Origin, pipeline.Stored) (R, error),
	insert func(sink, context.Context, []R, string) error,
) (*line[R], error) {
	l := &line[R]{r: r, stream: stream, most: most, heavy: heavyBatch, largest: largestMessage, read: read, insert: insert}
	return l, l.bind(ctx)
}

// run records until ctx ends; working ends a little later, for what is in hand then. It owns a second goroutine, which takes and
// decodes the next batch while ClickHouse stores this one: each of the two keeps one processor busy. It is waited for by the end
// of batches.
func (l *line[R]) run(ctx, working context.Context) {
	batches := make(chan batch[R])
	go func() {
		defer close(batches)
		l.takeAll(ctx, batches)
	}()
	for b := range batches {
		l.record(ctx, working, b)
	}
}

// batch is messages in hand, and what became of them.
type batch[R warehouse.Row] struct {
	epoch  uint32 // of the stream that they came from
	msgs   []jetstream.Msg
	rows   []held[R]
	graves []grave
}

func (l *line[R]) takeAll(ctx context.Context, batches chan<- batch[R]) {
	pause := l.r.pause
	for ctx.Err() == nil {
		msgs, err := l.take(ctx)
		if err == nil && len(msgs) > 0 {
			err = l.still(context.WithoutCancel(ctx), l.epoch, msgs) // bounded; what is in hand at the end is recorded
		}
		if err != nil {
			l.r.pulse.failed(err)
			l.r.env.Log.Warn("take failed, will repeat", "stream", l.stream, "err", err)
			if !rest(ctx, pause) {
				return
			}
			pause = min(2*pause, longestPause)
			l.rebind(ctx)
			continue
		}
		pause = l.r.pause
		if len(msgs) == 0 {
			continue
		}
		l.r.pulse.holds(l.stream, int(l.inHand.Add(int64(len(msgs)))))
		b := batch[R]{epoch: l.epoch, msgs: msgs}
		b.rows, b.graves = l.decode(msgs)
		batches <- b
	}
}

// take fetches until the batch is full or its first message may be Flush old. Full is also a batch of large messages, which
// would take more memory than there is; each fetch leaves room for a message of any size, so none is waited for in vain.
// The fetch itself is never cancelled: what the server sent into a cancelled one would come again only after the
// consumer's AckWait.
func (l *line[R]) take(ctx context.Context) ([]jetstream.Msg, error) {
	var out []jetstream.Msg
	size := 0
	for end := time.Now().Add(l.r.cfg.Flush); len(out) < l.most && size < l.heavy && ctx.Err() == nil; {
		left := time.Until(end)
		if left <= 0 {
			break
		}
		batch, err := l.durable.Fetch(l.most-len(out), jetstream.FetchMaxWait(min(left, time.Second)), jetstream.FetchMaxBytes(l.heavy+l.largest-size))
		if err != nil {
			return out, fmt.Errorf("take from %s: %w", l.stream, err)
		}
		for m := range batch.Messages() {
			out = append(out, m)
			size += len(m.Data())
		}
		if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) && len(out) == 0 {
			return nil, fmt.Errorf("take from %s: %w", l.stream, err)
		} else if err != nil && !errors.Is(err, nats.ErrTimeout) {
			break // record what there is; the next take says what is wrong
		}
	}
	return out, nil
}

// record inserts and settles. On return every message is acknowledged, buried, or on its way back, or has no stream any more.
func (l *line[R]) record(ctx, working context.Context, b batch[R]) {
	defer func() { l.r.pulse.holds(l.stream, int(l.inHand.Add(-int64(len(b.msgs))))) }()
	b.rows = l.ripe(working, b.rows)
	poison, err := l.land(ctx, working, b.rows)
	if err != nil {
		// Told to stop before ClickHouse confirmed. Whether it landed or not, it comes again and is the same row.
		for _, m := range b.msgs {
			_ = m.Nak() // unsaid, it comes after AckWait
		}
		l.r.pulse.failed(err)
		return
	}
	err = l.still(working, b.epoch, nil)
	if bad := append(b.graves, poison...); len(bad) > 0 {
		l.bury(working, bad, err == nil)
	}
	if err != nil {
		// Unsaid, what is recorded comes again and is the same row. Of a stream that is gone there is nothing to settle.
		l.r.pulse.failed(err)
		return
	}
	l.acknowledge(working, b.rows, poison)
}

// decode makes rows of messages, and graves of those that never will be one.
func (l *line[R]) decode(msgs []jetstream.Msg) ([]held[R], []grave) {
	rows := make([]held[R], 0, len(msgs))
	var graves []grave
	var newest pipeline.Stored
	var pending uint64
	in, taking := warehouse.Origin{Stream: l.stream, Epoch: l.epoch}, rand.Text()
	for _, m := range msgs {
		stored, behind, err := storedOf(m)
		var row R
		if err == nil {
			newest, pending = stored, behind
			row, err = l.read(in, stored)
		}
		if err != nil {
			graves = append(graves, grave{msg: m, seq: stored.Sequence, reason: reasonOf(err), err: err})
			continue
		}
		rows = append(rows, held[R]{msg: m, seq: stored.Sequence, epoch: l.epoch, row: row, taking: taking})
	}
	if newest.Sequence > 0 {
		o, _ := newest.Origin() // what cannot be read is in its grave
		l.r.pulse.saw(l.stream, newest.Sequence, pending, o.At)
	}
	return rows, graves
}

// bury stores what cannot be recorded on DEAD, then ends its delivery if the stream is still there that delivered it. A dead
// letter that cannot be recorded stays where it is, on DEAD.
func (l *line[R]) bury(ctx context.Context, graves []grave, there bool) {
	for _, g := range graves {
		l.r.env.Log.Warn("message cannot be recorded", "stream", l.stream, "sequence", g.seq, "reason", g.reason, "err", g.err)
		l.r.pulse.count("buried", 1)
		if l.stream != pipeline.StreamDead {
			if err := l.r.inter(ctx, "recorder", itemOf(g.msg, l.stream), g.reason, g.err); err != nil {
				l.r.pulse.failed(err)
				_ = g.msg.Nak() // unsaid, it comes after AckWait
				continue
			}
		}
		if !there {
			continue
		}
		// A crash on the line above repeats the dead letter, whose id drops it.
		if err := g.msg.TermWithReason(g.reason); err != nil {
			l.r.pulse.failed(err)
		}
	}
}

// inter is a burial that makes do without the message's body where the letter would be too large; the letter still
// says where the message is.
func (r *recorder) inter(ctx context.Context, who string, it loop.Item, reason string, cause error) error {
	err := r.bus.Bury(ctx, who, it, reason, cause)
	if errors.Is(err, nats.ErrMaxPayload) {
		it.Body = nil
		err = r.bus.Bury(ctx, who, it, reason, cause)
	}
	return err
}

// acknowledge settles what is stored. The last word waits for the server's answer, which covers the others: they went
// before it on the same connection.
func (l *line[R]) acknowledge(ctx context.Context, rows []held[R], poison []grave) {
	dead := make(map[uint64]bool, len(poison))
	for _, g := range poison {
		dead[g.seq] = true
	}
	var last jetstream.Msg
	for _, h := range rows {
		if dead[h.seq] {
			continue
		}
		if last != nil {
			_ = last.Ack() // unsaid, it comes again and is the same row
		}
		last = h.msg
	}
	if last == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := last.DoubleAck(ctx); err != nil {
		l.r.pulse.failed(fmt.Errorf("acknowledge %d of %s: %w", len(rows), l.stream, err))
	}
	l.r.pulse.recorded(l.stream, len(rows)-len(poison))
}

func itemOf(m jetstream.Msg, stream string) loop.Item {
	it := loop.Item{Subject: m.Subject(), Header: m.Headers(), Body: m.Data(), Stream: stream, Deliveries: 1}
	if meta, err := m.Metadata(); err == nil {
		it.Sequence, it.StoredAt, it.Deliveries = meta.Sequence.Stream, meta.Timestamp, meta.NumDelivered
	}
	return it
}
