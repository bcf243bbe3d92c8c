package trace

import (
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// ToMemory returns a tracer and where its spans are kept.
func ToMemory(t *testing.T, opts ...sdktrace.TracerProviderOption) (*Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	kept := tracetest.NewInMemoryExporter()
	p := sdktrace.NewTracerProvider(append(opts, sdktrace.WithSyncer(kept), sdktrace.WithIDGenerator(Identities{}))...)
	return New(p.Tracer("test"), p.Shutdown), kept
}
