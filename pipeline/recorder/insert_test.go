package recorder

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/ClickHouse/clickhouse-go/v2"

	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

func TestABatchOfWhichEachRowIsRejectedIsDeadLetteredOnlyIfThatLasts(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows, attempts int // attempts at the whole batch that fail
		letters        int
	}{
		"it is over soon":            {suspicious, 3, 0},
		"it is over just in time":    {suspicious, believed - 1, 0},
		"it lasts":                   {suspicious, believed, suspicious},
		"the rows are few":           {suspicious - 1, 1, suspicious - 1},
		"nothing is rejected at all": {suspicious, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := blankRecorder()
				r.env.Log = slog.New(slog.DiscardHandler)
				rows := make([]held[warehouse.DeadRow], c.rows)
				for i := range rows {
					rows[i].msg, rows[i].seq = &extended{}, uint64(i+1)
				}
				l := inserts(r, nil)
				began := 0
				l.insert = func(_ sink, _ context.Context, some []warehouse.DeadRow, _ string) error {
					if len(some) == len(rows) {
						began++
					}
					if began <= c.attempts {
						return &clickhouse.Exception{Code: 27, Message: "cannot parse input"}
					}
					return nil
				}
				poison, err := l.storeRows(t.Context(), t.Context(), rows)
				if err != nil || len(poison) != c.letters {
					t.Errorf("%d of %d rows become dead letters (%v), want %d", len(poison), c.rows, err, c.letters)
				}
			})
		})
	}
}

func TestARowThatIsTooMuchForTheMemoryOfTheMomentIsStoredLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := blankRecorder()
		r.env.Log = slog.New(slog.DiscardHandler)
		l, attempts := inserts(r, nil), 0
		l.insert = func(sink, context.Context, []warehouse.DeadRow, string) error {
			if attempts++; attempts <= 3 {
				return &clickhouse.Exception{Code: 241, Message: "memory limit exceeded"}
			}
			return nil
		}
		poison, err := l.storeRows(t.Context(), t.Context(), []held[warehouse.DeadRow]{{msg: &extended{}, seq: 1}})
		if err != nil || len(poison) != 0 || attempts != 4 {
			t.Errorf("%d dead letters (%v) after %d attempts, want none and four", len(poison), err, attempts)
		}
	})
}

// torn is a sink whose table has a damaged part: look-ups fail until it is repaired.
type torn struct {
	sink
	left *int // look-ups that fail
}

func (s torn) Stored(context.Context, string, []uint64) (map[uint64]uint64, error) {
	if *s.left--; *s.left >= 0 {
		return nil, &clickhouse.Exception{Code: 33, Message: "Cannot read all data"}
	}
	return nil, nil
}

func TestALookUpThatADamagedPartFailsMakesNoDeadLetter(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{1, suspicious} {
		synctest.Test(t, func(t *testing.T) {
			left := 2 * believed
			r := newRecorder(Config{}, process.Env{Clock: process.RealClock(), Log: slog.New(slog.DiscardHandler)}, nil,
				func(context.Context) (sink, error) { return torn{left: &left}, nil })
			batch := make([]held[warehouse.DeadRow], rows)
			for i := range batch {
				batch[i].msg, batch[i].seq = &extended{}, uint64(i+1)
			}
			inserted := 0
			l := inserts(r, func(context.Context) { inserted++ })
			poison, err := l.storeRows(t.Context(), t.Context(), batch)
			if err != nil || len(poison) != 0 || inserted != 1 {
				t.Errorf("of %d rows %d become dead letters (%v) after %d inserts, want none after one", rows, len(poison), err, inserted)
			}
		})
	}
}
