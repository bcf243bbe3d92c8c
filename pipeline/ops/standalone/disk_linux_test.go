package standalone_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/machinetest"
	"ratchet/test/desk"
)

func TestABoxWhoseDiskWasFullDecidesAgainOnceThereIsRoom(t *testing.T) {
	if testing.Short() {
		t.Skip("a disk is filled and freed")
	}
	t.Parallel()
	disk, log := machinetest.SmallDisk(t, "300m"), &journal{}
	box, err := standalone.Start(t.Context(), standalone.Options{
		Data: disk, World: standalone.Simulated, ClickHouse: standalone.None, Speed: 300, Seed: 7, Rate: 20, Balance: 600,
		Log: slog.New(slog.NewTextHandler(log, nil)), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Stop(context.WithoutCancel(t.Context()))
	last := func() uint64 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n, err := box.Bus.Last(ctx, pipeline.StreamVerdicts)
		if err != nil {
			return 0 // NATS is being restarted
		}
		return n
	}
	desk.Await(t, "a verdict", func() bool { return last() > 0 })
	free := machinetest.Fill(t, disk)
	desk.Await(t, "a write that fails", func() bool { return log.holds("nats cannot write") })
	free()
	desk.Await(t, "NATS to be restarted", func() bool { return log.holds("nats was restarted") })
	before := last()
	desk.Await(t, "verdicts after that", func() bool { return last() > before+20 })
	desk.Await(t, "nothing to be stuck", func() bool {
		s, err := cli.Health(t.Context(), box.Bus)
		return err == nil && len(s.Stuck) == 0
	})
}
