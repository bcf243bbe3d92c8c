package recorder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/warehouse"
)

// fault fails chosen inserts and look-ups, with or without effect; each table has its own count.
type fault struct {
	sink
	fail func(call int32) effect

	mu     sync.Mutex
	calls  map[string]int32
	tokens map[string]string
}

// effect is what an insert does before it is reported lost: landed stores all, half stores a part.
type effect int

const (
	fine effect = iota
	lost
	half
	landed
	slow    // stored after its timeout
	unasked // the look-up before it is lost
)

var errLine = errors.New("connection reset by peer")

// faulty wraps sinks so that each table's inserts fail as fail returns.
func faulty(fail func(call int32) effect) func(sink) sink {
	return func(s sink) sink {
		return &fault{sink: s, fail: fail, calls: map[string]int32{}, tokens: map[string]string{}}
	}
}

// next returns the effect of a table's next insert.
func (f *fault) next(table string) effect {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[table]++
	return f.fail(f.calls[table])
}

// same reports a batch that arrived under another token than before.
func (f *fault) same(batch, token string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if before, seen := f.tokens[batch]; seen && before != token {
		return fmt.Errorf("the same batch has tokens %s and %s", before, token)
	}
	f.tokens[batch] = token
	return nil
}

func (f *fault) Stored(ctx context.Context, stream string, events []uint64) (map[uint64]uint64, error) {
	f.mu.Lock()
	e := f.fail(f.calls[stream] + 1)
	if e == unasked {
		f.calls[stream]++ // no insert follows
	}
	f.mu.Unlock()
	if e == unasked {
		return nil, errLine
	}
	return f.sink.Stored(ctx, stream, events)
}

// bite is one insert.
func bite[R warehouse.Row](ctx context.Context, f *fault, stream string, rows []R, token string, insert func(context.Context, []R, string) error) error {
	if len(rows) == 0 {
		return insert(ctx, rows, token)
	}
	if err := f.same(fmt.Sprint(stream, rows[0].RowID(), "-", len(rows)), token); err != nil {
		return err
	}
	switch f.next(stream) {
	case lost, unasked:
		return errLine
	case half: // as if the block had been split: the rows are stored under a token of other content
		return errors.Join(insert(ctx, rows[:(len(rows)+1)/2], token+":half"), errLine)
	case landed:
		return errors.Join(insert(ctx, rows, token), errLine)
	case slow:
		return errors.Join(insert(ctx, rows, token), context.DeadlineExceeded)
	}
	return insert(ctx, rows, token)
}

func (f *fault) InsertVerdicts(ctx context.Context, rows []warehouse.VerdictRow, token string) error {
	return bite(ctx, f, pipeline.StreamVerdicts, rows, token, f.sink.InsertVerdicts)
}

func (f *fault) InsertDeals(ctx context.Context, rows []warehouse.DealRow, token string) error {
	return bite(ctx, f, pipeline.StreamDeals, rows, token, f.sink.InsertDeals)
}

func (f *fault) InsertLedger(ctx context.Context, rows []warehouse.LedgerRow, token string) error {
	return bite(ctx, f, pipeline.StreamLedger, rows, token, f.sink.InsertLedger)
}

func (f *fault) InsertDead(ctx context.Context, rows []warehouse.DeadRow, token string) error {
	return bite(ctx, f, pipeline.StreamDead, rows, token, f.sink.InsertDead)
}

func (f *fault) InsertActions(ctx context.Context, rows []warehouse.ActionRow, token string) error {
	return bite(ctx, f, pipeline.StreamActions, rows, token, f.sink.InsertActions)
}

func first(n int32, e effect) func(int32) effect {
	return func(call int32) effect {
		if call <= n {
			return e
		}
		return fine
	}
}

// TestTheFaultTableLeavesExactCounts fails the inserts of every table in every way, on streams of which a part
// was published twice: the first of the repeats are in one batch with their originals, the others come later.
func TestTheFaultTableLeavesExactCounts(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(int32) effect{
		"insert lost once":            first(1, lost),
		"insert lost twice":           first(2, lost),
		"landed, reported lost":       first(1, landed),
		"landed, reported lost twice": first(2, landed),
		"half a batch":                first(1, half),
		"half a batch twice":          first(2, half),
		"landed after its bound":      first(1, slow),
		"look-up lost":                first(1, unasked),
		"lost, then landed, reported lost": func(n int32) effect {
			return []effect{lost, landed, fine}[min(n-1, 2)]
		},
		"half, then lost, then landed": func(n int32) effect {
			return []effect{half, lost, landed, fine}[min(n-1, 3)]
		},
		"landed, then look-up lost": func(n int32) effect {
			return []effect{landed, unasked, fine}[min(n-1, 2)]
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && strings.ContainsAny(name, ",") && name != "landed, reported lost" {
				t.Skip("a world for each combination")
			}
			w := newWorld(t)
			w.forgetAfter(forgetful)
			w.happens(1, 25)
			w.again(11, 20)
			w.forgetAfter(day)
			w.happens(26, 100)
			r, _ := w.start(faulty(fail))
			w.settled()
			w.happened(100)
			w.forgetAfter(forgetful)
			w.again(21, 30)
			w.settled()
			w.happened(100)
			c := r.pulse.beat().Counters
			if c["retries"] < 4 {
				t.Errorf("%d inserts repeated, want one of each table: the fault did not bite", c["retries"])
			}
			if c["repeats"] < 4*20 {
				t.Errorf("%d repeats left out, want 20 of each table", c["repeats"])
			}
		})
	}
}

// TestARecorderThatIsStoppedInAnyFaultAndStartedAgainLeavesExactCounts stops the
// recorder while its batches are in each of the states of the fault table. The next one
// receives the same messages, in other batches, together with what was published again.
func TestARecorderThatIsStoppedInAnyFaultAndStartedAgainLeavesExactCounts(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]effect{"lost": lost, "half": half, "landed": landed, "look-up lost": unasked} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && e != half {
				t.Skip("a world for each state")
			}
			w := newWorld(t)
			w.happens(1, 100)
			r, stop := w.start(faulty(func(int32) effect { return e }))
			w.await("a batch of each stream is held", func() bool { return r.pulse.beat().Counters["retries"] >= 4 })
			stop()
			w.happens(80, 130) // 80 to 100 are repeats, which the stream drops
			w.forgetAfter(forgetful)
			w.again(90, 110) // and these are repeats that the stream does not drop
			w.start(plainly)
			w.settled()
			w.happened(130)
		})
	}
}

func TestACrashBeforeTheAcknowledgementRecordsNothingTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.verdicts(1, 100)
	// The crash: a first recorder does everything up to the acknowledgement, which it never sends.
	r := w.recorder(plainly)
	l, err := newStreamRecorder(t.Context(), r, pipeline.StreamVerdicts, 64, readVerdict, sink.InsertVerdicts)
	must(t, err)
	msgs, err := l.take(t.Context())
	must(t, err)
	rows, _ := l.decode(msgs)
	if _, err := l.storeRows(t.Context(), t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	r.store.close()
	w.want("SELECT count() FROM verdicts FINAL", fmt.Sprint(len(msgs)))
	comeAgain(t, msgs)
	w.verdicts(101, 130)
	w.start(plainly)
	w.settled()
	w.want("SELECT count(), uniqExact(work_id) FROM verdicts FINAL", "130,130")
	w.want("SELECT sum(verdicts) FROM verdict_counts", "130")
}

// narrow has memory for so many rows at once, and rejects more with ClickHouse's error.
type narrow struct {
	sink
	most int
}

func (n narrow) InsertVerdicts(ctx context.Context, rows []warehouse.VerdictRow, token string) error {
	if len(rows) > n.most {
		return fmt.Errorf("insert %d rows into verdicts: %w", len(rows), &clickhouse.Exception{Code: 241, Message: "memory limit exceeded"})
	}
	return n.sink.InsertVerdicts(ctx, rows, token)
}

func TestABatchThatIsTooMuchForTheMemoryIsStoredInParts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.verdicts(1, 100)
	r, _ := w.start(func(s sink) sink { return narrow{s, 7} })
	w.settled()
	w.counts(100)
	if n := r.pulse.beat().Counters["buried"]; n != 0 {
		t.Errorf("%d verdicts dead-lettered, want 0: they are valid", n)
	}
}
