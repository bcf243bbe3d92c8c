package recorder

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"time"

	"ratchet/pipeline/platform/warehouse"
)

// A batch of at least suspicious rows without a single good one is not believed at once: something else may be wrong,
// and a wait loses less than a flood of dead letters. After believed attempts, some two minutes, it is.
const (
	suspicious = 16
	believed   = 8
)

// heldFor is how long JetStream is told that messages are being worked on which ClickHouse does not take. Then another recorder may
// have them, which may reach it; without another they stay here. Nobody may keep them for ever: others record only what was
// stored within a dedup window of the oldest message that is not settled.
const heldFor = 10 * time.Minute

// land returns when every row is stored or known to be poison, however long ClickHouse is away; an error only when
// working ended first. Once ctx has ended it does not wait between attempts for longer than working lasts.
func (l *line[R]) land(ctx, working context.Context, rows []held[R]) ([]grave, error) {
	pause, began := l.r.pause, time.Now()
	for refused := 1; ; {
		poison, err := l.halve(working, rows)
		if err == nil && (len(rows) < suspicious || len(poison) < len(rows) || refused >= believed) {
			l.r.pulse.back()
			return poison, nil
		}
		if err == nil {
			refused++
			err = fmt.Errorf("every one of %d rows refused: %w", len(rows), poison[0].err)
		}
		if working.Err() != nil {
			return nil, err
		}
		l.r.pulse.away(err)
		l.r.pulse.count("retries", 1)
		l.r.env.Log.Warn("insert failed, will repeat", "stream", l.stream, "rows", len(rows), "pause", pause, "err", err)
		kept := rows
		if time.Since(began) > l.r.heldFor {
			kept = nil
		}
		if !l.hold(working, kept, l.pauseNow(ctx, pause)) {
			return nil, err
		}
		pause = min(2*pause, l.r.longest)
	}
}

// pauseNow is short once the recorder is stopping: there is little time left.
func (l *line[R]) pauseNow(ctx context.Context, pause time.Duration) time.Duration {
	if ctx.Err() != nil {
		return min(pause, l.r.pause)
	}
	return pause
}

// halve inserts the rows; where the data is at fault it inserts the halves, until a bad row is alone; where they are too much for
// the memory of ClickHouse, until they are not. Halves have tokens of their own, so a row that was stored with its batch after all
// is stored twice, as the same row.
func (l *line[R]) halve(ctx context.Context, rows []held[R]) ([]grave, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	err := l.insertOnce(ctx, rows)
	class := warehouse.Classify(err)
	if err == nil || class != warehouse.BadData && (class != warehouse.TooMuch || len(rows) == 1) {
		return nil, err
	}
	if len(rows) == 1 {
		return []grave{{msg: rows[0].msg, seq: rows[0].seq, reason: "bad_row", err: err}}, nil
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

func (l *line[R]) insertOnce(ctx context.Context, in []held[R]) error {
	s, err := l.r.store.open(ctx)
	if err != nil {
		return err
	}
	rows := make([]R, len(in))
	for i, h := range in {
		rows[i] = h.row
	}
	bounded, cancel := context.WithTimeout(ctx, insertWithin)
	defer cancel()
	began := time.Now()
	err = l.insertAnew(bounded, s, rows, l.token(in))
	if err != nil && warehouse.Classify(err) == warehouse.NoSchema {
		l.r.store.forget(s)
	}
	if err == nil {
		l.r.pulse.took(time.Since(began))
	}
	return err
}

// token names the content of a batch: stream, its epoch, first and last sequence, count. Where sequences are missing
// in between, the same four could name another batch, which ClickHouse would then drop without a word: a digest of
// all sequences tells them apart. And it names the taking: who has a batch in hand repeats it under its token until it is
// known to have landed, but what is delivered anew is stored anew. ClickHouse remembers tokens longer than rows that somebody or their age
// has removed, and would say of those that they are stored.
func (l *line[R]) token(rows []held[R]) string {
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

// hold waits d and keeps JetStream from delivering the rows to somebody else meanwhile; false when ctx ended.
func (l *line[R]) hold(ctx context.Context, rows []held[R], d time.Duration) bool {
	for d > 0 {
		for _, h := range rows {
			_ = h.msg.InProgress() // unsaid, it is delivered again and becomes the same row
		}
		step := min(d, holdEvery)
		if !rest(ctx, step) {
			return false
		}
		d -= step
	}
	return true
}
