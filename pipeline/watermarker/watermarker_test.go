package watermarker_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/watermarker"
	"ratchet/test/desk"
)

// speed makes a minute between two polls last 20 ms.
const speed = 3000

const credit = 100_000

// often polls every minute of pipeline time, and each read is a full sweep.
var often = map[string]string{"WATERMARKER_SHORTEST": "1m", "WATERMARKER_LONGEST": "1m", "WATERMARKER_SWEEP": "1m"}

// candidates are the Work-Ids on the stream, and how often each is there.
func candidates(t *testing.T, d *desk.Desk) map[string]int {
	t.Helper()
	out := map[string]int{}
	err := d.Bus.Scan(t.Context(), pipeline.StreamCandidates, bus.From{Headers: true}, func(r bus.Read) error {
		out[r.Header.Get(pipeline.HeaderWorkID)]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func ledger(t *testing.T, d *desk.Desk, event pipeline.Event) []pipeline.Entry {
	t.Helper()
	var out []pipeline.Entry
	err := bus.ScanJSON(t.Context(), d.Bus, pipeline.StreamLedger, bus.From{Subjects: []string{pipeline.SubjectLedger(pipeline.StageWatermarker, event)}},
		func(_ bus.Read, e pipeline.Entry) error { out = append(out, e); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func state(t *testing.T, d *desk.Desk) watermark.State {
	t.Helper()
	var s watermark.State
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketWatermarks)
	if err != nil {
		t.Fatal(err)
	}
	raw, _, err := bus.NewCell(kv, pipeline.KeyWatermark(1, "used-books")).Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if raw != nil {
		if err := json.Unmarshal(raw, &s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestAHundredReadingsOfAnUnchangingListCostThePagesAndNothingMore(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a list many times over")
	}
	t.Parallel()
	d := desk.New(t, speed)
	d.Grant(t, pipeline.StageWatermarker, credit)
	before := d.Sim.Account()
	stop := d.Run(t, watermarker.Run, often)
	desk.Await(t, "a hundred sweeps", func() bool { return len(ledger(t, d, pipeline.EventSweep)) >= 100 })
	stop()
	for id, n := range candidates(t, d) {
		if n != 1 {
			t.Errorf("work %s was offered %d times", id, n)
		}
	}
	if n := len(candidates(t, d)); n != 400 {
		t.Errorf("%d candidates, want 400", n)
	}
	polls := ledger(t, d, pipeline.EventPoll)
	for _, e := range polls[3:] {
		if !strings.Contains(e.Note, ", 0 new, due ") {
			t.Errorf("a page that was read before brought %s", e.Note)
		}
	}
	books := d.Sim.Account()
	if pages, tokens := books.Calls[keepasim.KindDeal]-before.Calls[keepasim.KindDeal], books.Consumed()-before.Consumed(); pages != len(polls) || tokens != 5*pages {
		t.Errorf("%d tokens for %d pages, %d of them read", tokens, pages, len(polls))
	}
}

func TestAListOfAStrangeShapeIsFlaggedAndNothingAdvances(t *testing.T) {
	t.Parallel()
	d := desk.New(t, speed)
	d.Grant(t, pipeline.StageWatermarker, credit)
	d.Sim.Change(func(f *keepasim.Faults) { f.RowsOff = -11 * 365 * 24 * time.Hour })
	d.Run(t, watermarker.Run, often)
	desk.Await(t, "the anomaly", func() bool { return strings.HasPrefix(state(t, d).Why, "list shape anomaly") })
	if s, n := state(t, d), len(candidates(t, d)); s.Mark != 0 || !s.ReadAt.IsZero() || n != 0 {
		t.Errorf("it moved to %d and brought %d candidates", s.Mark, n)
	}
	d.Sim.Change(func(f *keepasim.Faults) { f.RowsOff = 0 })
	desk.Await(t, "the list itself", func() bool { return len(candidates(t, d)) == 400 && !state(t, d).LastSweep.IsZero() })
}

func TestAFailedReadResumesAtItsPageAndBuysNoPageTwice(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 300)
	d.Grant(t, pipeline.StageWatermarker, credit)
	before := d.Sim.Account().Calls[keepasim.KindDeal]
	d.Sim.Change(func(f *keepasim.Faults) {
		f.Rules = []keepasim.Rule{{Kind: keepasim.KindDeal, Do: keepasim.Fail, Status: 503, Probability: 0.6, Times: 4}}
	})
	d.Run(t, watermarker.Run, map[string]string{"WATERMARKER_SHORTEST": "24h", "WATERMARKER_LONGEST": "24h"})
	desk.Await(t, "the sweep", func() bool { return !state(t, d).LastSweep.IsZero() })
	if n := d.Sim.Account().Calls[keepasim.KindDeal] - before; n != 3 {
		t.Errorf("%d pages were bought, want 3", n)
	}
	if n := len(candidates(t, d)); n != 400 {
		t.Errorf("%d candidates, want 400", n)
	}
	s := state(t, d)
	if opened, filled := ledger(t, d, pipeline.EventGapOpened), ledger(t, d, pipeline.EventGapFilled); len(opened) != len(filled)+len(s.Gaps) {
		t.Errorf("%d gaps opened, %d filled, %d owed", len(opened), len(filled), len(s.Gaps))
	}
}

func TestEveryOrderOfTheListGivesTheSameCandidates(t *testing.T) {
	if testing.Short() {
		t.Skip("reads a list many times over")
	}
	t.Parallel()
	for name, faults := range map[string]keepasim.Faults{
		"reverse": {Order: keepasim.OrderReverse}, "percent": {Order: keepasim.OrderPercent}, "random for each page": {Order: keepasim.OrderRandom},
		"drift": {Drift: 20}, "duplicates": {Duplicates: 5}, "Keepa's clock a day ahead": {Skew: 24 * time.Hour}, "Keepa's clock a day behind": {Skew: -24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := desk.New(t, speed)
			d.Grant(t, pipeline.StageWatermarker, credit)
			d.Sim.Change(func(f *keepasim.Faults) { *f = faults })
			d.Run(t, watermarker.Run, often)
			desk.Await(t, "400 candidates", func() bool { return len(candidates(t, d)) == 400 })
		})
	}
}
