package onebox_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/keepasim"
	"ratchet/pipeline/onebox"
	"ratchet/test/captured"
	"ratchet/test/desk"
)

func TestOfTheCapturedSweepsExactlyTheNewAndChangedRowsAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("an hour of captured time takes seconds")
	}
	t.Parallel()
	dir := captured.Dir(t)
	captured, err := keepasim.Captured(dir)
	if err != nil {
		t.Fatal(err)
	}
	sweeps := captured.Sweeps()
	if len(sweeps) < 2 {
		t.Skip("there is one captured sweep alone")
	}
	box, err := onebox.Start(t.Context(), onebox.Options{
		Data: t.TempDir(), World: onebox.Captured, CapturedDir: dir, ClickHouse: onebox.None, Speed: 600, Seed: 1, Rate: 20, Balance: 1000,
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
	desk.Await(t, "the first sweep", func() bool { return swept(sweeps[0]) })
	listed := map[keepasim.Standing]int{}
	for _, row := range box.Sim.Census() {
		listed[row]++
	}
	first := len(listed)
	desk.Await(t, "a sweep after the second capture", func() bool { return swept(sweeps[1].Add(20 * time.Minute)) })
	again := box.Sim.Census()
	for _, row := range again {
		listed[row]++
	}
	if first == len(listed) || len(listed) == first+len(again) {
		t.Fatalf("%d rows, then %d of which %d are new or changed: this proves nothing", first, len(again), len(listed)-first)
	}
	t.Logf("%d rows, then %d of which %d are new or changed", first, len(again), len(listed)-first)
	box.StopStages()
	err = bus.ScanJSON(t.Context(), box.Bus, pipeline.StreamCandidates, bus.From{}, func(_ bus.Read, c pipeline.Candidate) error {
		row := keepasim.Standing{ASIN: c.ASIN, CreationDate: c.CreationDate}
		if listed[row] == 0 {
			t.Errorf("%s dated %d was offered twice, or was never listed", c.ASIN, c.CreationDate)
		}
		delete(listed, row)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(listed) > 0 {
		t.Errorf("%d rows were never offered", len(listed))
	}
	if twice := box.Sim.Books().Repeated(); len(twice) > 0 {
		t.Errorf("paid again for %v", twice)
	}
}
