package recorder

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

// blank is a sink in which nothing is stored.
type blank struct{ sink }

func (blank) Stored(context.Context, string, []uint64) (map[uint64]uint64, error) { return nil, nil }

// inserts is a streamRecorder whose inserts are what insert does.
func inserts(r *recorder, insert func(context.Context)) *streamRecorder[warehouse.DeadRow] {
	return &streamRecorder[warehouse.DeadRow]{
		r: r, stream: pipeline.StreamDead,
		insert: func(_ sink, ctx context.Context, _ []warehouse.DeadRow, _ string) error { insert(ctx); return nil },
	}
}

func blankRecorder() *recorder {
	dial := func(context.Context) (sink, error) { return blank{}, nil }
	return newRecorder(Config{}, process.Env{Clock: process.RealClock()}, nil, dial)
}

func TestACountThatIsGivenUpHoldsNoInsertBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, rows := blankRecorder(), make([]held[warehouse.DeadRow], 1)
		release := make(chan struct{})
		go func() { _ = inserts(r, func(context.Context) { <-release }).insertOnce(t.Context(), rows) }()
		synctest.Wait() // it is slow
		ctx, cancel := context.WithTimeout(t.Context(), countWithin)
		defer cancel()
		if _, err := r.pauseInserts(ctx); err == nil {
			t.Error("the deals are counted while rows are inserted")
		}
		done := false
		go func() { _ = inserts(r, func(context.Context) { done = true }).insertOnce(t.Context(), rows) }()
		synctest.Wait()
		if !done {
			t.Error("another line waits for a count that was given up")
		}
		close(release)
	})
}

func TestAnInsertThatWaitsForACountHasItsWholeTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := blankRecorder()
		resume, err := r.pauseInserts(t.Context())
		must(t, err)
		var left time.Duration
		go func() {
			_ = inserts(r, func(ctx context.Context) {
				end, _ := ctx.Deadline()
				left = time.Until(end)
			}).insertOnce(t.Context(), make([]held[warehouse.DeadRow], 1))
		}()
		time.Sleep(insertWithin / 2)
		resume()
		synctest.Wait()
		if left != insertWithin {
			t.Errorf("it has %v, want %v", left, insertWithin)
		}
	})
}

// extended is a message whose AckWait is extended.
type extended struct {
	jetstream.Msg
	at []time.Time
}

func (e *extended) InProgress() error {
	e.at = append(e.at, time.Now())
	return nil
}

func TestAHeldMessageIsExtendedTwiceBeforeTheShortestAckWaitEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := &extended{}
		l := inserts(blankRecorder(), nil)
		l.hold(t.Context(), []held[warehouse.DeadRow]{{msg: m}}, longestPause)
		for i, at := range append(m.at, time.Now())[1:] {
			if gap := at.Sub(m.at[i]); gap > bus.LeastAckWait/2 {
				t.Errorf("nothing for %v of %v", gap, bus.LeastAckWait)
			}
		}
	})
}
