package warehouse_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/warehouse"
)

// TestARepeatedInsertCompletesOneOfWhichASumFailed makes each sum in turn reject its rows, as for lack of
// memory or disk: the rows are stored, and some of the sums, in the engine's order. The same batch is inserted
// again, under its token or, as after a crash, in other batches; then every sum must agree with the rows.
func TestARepeatedInsertCompletesOneOfWhichASumFailed(t *testing.T) {
	t.Parallel()
	w := open(t)
	targets := strings.Fields(ask(t, w, `SELECT DISTINCT extract(create_table_query, ' TO [^.]+\\.(\\w+)') FROM system.tables
		WHERE database = currentDatabase() AND engine = 'MaterializedView' ORDER BY ALL`))
	if len(targets) < 15 {
		t.Fatalf("%d sums, want all: %v", len(targets), targets)
	}
	r := rapid.Custom(func(r *rapid.T) round {
		return round{drawVerdicts(r, 0, 60), drawEntries(r, 0, 60), drawDeals(t, r, 0, 15)}
	})
	failed := 0
	for n, target := range targets {
		if n%rounds(6, 1) != 0 { // .ci/long has every one
			continue
		}
		rows := r.Example(n)
		rows.number(uint64(100 * n)) //nolint:gosec // small
		rows.verdicts[0].Run = pipeline.RunLive
		rows.verdicts[0].Look, rows.verdicts[0].Outcome, rows.verdicts[0].Reason = pipeline.LookList, pipeline.Fail, "stale_no_tokens" // the refresher's verdict
		for i := range rows.entries {
			rows.entries[i].MsgID = fmt.Sprint("entry", n, "-", i)
		}
		token := fmt.Sprint("round", n)
		must(t, exec(t.Context(), w, "ALTER TABLE "+target+" ADD CONSTRAINT refuses CHECK 1 = 2"))
		before := failed
		for _, err := range rows.insert(t, w, token, 1) {
			if err == nil {
				continue
			}
			if failed++; warehouse.Classify(err) != warehouse.Again {
				t.Errorf("%s refuses: got %v, want that it is tried again", target, err)
			}
		}
		if failed == before {
			t.Errorf("%s refused nothing", target)
		}
		must(t, exec(t.Context(), w, "ALTER TABLE "+target+" DROP CONSTRAINT refuses"))
		if n%2 == 0 {
			must(t, join(rows.insert(t, w, token, 1)))
		} else {
			must(t, join(rows.insert(t, w, token+"others", 4)))
		}
		sumsAgree(t, w, target)
	}
	sumsAgree(t, w, "")
}

// sumsAgree compares the sums of one table, or of all, with the same questions asked of the rows.
func sumsAgree(t *testing.T, w *warehouse.Warehouse, table string) {
	t.Helper()
	for name, pair := range sums {
		if !strings.HasPrefix(name, table) {
			continue
		}
		if rows, sum := ask(t, w, pair[0]), ask(t, w, pair[1]); rows != sum {
			t.Fatalf("%s: the rows say\n%s\nthe sum says\n%s", name, rows, sum)
		}
	}
}

// round is a set of rows for every table with sums.
type round struct {
	verdicts []warehouse.VerdictRow
	entries  []warehouse.LedgerRow
	deals    []warehouse.DealRow
}

// number gives the rows sequences of their own.
func (r round) number(after uint64) {
	for i := range r.verdicts {
		r.verdicts[i].Sequence += after
	}
	for i := range r.entries {
		r.entries[i].Sequence += after
	}
	for i := range r.deals {
		r.deals[i].Sequence += after
	}
}

// insert inserts the rows in so many batches and returns the outcome of each.
func (r round) insert(t *testing.T, w *warehouse.Warehouse, token string, batches int) (outcomes []error) {
	t.Helper()
	for b := range batches {
		at := fmt.Sprint(token, b, "of", batches)
		outcomes = append(outcomes,
			w.InsertVerdicts(t.Context(), part(r.verdicts, b, batches), at),
			w.InsertLedger(t.Context(), part(r.entries, b, batches), at),
			w.InsertDeals(t.Context(), part(r.deals, b, batches), at))
	}
	return outcomes
}

func part[R any](rows []R, n, of int) []R {
	return rows[n*len(rows)/of : (n+1)*len(rows)/of]
}

func join(errs []error) error { return errors.Join(errs...) }
