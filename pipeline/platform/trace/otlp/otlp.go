// Package otlp sends the spans of package trace to a collector, by OTLP over HTTP. Only what starts daemons imports it.
package otlp

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"ratchet/pipeline/platform/trace"
)

// Open returns the tracer of a daemon; nil without settings. It does not connect, and drops what cannot be sent.
func Open(ctx context.Context, s *trace.Settings, daemon, instance, version string, log *slog.Logger) (*trace.Tracer, error) {
	if s == nil {
		return nil, nil //nolint:nilnil // documented: a nil Tracer makes no spans
	}
	to, err := otlptrace.New(ctx, newCollector(s))
	if err != nil {
		return nil, fmt.Errorf("prepare the sending of traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.namespace", "ratchet"), attribute.String("service.name", daemon),
		attribute.String("service.version", version), attribute.String("service.instance.id", instance),
	), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(&sender{SpanExporter: to, log: log}),
		sdktrace.WithResource(about), sdktrace.WithIDGenerator(trace.Identities{}))
	return trace.New(p.Tracer("ratchet"), p.Shutdown), nil
}

// sender logs once when spans cannot be sent, and once when they can again.
type sender struct {
	sdktrace.SpanExporter
	log    *slog.Logger
	failed atomic.Bool
}

// ExportSpans implements sdktrace.SpanExporter.
func (s *sender) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := s.SpanExporter.ExportSpans(ctx, spans)
	switch failed := err != nil; {
	case failed && !s.failed.Swap(true):
		s.log.Warn("traces cannot be sent, they are dropped", "err", err)
	case !failed && s.failed.Swap(false):
		s.log.Info("traces are sent again")
	}
	return nil // logged
}
