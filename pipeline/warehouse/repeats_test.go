package warehouse_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"ratchet/pipeline"
	"ratchet/pipeline/warehouse"
)

// said is an event in a message.
type said struct{ event, row uint64 }

func (s said) EventID() uint64 { return s.event }
func (s said) RowID() uint64   { return s.row }

func TestOfTheRowsOfOneEventOneIsStoredWhateverTheBatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		stored := map[uint64]uint64{} // by event
		table := map[uint64]uint64{}  // by row id, as ClickHouse merges
		all := map[uint64]bool{}
		of := map[uint64]uint64{} // the event of each message
		for range rapid.IntRange(1, 5).Draw(r, "batches") {
			var rows []said
			for range rapid.IntRange(1, 12).Draw(r, "rows") {
				row := rapid.Uint64Range(1, 30).Draw(r, "row")
				if _, known := of[row]; !known {
					of[row] = rapid.Uint64Range(0, 8).Draw(r, "event")
				}
				rows, all[of[row]] = append(rows, said{of[row], row}), true
			}
			anew := warehouse.WithoutRepeats(rows, warehouse.Events(rows), stored)
			if again := warehouse.WithoutRepeats(anew, warehouse.Events(anew), stored); len(again) != len(anew) {
				r.Fatalf("%v of %v the first time, %v the second", anew, rows, again)
			}
			for _, s := range anew {
				table[s.row] = s.event
				if s.event != 0 {
					stored[s.event] = s.row
				}
			}
		}
		count := map[uint64]int{}
		for _, event := range table {
			count[event]++
		}
		for event := range all {
			if n := count[event]; n != 1 && event != 0 || n == 0 {
				r.Errorf("event %d is %d rows", event, n)
			}
		}
		for row, event := range of {
			if event == 0 && table[row] != 0 {
				r.Errorf("row %d has no event and is missing", row)
			}
		}
	})
}

func TestARowIsFoundByTheIdOfItsMessage(t *testing.T) {
	t.Parallel()
	w := open(t)
	const many = 12_000 // more than one query asks for
	rows := make([]warehouse.LedgerRow, many)
	ids := make([]uint64, many)
	for i := range rows {
		rows[i] = entry(uint64(i+1), noon, pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Tokens: 1, Claim: fmt.Sprint("c", i)})
		rows[i].MsgID = rows[i].Claim
		ids[i] = rows[i].EventID()
	}
	must(t, w.InsertLedger(t.Context(), rows[:many-1], "l"))
	found, err := w.Stored(t.Context(), pipeline.StreamLedger, ids)
	must(t, err)
	if len(found) != many-1 || found[ids[many-2]] != rows[many-2].RowID() {
		t.Errorf("%d found, want %d", len(found), many-1)
	}
	if _, err := w.Stored(t.Context(), pipeline.StreamCandidates, ids); err == nil {
		t.Error("candidates have no table")
	}
	if warehouse.MessageID(1, "a") == warehouse.MessageID(2, "a") || warehouse.MessageID(1, "") != 0 {
		t.Error("an id means something within its stream alone, and no id is 0")
	}
}
