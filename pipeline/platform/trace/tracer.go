package trace

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	oteltrace "go.opentelemetry.io/otel/trace"

	"ratchet/pipeline"
)

// Tracer makes the spans of one daemon. A nil Tracer makes none.
type Tracer struct {
	tracer oteltrace.Tracer
	stop   func(context.Context) error
}

// New returns a tracer that makes its spans by another, which has Identities. stop sends the last spans.
func New(by oteltrace.Tracer, stop func(context.Context) error) *Tracer {
	return &Tracer{tracer: by, stop: stop}
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
	_ = t.stop(ctx) // spans that cannot be sent are dropped
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
