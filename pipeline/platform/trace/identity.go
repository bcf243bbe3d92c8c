package trace

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"

	"go.opentelemetry.io/otel/propagation"
	oteltrace "go.opentelemetry.io/otel/trace"

	"ratchet/pipeline"
)

// idOf returns the trace of a unit of work: its Work-Id, 24 hex digits, and zeroes. Another Work-Id is hashed first.
func idOf(work string) (id oteltrace.TraceID) {
	if n, err := hex.Decode(id[:], []byte(work[:min(len(work), 24)])); err == nil && n == 12 && len(work) == 24 && id.IsValid() {
		return id
	}
	sum := sha256.Sum256([]byte(work))
	copy(id[:12], sum[:])
	return id
}

// Unrecorded returns the header traceparent of a message that no span published: the trace of its work, a span id made
// of the message's id, and the flag that neither is recorded.
func Unrecorded(work, id string) string {
	return "00-" + idOf(work).String() + "-" + spanOf(id).String() + "-00"
}

// spanOf returns the id of the span that was not recorded.
func spanOf(id string) (span oteltrace.SpanID) {
	sum := sha256.Sum256([]byte(id))
	copy(span[:], sum[:])
	return span
}

// workKey is the context key of the Work-Id of a span that begins a trace.
type workKey struct{}

// Identities gives a span that has no parent the trace of its work.
type Identities struct{}

// NewIDs implements sdktrace.IDGenerator.
func (i Identities) NewIDs(ctx context.Context) (oteltrace.TraceID, oteltrace.SpanID) {
	work, _ := ctx.Value(workKey{}).(string)
	id := idOf(work)
	return id, i.NewSpanID(ctx, id)
}

// NewSpanID implements sdktrace.IDGenerator.
func (Identities) NewSpanID(context.Context, oteltrace.TraceID) (id oteltrace.SpanID) {
	for !id.IsValid() {
		_, _ = rand.Read(id[:]) // never fails
	}
	return id
}

// carrier reads the header of a message.
type carrier map[string][]string

func (c carrier) Get(key string) string {
	if v := c[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (c carrier) Set(key, value string) { c[key] = []string{value} }

func (c carrier) Keys() []string { return []string{pipeline.HeaderTraceparent} }

// parent returns the context for the spans of a work that a message is about: below the span that published the
// message, or without a parent if none did. foreign links to a span of another trace that the header names.
func parent(header map[string][]string, work string) (_ context.Context, foreign []oteltrace.Link) {
	ctx := context.WithValue(context.Background(), workKey{}, work)
	named := published(header)
	switch {
	case !named.IsValid():
		return ctx, nil
	case named.TraceID() == idOf(work):
		return oteltrace.ContextWithRemoteSpanContext(ctx, named), nil
	}
	return ctx, []oteltrace.Link{{SpanContext: named}}
}

// published returns the span that the header names; an invalid one if it names none, or one of Unrecorded.
func published(header map[string][]string) oteltrace.SpanContext {
	named := oteltrace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier(header)))
	if named.SpanID() == spanOf(carrier(header).Get(pipeline.HeaderMsgID)) {
		return oteltrace.SpanContext{}
	}
	return named
}

// written is a span as the header of the messages that it publishes.
func written(span oteltrace.Span) string {
	c := carrier{}
	propagation.TraceContext{}.Inject(oteltrace.ContextWithSpan(context.Background(), span), c)
	return c.Get(pipeline.HeaderTraceparent)
}
