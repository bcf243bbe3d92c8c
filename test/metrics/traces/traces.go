// Package traces is a collector for tests: it takes spans by OTLP over HTTP, as a collector does, and keeps them.
package traces

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Span is a span as it arrived.
type Span struct {
	Trace, ID, Parent string // hex; no parent is empty
	Service, Name     string
	Facts             map[string]string // those that are text
	Failed            string
	Links             []string // the traces that it names
	TookNano          int64
}

// Collector keeps what it is sent.
type Collector struct {
	URL string

	mu    sync.Mutex
	raw   []byte
	spans []Span
}

// Listen starts a collector that stops with the test.
func Listen(t testing.TB) *Collector {
	c := &Collector{}
	s := httptest.NewServer(http.HandlerFunc(c.take))
	t.Cleanup(s.Close)
	c.URL = s.URL
	return c
}

func (c *Collector) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var sent tracepb.TracesData // on the wire an ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &sent)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "no spans", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, body...)
	for _, from := range sent.GetResourceSpans() {
		service := texts(from.GetResource().GetAttributes())["service.name"]
		for _, scope := range from.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := Span{
					Trace: hex.EncodeToString(s.GetTraceId()), ID: hex.EncodeToString(s.GetSpanId()), Parent: hex.EncodeToString(s.GetParentSpanId()),
					Service: service, Name: s.GetName(), Facts: texts(s.GetAttributes()), Failed: s.GetStatus().GetMessage(),
					TookNano: int64(s.GetEndTimeUnixNano()) - int64(s.GetStartTimeUnixNano()), //nolint:gosec // instants of this century
				}
				for _, l := range s.GetLinks() {
					span.Links = append(span.Links, hex.EncodeToString(l.GetTraceId()))
				}
				c.spans = append(c.spans, span)
			}
		}
	}
}

func texts(all []*common.KeyValue) map[string]string {
	out := map[string]string{}
	for _, kv := range all {
		out[kv.GetKey()] = kv.GetValue().GetStringValue()
	}
	return out
}

// Spans are all spans so far.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Traces are the spans so far by trace.
func (c *Collector) Traces() map[string][]Span {
	out := map[string][]Span{}
	for _, s := range c.Spans() {
		out[s.Trace] = append(out[s.Trace], s)
	}
	return out
}

// Raw is every byte that was sent.
func (c *Collector) Raw() []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.raw)
}
