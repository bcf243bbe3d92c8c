// Package settled asks ClickHouse about deals at known sequences of the streams.
//
// Rows are inserted while it answers, and one answer reads several tables. So an answer counts only if it can have
// read no row of a message that was not settled before the question:
//
//	settled sequences ─▶ ask ─▶ newest rows ──none is newer than what was settled──▶ the answer, as of these sequences
//	      ▲                          │
//	      └──────── once more ───────┘ a row is newer
//
// The recorder acknowledges a message once its rows are in all tables, so the answer contains everything that was
// settled. The newest rows are read after the answer: if none of them is newer than what was settled, the answer
// contains nothing else.
package settled

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

const (
	tries = 20
	pause = 50 * time.Millisecond // machine time; the recorder inserts for some of it and waits for the rest
)

// ErrBusy means that rows arrived in every attempt.
var ErrBusy = errors.New("ClickHouse receives rows faster than a question can be answered; ask again")

// Warehouse is the part of a warehouse that reports its progress.
type Warehouse interface {
	Newest(ctx context.Context) (version, verdict, act uint64, err error)
}

// Ask calls ask until its answer is one of known sequences, which it returns.
func Ask(ctx context.Context, b *bus.Bus, w Warehouse, ask func(context.Context) error) (visibility.Sequences, error) {
	for range tries {
		at, most, err := sequences(ctx, b)
		if err != nil {
			return at, err
		}
		if err := ask(ctx); err != nil {
			return at, err
		}
		version, verdict, act, err := w.Newest(ctx)
		if err != nil {
			return at, err
		}
		if version <= most[0] && verdict <= most[1] && act <= most[2] {
			return at, nil
		}
		if err := process.Sleep(ctx, pause); err != nil {
			return at, err
		}
	}
	return visibility.Sequences{}, ErrBusy
}

// sequences returns up to where each stream is recorded, and the row IDs of that.
func sequences(ctx context.Context, b *bus.Bus) (at visibility.Sequences, rows [3]uint64, err error) {
	for i, of := range []struct {
		stream string
		to     *uint64
	}{{pipeline.StreamDeals, &at.Deals}, {pipeline.StreamVerdicts, &at.Verdicts}, {pipeline.StreamActions, &at.Actions}} {
		span, err := b.Span(ctx, of.stream)
		if err != nil {
			return at, rows, err
		}
		if *of.to, _, err = b.Settled(ctx, of.stream, pipeline.DurableRecorder(of.stream)); err != nil {
			return at, rows, fmt.Errorf("read how far %s is recorded: %w", of.stream, err)
		}
		rows[i] = uint64(span.Made)<<32 | min(*of.to, math.MaxUint32) // what is later has no row
	}
	return at, rows, nil
}
