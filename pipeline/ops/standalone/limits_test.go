package standalone_test

import (
	"context"
	"log/slog"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/standalone"
)

func TestABoxKeepsAsManyPaidAnswersAsItsLimitAllows(t *testing.T) {
	t.Parallel()
	const limit = 200e9
	box, err := standalone.Start(t.Context(), standalone.Options{
		Data: t.TempDir(), World: standalone.Simulated, ClickHouse: standalone.None, Speed: 60, Seed: 7, Rate: 20, Balance: standalone.FullBucket,
		Settings: map[string]string{"NATS_MAX_RESPONSES": "200000000000"}, Log: slog.New(slog.DiscardHandler), Version: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Stop(context.WithoutCancel(t.Context()))
	s, err := box.Bus.JS.Stream(t.Context(), pipeline.StreamResponses)
	if err != nil || s.CachedInfo().Config.MaxBytes != limit {
		t.Errorf("%v, %v; want a limit of %d bytes", s, err, int64(limit))
	}
}
