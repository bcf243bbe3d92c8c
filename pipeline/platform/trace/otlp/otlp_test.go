package otlp_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/trace"
	"ratchet/pipeline/platform/trace/otlp"
)

func TestACollectorThatIsAwayCostsNoWorkAndIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	settings := &trace.Settings{URL: "http://127.0.0.1:1/v1/traces"}
	tracer, err := otlp.Open(t.Context(), settings, "peeker", "host.1", "test", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	_, s := tracer.Begin(t.Context(), "peek")
	s.Take(trace.Delivery{Header: map[string][]string{pipeline.HeaderWorkID: {"02ec9ba10ccffe078bcf8dea"}}})
	s.End()
	began := time.Now()
	tracer.Close()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the end took %s", took)
	}
	if n := strings.Count(log.String(), "traces cannot be sent"); n != 1 {
		t.Errorf("logged %d times: %s", n, log.String())
	}
}
