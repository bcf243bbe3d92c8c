package trace_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/trace"
)

const work = "02ec9ba10ccffe078bcf8dea"

// step is what a stage does with a message, marks and all.
func step(ctx context.Context, t *trace.Tracer, d trace.Delivery) (header string) {
	ctx, s := t.Begin(ctx, "peek")
	defer s.End()
	claim := trace.Begin(ctx, "claim")
	claim.Number("tokens", 1)
	claim.End()
	s.Take(d)
	call := trace.Call(ctx, "keepa")
	call.Text("endpoint", "product")
	call.Fail("server")
	call.End()
	trace.Note(ctx, work, "outcome", "survive")
	trace.Again(ctx, work, errAgain)
	trace.Never(ctx, work, "poison")
	trace.Fail(ctx, errAgain)
	return trace.Parent(ctx, work)
}

var errAgain = errors.New("again")

func TestWithoutTracesNothingIsAllocatedAndNoHeaderIsWritten(t *testing.T) {
	ctx := t.Context()
	d := trace.Delivery{Header: map[string][]string{pipeline.HeaderWorkID: {work}}, StoredAt: time.Now()}
	var off *trace.Tracer
	header := ""
	if n := testing.AllocsPerRun(100, func() {
		header = step(ctx, off, d)
		off.Recorded(d, time.Time{}, 1)
		off.Close()
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
	if header != "" {
		t.Errorf("the header is %q", header)
	}
}

func BenchmarkAStepWithoutTraces(b *testing.B) {
	d := trace.Delivery{Header: map[string][]string{pipeline.HeaderWorkID: {work}}, StoredAt: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		step(b.Context(), nil, d)
	}
}

// named returns the spans with a name.
func named(all tracetest.SpanStubs, name string) (out tracetest.SpanStubs) {
	for _, s := range all {
		if s.Name == name {
			out = append(out, s)
		}
	}
	return out
}

func TestAWorkIsOneTraceThroughAllDaemonsAndDeliveries(t *testing.T) {
	t.Parallel()
	tracer, kept := trace.ToMemory(t)
	ctx, list := tracer.Begin(t.Context(), "candidate")
	list.Create(work, "B000000001", "live")
	header := trace.Parent(ctx, work)
	list.End()
	d := trace.Delivery{
		Header:   map[string][]string{pipeline.HeaderWorkID: {work}, pipeline.HeaderTraceparent: {header}},
		StoredAt: time.Now().Add(-time.Second), Stream: "CANDIDATES", Sequence: 7,
	}
	for d.Deliveries = 1; d.Deliveries <= 2; d.Deliveries++ {
		next := step(t.Context(), tracer, d)
		tracer.Recorded(trace.Delivery{Header: map[string][]string{pipeline.HeaderWorkID: {work}, pipeline.HeaderTraceparent: {next}}}, time.Now(), 1)
	}
	step(t.Context(), tracer, trace.Delivery{Header: map[string][]string{pipeline.HeaderWorkID: {work}}}) // from a daemon without traces
	all := kept.GetSpans()
	for name, want := range map[string]int{"candidate": 1, "wait": 2, "peek": 3, "claim": 3, "keepa": 3, "record": 2} {
		if n := len(named(all, name)); n != want {
			t.Errorf("%d spans are named %s, want %d", n, name, want)
		}
	}
	ids := map[string]bool{"0000000000000000": true}
	for _, s := range all {
		ids[s.SpanContext.SpanID().String()] = true
	}
	for _, s := range all {
		if got := s.SpanContext.TraceID().String(); got != work+"00000000" {
			t.Errorf("%s is in the trace %s", s.Name, got)
		}
		if p := s.Parent.SpanID().String(); !ids[p] {
			t.Errorf("the parent of %s is %s, which is not a span", s.Name, p)
		}
		if s.EndTime.Before(s.StartTime) {
			t.Errorf("%s ends before it begins", s.Name)
		}
	}
	root := named(all, "candidate")[0].SpanContext.SpanID()
	for i, peek := range named(all, "peek") {
		if below := peek.Parent.SpanID() == root; below != (i < 2) {
			t.Errorf("delivery %d is below the candidate: %v", i+1, below)
		}
	}
}

func TestATraceOfSomebodyElseIsLinkedAndNotContinued(t *testing.T) {
	t.Parallel()
	const foreign = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"
	tracer, kept := trace.ToMemory(t)
	header := step(t.Context(), tracer, trace.Delivery{Header: map[string][]string{
		pipeline.HeaderWorkID: {work}, pipeline.HeaderTraceparent: {foreign},
	}})
	if !strings.HasPrefix(header, "00-"+work+"00000000-") {
		t.Errorf("the next message has %s", header)
	}
	peek := named(kept.GetSpans(), "peek")[0]
	if len(peek.Links) != 1 || peek.Links[0].SpanContext.TraceID().String() != strings.Split(foreign, "-")[1] || peek.Parent.IsValid() {
		t.Errorf("links %v, parent %v", peek.Links, peek.Parent)
	}
}

func TestAWorkIdOfAnyShapeHasATraceAndBrokenTextDoesNotBreakIt(t *testing.T) {
	t.Parallel()
	tracer, kept := trace.ToMemory(t)
	seen := map[string]string{}
	for _, id := range []string{"poison", "w1", strings.Repeat("0", 24), "\xff\xfe", strings.Repeat("x", 1000), work} {
		step(t.Context(), tracer, trace.Delivery{Header: map[string][]string{pipeline.HeaderWorkID: {id}}, Subject: "a\xff"})
		s := named(kept.GetSpans(), "peek")[0]
		for _, a := range s.Attributes {
			if v := a.Value.AsString(); strings.ToValidUTF8(v, "") != v {
				t.Errorf("%s is %q", a.Key, v)
			}
		}
		trace := s.SpanContext.TraceID().String()
		if was, ok := seen[trace]; ok || !s.SpanContext.IsValid() {
			t.Errorf("%q has the trace %s, as %q has", id, trace, was)
		}
		seen[trace] = id
		kept.Reset()
	}
}

func TestAWorkThatIsNotSampledIsNotSampledAnywhere(t *testing.T) {
	t.Parallel()
	tracer, kept := trace.ToMemory(t, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	header := step(t.Context(), tracer, trace.Delivery{Header: map[string][]string{pipeline.HeaderWorkID: {work}}})
	if !strings.HasSuffix(header, "-00") || len(kept.GetSpans()) > 0 {
		t.Errorf("%s, %d spans", header, len(kept.GetSpans()))
	}
	whole, also := trace.ToMemory(t)
	step(t.Context(), whole, trace.Delivery{Header: map[string][]string{pipeline.HeaderWorkID: {work}, pipeline.HeaderTraceparent: {header}}})
	if n := len(also.GetSpans()); n > 0 {
		t.Errorf("the next daemon made %d spans", n)
	}
}

func TestTheStandardVariablesTurnTracesOnAndOff(t *testing.T) {
	t.Parallel()
	const base = "http://127.0.0.1:4318"
	for _, c := range []struct {
		name string
		set  map[string]string
		url  string
		on   bool
		err  string // part of the error
	}{
		{name: "nothing", set: nil},
		{name: "an endpoint", set: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": base}, on: true, url: base + "/v1/traces"},
		{name: "an endpoint below a path", set: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": base + "/otlp/"}, on: true, url: base + "/otlp/v1/traces"},
		{name: "an endpoint for traces", set: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": base + "/x", "OTEL_EXPORTER_OTLP_ENDPOINT": base}, on: true, url: base + "/x"},
		{name: "otlp", set: map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, on: true},
		{name: "none", set: map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": base}},
		{name: "disabled", set: map[string]string{"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": base}},
		{name: "another exporter", set: map[string]string{"OTEL_TRACES_EXPORTER": "zipkin"}, err: "OTEL_TRACES_EXPORTER: want otlp or none"},
		{name: "another protocol", set: map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, err: "OTEL_EXPORTER_OTLP_PROTOCOL: want http/protobuf"},
		{name: "no address", set: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, err: "OTEL_EXPORTER_OTLP_ENDPOINT: not the address"},
		{name: "a password", set: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://u:secret@host"}, err: "OTEL_EXPORTER_OTLP_ENDPOINT: must hold no credential"},
		{name: "a header", set: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": base, "OTEL_EXPORTER_OTLP_HEADERS": "secret"}, err: "OTEL_EXPORTER_OTLP_HEADERS: want NAME=VALUE"},
	} {
		s, err := trace.Read(func(name string) (string, bool, error) { v, ok := c.set[name]; return v, ok, nil })
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", c.name, err)
			}
		case err != nil || (s != nil) != c.on || s != nil && s.URL != c.url:
			t.Errorf("%s: %+v, %v", c.name, s, err)
		}
	}
	s, err := trace.Read(func(name string) (string, bool, error) {
		v, ok := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": base, "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%3Db, x = y"}[name]
		return v, ok, nil
	})
	if err != nil || s.Headers["api-key"] != "a=b" || s.Headers["x"] != "y" {
		t.Errorf("%+v, %v", s, err)
	}
}
