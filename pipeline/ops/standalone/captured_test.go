package standalone_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/machinetest"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/captured"
	"ratchet/test/desk"
)

func TestOfTheCapturedSweepsExactlyTheNewAndChangedRowsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("an hour of captured time takes seconds")
	}
	t.Parallel()
	dir := captured.Dir(t)
	world, err := keepasim.Captured(dir)
	if err != nil {
		t.Fatal(err)
	}
	sweeps := world.Sweeps()
	if len(sweeps) < 2 {
		machinetest.Lacks(t, "%d captured sweeps, want two", len(sweeps))
	}
	box, err := standalone.Start(t.Context(), standalone.Options{
		Data: t.TempDir(), World: standalone.Captured, CapturedDir: dir, ClickHouse: standalone.None, Speed: 600, Seed: 1, Rate: 20, Balance: 1000,
		Settings: map[string]string{"WATERMARKER_SHORTEST": "10m", "WATERMARKER_LONGEST": "20m", "WATERMARKER_SWEEP": "20m"},
		Log:      slog.New(slog.DiscardHandler), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Stop(context.Background())
	swept := func(after time.Time) bool {
		found := false
		err := bus.ScanJSON(t.Context(), box.Bus, pipeline.StreamLedger, bus.From{Subjects: []string{pipeline.SubjectLedger(pipeline.StageWatermarker, pipeline.EventSweep)}},
			func(_ bus.Read, e pipeline.Entry) error {
				found = found || e.At.After(after)
				return nil
			})
		return err == nil && found
	}
	// served are the rows of every capture that was on the list while the box ran, mustFind those of the first two: what
	// a loaded machine serves of a third before the box stops may be found or not.
	served, mustFind, rows := map[keepasim.ListedRow]bool{}, map[keepasim.ListedRow]bool{}, map[int]int{}
	look := func() {
		now, census := box.Env.Now(), box.Sim.Census()
		at := 0
		for at+1 < len(sweeps) && !now.Before(sweeps[at+1]) {
			at++
		}
		rows[at] = len(census)
		for _, row := range census {
			served[row] = true
			if at < 2 {
				mustFind[row] = true
			}
		}
	}
	desk.Await(t, "the first sweep", func() bool { look(); return swept(sweeps[0]) })
	first := len(mustFind)
	desk.Await(t, "a sweep after the second capture", func() bool { look(); return swept(sweeps[1].Add(20 * time.Minute)) })
	if first == len(mustFind) || len(mustFind) == first+rows[1] {
		t.Fatalf("%d rows, then %d of which %d are new or changed: this proves nothing", first, rows[1], len(mustFind)-first)
	}
	t.Logf("%d rows, then %d of which %d are new or changed", first, rows[1], len(mustFind)-first)
	box.StopStages()
	offered := map[keepasim.ListedRow]bool{}
	err = bus.ScanJSON(t.Context(), box.Bus, pipeline.StreamCandidates, bus.From{}, func(_ bus.Read, c pipeline.Candidate) error {
		row := keepasim.ListedRow{ASIN: c.ASIN, CreationDate: c.CreationDate}
		if offered[row] || !served[row] {
			t.Errorf("%s dated %d was offered twice, or was never listed", c.ASIN, c.CreationDate)
		}
		offered[row] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for row := range mustFind {
		if !offered[row] {
			t.Errorf("%s dated %d was never offered", row.ASIN, row.CreationDate)
		}
	}
	paidOnce(t, box, 0)
}
