package recorder

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

// If ClickHouse rejects all rows of a batch of at least suspicious rows, the cause may lie elsewhere, and a wait
// costs less than a flood of dead letters. After believed attempts, about two minutes, the rejection is accepted.
const (
	suspicious = 16
	believed   = 8
)

// heldFor is how long the recorder extends the AckWait of messages that ClickHouse does not accept. After that
// another recorder may receive them, which may reach ClickHouse; without one they stay here. The time is
// bounded because recorders only record what was stored within a dedup window of the oldest unsettled message.
const heldFor = 10 * time.Minute

// storeRows returns when every row is stored or known to be invalid, however long ClickHouse is
// unavailable; an error only if working ended first. Once ctx has ended its pauses are short.
func (l *streamRecorder[R]) storeRows(ctx, working context.Context, rows []held[R]) ([]rejected, error) {
	backoff, began := process.Backoff{First: l.r.pause, Most: l.r.longest}, time.Now()
	for refused := 1; ; {
		poison, err := l.halve(working, rows)
		if err == nil && (len(rows) < suspicious || len(poison) < len(rows) || refused >= believed) {
			l.r.pulse.back()
			return poison, nil
		}
		if err == nil {
			refused++
			err = fmt.Errorf("each of %d rows was rejected: %w", len(rows), poison[0].err)
		}
		if working.Err() != nil {
			return nil, err
		}
		l.r.pulse.away(err)
		l.r.pulse.count("retries", 1)
		pause := backoff.Next()
		l.r.env.Log.Warn("insert failed, will retry", "stream", l.stream, "rows", len(rows), "pause", pause, "err", err)
		kept := rows
		if time.Since(began) > l.r.heldFor {
			kept = nil
		}
		if !l.hold(working, kept, l.pauseNow(ctx, pause)) {
			return nil, err
		}
	}
}

// pauseNow shortens the pause once the recorder is stopping.
func (l *streamRecorder[R]) pauseNow(ctx context.Context, pause time.Duration) time.Duration {
	if ctx.Err() != nil {
		return min(pause, l.r.pause)
	}
	return pause
}

// halve inserts the rows. If the data is at fault it inserts the halves, until a bad row is
// alone; if ClickHouse lacks memory, until the halves are small enough. Each half has its own
// token, so a row that was stored with its batch after all is stored twice, as the same row.
func (l *streamRecorder[R]) halve(ctx context.Context, rows []held[R]) ([]rejected, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	err := l.insertOnce(ctx, rows)
	class := warehouse.Classify(err)
	if err == nil || class != warehouse.BadData && (class != warehouse.TooMuch || len(rows) == 1) {
		return nil, err
	}
	if len(rows) == 1 {
		return []rejected{{msg: rows[0].msg, seq: rows[0].seq, reason: pipeline.BadRow, err: err}}, nil
	}
	left, err := l.halve(ctx, rows[:len(rows)/2])
	if err != nil {
		return nil, err
	}
	right, err := l.halve(ctx, rows[len(rows)/2:])
	if err != nil {
		return nil, err
	}
	return append(left, right...), nil
}

func (l *streamRecorder[R]) insertOnce(ctx context.Context, in []held[R]) error {
	s, err := l.r.store.open(ctx)
	if err != nil {
		return err
	}
	rows := make([]R, len(in))
	for i, h := range in {
		rows[i] = h.row
	}
	if err := l.r.inserts.Acquire(ctx, 1); err != nil { // not while deals are counted
		return err
	}
	defer l.r.inserts.Release(1)
	bounded, cancel := context.WithTimeout(ctx, insertWithin)
	defer cancel()
	began := time.Now()
	err = l.insertMissing(bounded, s, rows, l.token(in))
	if err != nil && warehouse.Classify(err) == warehouse.NoSchema {
		l.r.store.forget(s)
	}
	if err == nil {
		l.r.pulse.took(time.Since(began))
	}
	return err
}

// token identifies the content of a batch: the stream, its epoch, the first and last sequence, the count. If
// sequences are missing in between, another batch could have the same four, and ClickHouse would silently drop
// it, so a digest of all sequences is added. The token also identifies the delivery: a held batch is
// retried under its token until it is known to be stored, but redelivered messages are stored again. ClickHouse
// remembers tokens longer than rows that were deleted or have expired, and would report those as stored.
func (l *streamRecorder[R]) token(rows []held[R]) string {
	first, last := rows[0].seq, rows[0].seq
	for _, h := range rows {
		first, last = min(first, h.seq), max(last, h.seq)
	}
	token := fmt.Sprintf("%s:%d:%d-%d:%d:%s", l.stream, rows[0].epoch, first, last, len(rows), rows[0].taking)
	if last-first+1 == uint64(len(rows)) {
		return token
	}
	digest := fnv.New128a()
	for _, h := range rows {
		_, _ = digest.Write(binary.BigEndian.AppendUint64(nil, h.seq)) // never fails
	}
	return token + ":" + hex.EncodeToString(digest.Sum(nil))
}

// hold waits d and meanwhile keeps JetStream from redelivering the rows; it returns false if ctx ended.
func (l *streamRecorder[R]) hold(ctx context.Context, rows []held[R], d time.Duration) bool {
	for d > 0 {
		for _, h := range rows {
			_ = h.msg.InProgress() // if this is lost, it is delivered again and becomes the same row
		}
		step := min(d, holdEvery)
		if process.Sleep(ctx, step) != nil {
			return false
		}
		d -= step
	}
	return true
}
