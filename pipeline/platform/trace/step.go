package trace

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Step is one step of a daemon, with a span for each unit of its work. What the step does for all of them at once,
// such as one call about a hundred products, is a SubSpan, and becomes a span below each of them.
type Step struct {
	t    *Tracer
	name string

	mu       sync.Mutex
	began    time.Time
	spans    map[string]oteltrace.Span // by Work-Id
	subSpans []*SubSpan                // those that have ended
}

type stepKey struct{}

// Begin returns a step, and a context in which SubSpans and messages belong to it.
func (t *Tracer) Begin(ctx context.Context, name string) (context.Context, *Step) {
	if t == nil {
		return ctx, nil
	}
	s := &Step{t: t, name: name, began: time.Now(), spans: map[string]oteltrace.Span{}}
	return context.WithValue(ctx, stepKey{}, s), s
}

// of returns the step of a context; nil without one.
func of(ctx context.Context) *Step {
	s, _ := ctx.Value(stepKey{}).(*Step)
	return s
}

// Take begins the span of a message's work, and makes the one of its wait in the stream.
func (s *Step) Take(d Delivery) {
	if s == nil || d.work() == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, foreign := parent(d.Header, d.work())
	began := s.began
	if d.StoredAt.After(began) { // the step was waiting for it
		began = d.StoredAt
	}
	if oteltrace.SpanContextFromContext(ctx).IsValid() && began.After(d.StoredAt) {
		_, wait := s.t.tracer.Start(ctx, "wait", oteltrace.WithTimestamp(d.StoredAt), oteltrace.WithAttributes(d.attributes()...))
		wait.End(oteltrace.WithTimestamp(began))
	}
	_, span := s.t.tracer.Start(ctx, s.name, oteltrace.WithSpanKind(oteltrace.SpanKindConsumer),
		oteltrace.WithTimestamp(began), oteltrace.WithLinks(foreign...), oteltrace.WithAttributes(d.attributes()...))
	s.keep(d.work(), span)
}

// Create begins the span of a work that this step publishes for the first time.
func (s *Step) Create(work, asin, source string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, _ := parent(nil, work)
	_, span := s.t.tracer.Start(ctx, s.name, oteltrace.WithSpanKind(oteltrace.SpanKindProducer), oteltrace.WithTimestamp(s.began),
		oteltrace.WithAttributes(text("ratchet.work_id", work), text("ratchet.asin", asin), text("ratchet.source", source)))
	s.keep(work, span)
}

// keep adds a span; one that a second delivery of the same work replaces has ended.
func (s *Step) keep(work string, span oteltrace.Span) {
	if earlier, ok := s.spans[work]; ok {
		earlier.End()
	}
	s.spans[work] = span
}

// End ends the spans, and adds what the step marked below each of them. The step can continue with other work.
func (s *Step) End() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range s.spans {
		ctx := oteltrace.ContextWithSpan(context.Background(), span)
		for _, m := range s.subSpans {
			m.write(ctx, s.t.tracer)
		}
		span.End()
	}
	clear(s.spans)
	s.subSpans, s.began = nil, time.Now()
}

// Fail records that the step of ctx failed and its work is handed back.
func Fail(ctx context.Context, why error) {
	s := of(ctx)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range s.spans {
		span.SetStatus(codes.Error, strings.ToValidUTF8(why.Error(), "\ufffd"))
	}
}

// Note adds a fact to the span of a work.
func Note(ctx context.Context, work, key, value string) {
	if s := of(ctx); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if span, ok := s.spans[work]; ok {
			span.SetAttributes(text(key, value))
		}
	}
}

// Again records why a work will be delivered again.
func Again(ctx context.Context, work string, why error) {
	if of(ctx) != nil {
		Note(ctx, work, "ratchet.again", why.Error())
	}
}

// Never records that a work ended as a dead letter.
func Never(ctx context.Context, work, reason string) {
	s := of(ctx)
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if span, ok := s.spans[work]; ok {
		span.SetAttributes(text("ratchet.dead", reason))
		span.SetStatus(codes.Error, reason)
	}
}

// Parent returns the header traceparent for a message about a work; empty without a span of it.
func Parent(ctx context.Context, work string) string {
	s := of(ctx)
	if s == nil || work == "" {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if span, ok := s.spans[work]; ok {
		return written(span)
	}
	return ""
}

// SubSpan is a part of a step, from its creation until End. One that never ends is not recorded.
type SubSpan struct {
	s        *Step
	name     string
	kind     oteltrace.SpanKind
	from, to time.Time
	facts    []attribute.KeyValue
	failed   string
}

// Begin begins a SubSpan; nil without a step in ctx.
func Begin(ctx context.Context, name string) *SubSpan {
	return begin(ctx, name, oteltrace.SpanKindInternal)
}

// Call begins the SubSpan of a call to another service.
func Call(ctx context.Context, name string) *SubSpan {
	return begin(ctx, name, oteltrace.SpanKindClient)
}

func begin(ctx context.Context, name string, kind oteltrace.SpanKind) *SubSpan {
	s := of(ctx)
	if s == nil {
		return nil
	}
	return &SubSpan{s: s, name: name, kind: kind, from: time.Now()}
}

// Text adds a fact.
func (m *SubSpan) Text(key, value string) {
	if m != nil {
		m.facts = append(m.facts, text(key, value))
	}
}

// Number adds a fact.
func (m *SubSpan) Number(key string, n int) {
	if m != nil {
		m.facts = append(m.facts, attribute.Int(key, n))
	}
}

// Fail records why it failed, as a code.
func (m *SubSpan) Fail(code string) {
	if m != nil {
		m.failed = code
	}
}

// End ends the SubSpan.
func (m *SubSpan) End() {
	if m == nil {
		return
	}
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.to = time.Now()
	m.s.subSpans = append(m.s.subSpans, m)
}

// write makes the span of a SubSpan below another.
func (m *SubSpan) write(ctx context.Context, t oteltrace.Tracer) {
	_, span := t.Start(ctx, m.name, oteltrace.WithSpanKind(m.kind), oteltrace.WithTimestamp(m.from), oteltrace.WithAttributes(m.facts...))
	if m.failed != "" {
		span.SetStatus(codes.Error, m.failed)
	}
	span.End(oteltrace.WithTimestamp(m.to))
}
