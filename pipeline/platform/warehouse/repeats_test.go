package warehouse_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/warehouse"
)

// said is an event in a message.
type said struct{ event, row uint64 }

func (s said) EventID() uint64 { return s.event }
func (s said) RowID() uint64   { return s.row }

func (s said) StoredOn() time.Time { return time.Time{} }

func TestOfTheRowsOfOneEventOneIsStoredWhateverTheBatches(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		stored := map[uint64]uint64{} // by event
		table := map[uint64]uint64{}  // by row ID, as ClickHouse merges
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
			fresh, seen := warehouse.WithoutRepeats(rows, warehouse.Events(rows), stored)
			if len(fresh)+len(seen) != len(rows) {
				r.Fatalf("%d rows are new and %d were seen, of %d", len(fresh), len(seen), len(rows))
			}
			if again, _ := warehouse.WithoutRepeats(fresh, warehouse.Events(fresh), stored); len(again) != len(fresh) {
				r.Fatalf("%v of %v the first time, %v the second", fresh, rows, again)
			}
			for _, s := range fresh {
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
			if _, is := table[row]; event == 0 && !is {
				r.Errorf("row %d has no event and is missing", row)
			}
		}
	})
}

func TestARowIsFoundByTheIdOfItsMessage(t *testing.T) {
	t.Parallel()
	w := open(t)
	const many = 12_000 // more than one query contains
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

func TestAVerdictOfAnotherRunWorkOrLookIsNoRepeatAndAnotherMessageOfItIs(t *testing.T) {
	t.Parallel()
	first := verdicts(1)[0]
	for name, c := range map[string]struct {
		change func(*warehouse.VerdictRow)
		repeat bool
	}{
		"a replay":                {func(r *warehouse.VerdictRow) { r.Run = "lax" }, false},
		"other work":              {func(r *warehouse.VerdictRow) { r.Origin.WorkID += "-2" }, false},
		"the next look":           {func(r *warehouse.VerdictRow) { r.Look = pipeline.LookPeek }, false},
		"a later message":         {func(r *warehouse.VerdictRow) { r.Sequence, r.MsgID = 9, "other" }, true},
		"one of a stream anew":    {func(r *warehouse.VerdictRow) { r.Epoch++ }, true},
		"one of an earlier build": {func(r *warehouse.VerdictRow) { r.Build = "v0.1.0" }, true},
	} {
		other := first
		c.change(&other)
		if same := other.EventID() == first.EventID(); same != c.repeat {
			t.Errorf("%s: it counts as a repeat: %t, want %t", name, same, c.repeat)
		}
	}
	byHand := first
	if byHand.Origin.WorkID = ""; byHand.EventID() != 0 {
		t.Error("a verdict without work counts as known")
	}
}

// TestAnEventIsKnownAsLongAsAMessageOfItIsOnTheStream: rows expire after thirty days
// here, and the streams are recorded again. The first message of the event has left
// the stream, its repeat has not: it would be counted again, in sums that stay.
func TestAnEventIsKnownAsLongAsAMessageOfItIsOnTheStream(t *testing.T) {
	t.Parallel()
	w := open(t)
	must(t, w.Keep(t.Context(), 30))
	ago := func(days int) time.Time { return time.Now().UTC().AddDate(0, 0, -days) }
	v := verdicts(2)
	v[0].StoredAt, v[1].StoredAt = ago(140), ago(140)
	l := make([]warehouse.LedgerRow, 2)
	for i := range l {
		l[i] = entry(uint64(i+1), noon, pipeline.Entry{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Tokens: 1, Claim: fmt.Sprint("c", i)}) //nolint:gosec // small
		l[i].MsgID, l[i].StoredAt = l[i].Claim, ago(140)
	}
	must(t, w.InsertVerdicts(t.Context(), v, "v"))
	must(t, w.InsertLedger(t.Context(), l, "l"))
	// The second event of each is repeated by a message of fifty days ago.
	for range 2 {
		must(t, w.Remember(t.Context(), pipeline.StreamVerdicts, []warehouse.Seen{{Event: v[1].EventID(), Row: v[1].RowID(), At: ago(50)}}))
		must(t, w.Remember(t.Context(), pipeline.StreamLedger, []warehouse.Seen{{Event: l[1].EventID(), Row: l[1].RowID(), At: ago(50)}}))
	}
	must(t, w.Remember(t.Context(), pipeline.StreamDeals, []warehouse.Seen{{Event: 1, Row: 1, At: ago(50)}})) // has its row
	for _, table := range []string{"verdicts", "ledger", "verdict_ids", "entry_ids"} {
		must(t, exec(t.Context(), w, "OPTIMIZE TABLE "+table+" FINAL")) // what ClickHouse eventually does by itself
	}
	want(t, w, "SELECT (SELECT count() FROM verdicts), (SELECT count() FROM ledger)", "0,0")
	for stream, ids := range map[string][]uint64{pipeline.StreamVerdicts: warehouse.Events(v), pipeline.StreamLedger: warehouse.Events(l)} {
		found, err := w.Stored(t.Context(), stream, ids)
		must(t, err)
		if len(found) != 1 || found[ids[1]] == 0 {
			t.Errorf("of %s %d events are known, want the one that was seen again", stream, len(found))
		}
	}
}
