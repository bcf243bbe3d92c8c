package standalone_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
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
		t.Skip("an hour and a half of captured time takes half a minute")
	}
	t.Parallel()
	dir, sweeps := anHourApart(t)
	box, err := standalone.Start(t.Context(), standalone.Options{
		Data: t.TempDir(), World: standalone.Captured, CapturedDir: dir, ClickHouse: standalone.None, Speed: 150, Seed: 1, Rate: 20, Balance: 1000,
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
	// listed are the rows that were on the list while the box ran.
	listed, rows := map[keepasim.ListedRow]bool{}, 0
	look := func() {
		census := box.Sim.Census()
		rows = len(census)
		for _, row := range census {
			listed[row] = true
		}
	}
	desk.Await(t, "the first sweep", func() bool { look(); return swept(sweeps[0]) })
	first := len(listed)
	desk.Await(t, "a sweep after the second capture", func() bool { look(); return swept(sweeps[1].Add(20 * time.Minute)) })
	changed := len(listed) - first
	if box.Env.Now().Before(sweeps[1]) || changed == 0 || changed == rows {
		t.Fatalf("%d rows, then %d of which %d are new or changed: this proves nothing", first, rows, changed)
	}
	t.Logf("%d rows, then %d of which %d are new or changed", first, rows, changed)
	box.StopStages()
	offered := map[keepasim.ListedRow]bool{}
	err = bus.ScanJSON(t.Context(), box.Bus, pipeline.StreamCandidates, bus.From{}, func(_ bus.Read, c pipeline.Candidate) error {
		row := keepasim.ListedRow{ASIN: c.ASIN, CreationDate: c.CreationDate}
		if offered[row] || !listed[row] {
			t.Errorf("%s dated %d was offered twice, or was never listed", c.ASIN, c.CreationDate)
		}
		offered[row] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for row := range listed {
		if !offered[row] {
			t.Errorf("%s dated %d was never offered", row.ASIN, row.CreationDate)
		}
	}
	paidOnce(t, box, 0)
}

// anHourApart is a directory with all captured products and, of the captured sweeps, the first two that are at least an
// hour and at most two apart, and when they were captured.
func anHourApart(t *testing.T) (string, []time.Time) {
	t.Helper()
	all, err := filepath.Abs(captured.Dir(t))
	if err != nil {
		t.Fatal(err)
	}
	world, err := keepasim.Captured(all)
	if err != nil {
		t.Fatal(err)
	}
	sweeps := world.Sweeps()
	for i := range len(sweeps) - 1 {
		if apart := sweeps[i+1].Sub(sweeps[i]); apart < time.Hour || apart > 2*time.Hour {
			continue
		}
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "deal"), 0o700); err != nil {
			t.Fatal(err)
		}
		names := []string{"product"}
		for _, at := range sweeps[i : i+2] {
			pages, err := filepath.Glob(filepath.Join(all, "deal", at.Format("sweep-2006-01-02T1504Z-p*")))
			if err != nil || len(pages) == 0 {
				t.Fatalf("the sweep of %s has no pages: %v", at, err)
			}
			for _, page := range pages {
				names = append(names, filepath.Join("deal", filepath.Base(page)))
			}
		}
		for _, name := range names {
			if err := os.Symlink(filepath.Join(all, name), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		return dir, sweeps[i : i+2]
	}
	machinetest.Lacks(t, "no two of %d captured sweeps are an hour apart", len(sweeps))
	return "", nil
}
