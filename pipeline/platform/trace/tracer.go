package trace

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"ratchet/pipeline"
)

// Tracer makes the spans of one daemon. A nil Tracer makes none.
type Tracer struct {
	provider *sdktrace.TracerProvider
	tracer   oteltrace.Tracer
}

// Open returns the tracer of a daemon; nil without settings. It does not connect, and drops what cannot be sent.
func Open(ctx context.Context, s *Settings, daemon, instance, version string, log *slog.Logger) (*Tracer, error) {
	if s == nil {
		return nil, nil //nolint:nilnil // documented: a nil Tracer makes no spans
	}
	opts := []otlptracehttp.Option{}
	if s.URL != "" {
		opts = append(opts, otlptracehttp.WithEndpointURL(s.URL))
	}
	if len(s.Headers) > 0 {
		opts = append(opts, otlptracehttp.WithHeaders(s.Headers))
	}
	to, err := otlptracehttp.New(ctx, opts...)
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
		sdktrace.WithResource(about), sdktrace.WithIDGenerator(identities{}))
	return &Tracer{provider: p, tracer: p.Tracer("ratchet")}, nil
}

// closeWithin bounds the sending of the last spans.
const closeWithin = 2 * time.Second

// Close sends the last spans.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeWithin)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // spans that cannot be sent are dropped
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

// Delivery is a message that a daemon took.
type Delivery struct {
	Header     map[string][]string
	Subject    string
	Stream     string
	Sequence   uint64
	StoredAt   time.Time // machine time of the server
	Deliveries uint64
}

// work is the Work-Id of the message.
func (d Delivery) work() string { return carrier(d.Header).Get(pipeline.HeaderWorkID) }

// attributes describe the message.
func (d Delivery) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{
		text("ratchet.work_id", d.work()), text("messaging.system", "nats"),
		text("messaging.destination.name", d.Stream), text("ratchet.subject", d.Subject),
		attribute.Int64("ratchet.sequence", int64(d.Sequence)),     //nolint:gosec // a sequence is below 2^32
		attribute.Int64("ratchet.deliveries", int64(d.Deliveries)), //nolint:gosec // a small number
	}
}

// text is a fact; the encoding of spans has no room for broken characters, which a message may hold.
func text(key, value string) attribute.KeyValue {
	return attribute.String(key, strings.ToValidUTF8(value, "\ufffd"))
}

// Recorded makes the span of a message whose row was stored, since the batch of rows was taken.
func (t *Tracer) Recorded(d Delivery, since time.Time, rows int) {
	if t == nil || d.work() == "" || !published(d.Header).IsValid() {
		return
	}
	ctx, foreign := parent(d.Header, d.work())
	_, span := t.tracer.Start(ctx, "record", oteltrace.WithSpanKind(oteltrace.SpanKindConsumer), oteltrace.WithTimestamp(since),
		oteltrace.WithLinks(foreign...), oteltrace.WithAttributes(append(d.attributes(), attribute.Int("ratchet.batch_rows", rows))...))
	span.End()
}
