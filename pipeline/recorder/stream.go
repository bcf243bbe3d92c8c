package recorder

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/trace"
	"ratchet/pipeline/platform/warehouse"
)

// streamRecorder records one stream as rows of type R.
type streamRecorder[R warehouse.Row] struct {
	r       *recorder
	stream  string
	most    int           // the most rows of a batch
	flush   time.Duration // how long its first row waits for more, machine time
	heavy   int           // bytes at which a batch is full, whatever its number of rows
	largest int           // the most bytes of a message
	read    func(warehouse.Origin, pipeline.Stored) (R, error)
	insert  func(sink, context.Context, []R, string) error
	durable jetstream.Consumer
	epoch   uint32
	subject string       // of the stream
	inHand  atomic.Int64 // messages taken and not settled
	empty   time.Time    // machine time until which the server need not be asked whether something is left
}

// emptyFor is how long a stream counts as empty after the server has reported it, unless a message is delivered.
// Each publish gives several hints, and each of them would ask the server again.
const emptyFor = 10 * time.Second

// ledgerFlush is how many times as long a line of the ledger waits: issue, claim and close become one insert, which
// writes several parts, each with its syncs.
const ledgerFlush = 5

// heavyBatch is the size in bytes at which a batch is full; largestMessage
// exceeds the limit of any NATS server for a message with subject and headers.
const (
	heavyBatch     = 32 << 20
	largestMessage = 65 << 20
)

// held is an unsettled message and its row.
type held[R warehouse.Row] struct {
	msg   jetstream.Msg
	seq   uint64
	epoch uint32 // of its stream
	row   R

	taking string // distinguishes two deliveries of the same messages
}

// rejected is a message that cannot be recorded, and why.
type rejected struct {
	msg    jetstream.Msg
	seq    uint64
	reason string
	err    error
}

func newStreamRecorder[R warehouse.Row](ctx context.Context, r *recorder, stream string, most int, read func(warehouse.Origin, pipeline.Stored) (R, error),
	insert func(sink, context.Context, []R, string) error,
) (*streamRecorder[R], error) {
	flush := r.cfg.Flush
	if stream == pipeline.StreamLedger {
		flush = max(flush, min(ledgerFlush*flush, bus.LeastAckWait/2))
	}
	l := &streamRecorder[R]{r: r, stream: stream, most: most, flush: flush, heavy: heavyBatch, largest: largestMessage, read: read, insert: insert}
	return l, l.bind(ctx)
}

// run records until ctx ends; working ends a little later, for the held rows. It
// owns a second goroutine, which takes and decodes the next batch while ClickHouse
// stores this one: each keeps one processor busy. Closing batches ends it.
func (l *streamRecorder[R]) run(ctx, working context.Context) {
	batches := make(chan batch[R])
	go func() {
		defer close(batches)
		l.takeAll(ctx, batches)
	}()
	for b := range batches {
		l.record(ctx, working, b)
	}
}

// batch is a set of unsettled messages with the decoded rows.
type batch[R warehouse.Row] struct {
	epoch    uint32 // of their stream
	taken    time.Time
	msgs     []jetstream.Msg
	rows     []held[R]
	rejected []rejected
}

func (l *streamRecorder[R]) takeAll(ctx context.Context, batches chan<- batch[R]) {
	published, stop := l.listen()
	defer stop()
	backoff := process.Backoff{First: l.r.pause, Most: longestPause}
	for ctx.Err() == nil {
		msgs, err := l.take(ctx)
		if err == nil && len(msgs) > 0 {
			err = l.checkEpoch(context.WithoutCancel(ctx), l.epoch, msgs) // bounded; held messages are recorded before the end
		}
		if err != nil {
			l.r.pulse.takeFailed(l.stream, err)
			l.r.env.Log.Warn("take failed, will retry", "stream", l.stream, "err", err)
			if backoff.Sleep(ctx) != nil {
				return
			}
			l.rebind(ctx)
			continue
		}
		backoff.Reset()
		if len(msgs) == 0 {
			if l.drained(ctx) {
				l.await(ctx, published)
			}
			continue
		}
		l.empty = time.Time{}
		l.r.pulse.takeDone(l.stream)
		l.r.pulse.holds(l.stream, int(l.inHand.Add(int64(len(msgs)))))
		b := batch[R]{epoch: l.epoch, taken: time.Now(), msgs: msgs}
		b.rows, b.rejected = l.decode(msgs)
		batches <- b
	}
}

// listen returns a channel that fires when something was published to the stream.
func (l *streamRecorder[R]) listen() (published <-chan struct{}, stop func()) {
	hint := process.NewHint()
	stop, err := l.r.bus.Hint(l.subject, hint.Give)
	if err != nil {
		l.r.pulse.failed(err) // the connection has ended
	}
	return hint, stop
}

// drained reports whether nothing is left to deliver, now or again: then only a publish makes work.
func (l *streamRecorder[R]) drained(ctx context.Context) bool {
	if time.Now().Before(l.empty) {
		return true
	}
	bounded, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	i, err := l.durable.Info(bounded)
	if err != nil {
		if ctx.Err() == nil {
			l.r.pulse.takeFailed(l.stream, fmt.Errorf("read what waits on %s: %w", l.stream, err))
		}
		return false
	}
	l.r.pulse.takeDone(l.stream)
	l.r.pulse.waits(l.stream, i.NumPending)
	if i.NumPending > 0 || i.NumAckPending > 0 {
		return false
	}
	l.empty = time.Now().Add(emptyFor)
	return true
}

// await waits for a publish, or as long as one may be missed.
func (l *streamRecorder[R]) await(ctx context.Context, published <-chan struct{}) {
	t := time.NewTimer(max(time.Second, bus.Fallback(l.r.env.Clock)))
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-published:
	case <-t.C:
	}
}

// take fetches until the batch is full or its first message may be flush old. A batch of large
// messages is full early, because it would exceed the memory; each fetch leaves room for a
// message of any size, so that it always makes progress. The fetch itself is never cancelled:
// messages sent into a cancelled one would be redelivered only after the consumer's AckWait.
func (l *streamRecorder[R]) take(ctx context.Context) ([]jetstream.Msg, error) {
	var out []jetstream.Msg
	size := 0
	for end := time.Now().Add(l.flush); len(out) < l.most && size < l.heavy && ctx.Err() == nil; {
		left := time.Until(end)
		if left <= 0 {
			break
		}
		batch, err := l.durable.Fetch(l.most-len(out), jetstream.FetchMaxWait(min(left, time.Second)), jetstream.FetchMaxBytes(l.heavy+l.largest-size))
		if err == nil {
			for m := range batch.Messages() {
				out = append(out, m)
				size += len(m.Data())
			}
			err = batch.Error()
		}
		switch {
		case err == nil || errors.Is(err, nats.ErrTimeout):
		case len(out) == 0:
			return nil, fmt.Errorf("take from %s: %w", l.stream, err)
		default:
			return out, nil // record what there is; the next take reports the error
		}
	}
	return out, nil
}

// record inserts and settles. On return every message is acknowledged, a dead letter, returned for
// redelivery, without a stream, or left to be redelivered after AckWait.
func (l *streamRecorder[R]) record(ctx, working context.Context, b batch[R]) {
	defer func() { l.r.pulse.holds(l.stream, int(l.inHand.Add(-int64(len(b.msgs))))) }()
	b.rows = l.eligible(working, b.rows)
	poison, err := l.storeRows(ctx, working, b.rows)
	if err != nil {
		// Stopped before ClickHouse confirmed. Stored or not, the messages are redelivered and become the same rows.
		for _, m := range b.msgs {
			_ = m.Nak() // if this is lost, it is redelivered after AckWait
		}
		l.r.pulse.failed(err)
		return
	}
	err = l.checkEpoch(working, b.epoch, nil)
	if bad := append(b.rejected, poison...); len(bad) > 0 {
		l.reject(working, bad, err == nil)
	}
	if err != nil {
		// Left unsettled, recorded messages are redelivered and become
		// the same rows. A deleted stream has nothing to settle.
		l.r.pulse.failed(err)
		return
	}
	l.acknowledge(working, b.rows, poison)
	l.trace(b, poison)
}

// trace makes a span for each message whose row was stored, if its publisher made one.
func (l *streamRecorder[R]) trace(b batch[R], poison []rejected) {
	if l.r.env.Trace == nil {
		return
	}
	for _, h := range b.rows {
		if !slices.ContainsFunc(poison, func(p rejected) bool { return p.seq == h.seq }) {
			l.r.env.Trace.Recorded(l.r.bus.Item(l.stream, h.msg).Delivery(), b.taken, len(b.rows))
		}
	}
}

// decode converts messages to rows, and returns those that cannot be recorded.
func (l *streamRecorder[R]) decode(msgs []jetstream.Msg) ([]held[R], []rejected) {
	rows := make([]held[R], 0, len(msgs))
	var bad []rejected
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
			bad = append(bad, rejected{msg: m, seq: stored.Sequence, reason: reasonOf(err), err: err})
			continue
		}
		rows = append(rows, held[R]{msg: m, seq: stored.Sequence, epoch: l.epoch, row: row, taking: taking})
	}
	if newest.Sequence > 0 {
		o, _ := newest.Origin() // an unreadable message was rejected above
		l.r.pulse.saw(l.stream, newest.Sequence, pending, o.At)
	}
	return rows, bad
}

// reject writes dead letters for messages that cannot be recorded, then ends their delivery
// if their stream still exists. A message of DEAD that cannot be recorded stays there.
func (l *streamRecorder[R]) reject(ctx context.Context, bad []rejected, there bool) {
	for _, m := range bad {
		l.r.env.Log.Warn("message cannot be recorded", "stream", l.stream, "sequence", m.seq, "reason", m.reason, "err", m.err)
		l.r.pulse.count("buried", 1)
		if l.stream != pipeline.StreamDead {
			if err := l.r.deadLetter(ctx, "recorder", l.r.bus.Item(l.stream, m.msg), m.reason, m.err); err != nil {
				l.r.pulse.failed(err)
				_ = m.msg.Nak() // if this is lost, it is redelivered after AckWait
				continue
			}
		}
		if !there {
			continue
		}
		// A crash before this line repeats the dead letter, which is then dropped as a duplicate.
		if err := m.msg.TermWithReason(m.reason); err != nil {
			l.r.pulse.failed(err)
		}
	}
}

// deadLetter writes a dead letter, without the body if it would be too large; it still locates the message.
func (r *recorder) deadLetter(ctx context.Context, stage string, it loop.Item, reason string, cause error) error {
	ctx, spans := r.env.Trace.Begin(ctx, "record")
	defer spans.End()
	spans.Take(it.Delivery())
	trace.Never(ctx, it.Head(pipeline.HeaderWorkID), reason)
	err := r.bus.DeadLetter(ctx, stage, it, reason, cause)
	if errors.Is(err, nats.ErrMaxPayload) {
		it.Body = nil
		err = r.bus.DeadLetter(ctx, stage, it, reason, cause)
	}
	return err
}

// acknowledge settles what is stored. The last acknowledgement waits for the
// server's confirmation, which covers the earlier ones on the same connection.
func (l *streamRecorder[R]) acknowledge(ctx context.Context, rows []held[R], poison []rejected) {
	dead := make(map[uint64]bool, len(poison))
	for _, m := range poison {
		dead[m.seq] = true
	}
	var last jetstream.Msg
	for _, h := range rows {
		if dead[h.seq] {
			continue
		}
		if last != nil {
			_ = last.Ack() // if this is lost, it is redelivered and becomes the same row
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
