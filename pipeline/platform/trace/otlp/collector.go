package otlp

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"ratchet/pipeline/platform/trace"
)

const (
	// localCollector is the standard's address.
	localCollector = "http://localhost:4318/v1/traces"
	// uploadWithin is the standard's limit for one request.
	uploadWithin = 10 * time.Second
	// answerMax bounds what is read of an answer, so that the connection can be used again.
	answerMax = 64 << 10
)

// collector implements otlptrace.Client: one POST of protobuf for each batch. The library's own client would do the
// same, and brings gRPC.
type collector struct {
	url     string
	headers http.Header
	client  *http.Client
}

func newCollector(s *trace.Settings) *collector {
	headers := http.Header{}
	for name, value := range s.Headers {
		headers.Set(name, value)
	}
	headers.Set("Content-Type", "application/x-protobuf")
	return &collector{url: cmp.Or(s.URL, localCollector), headers: headers, client: &http.Client{
		Timeout: uploadWithin,
		// The headers may hold a credential, which another host must not get.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Start implements otlptrace.Client.
func (*collector) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (c *collector) Stop(context.Context) error {
	c.client.CloseIdleConnections()
	return nil
}

// UploadTraces implements otlptrace.Client. On the wire TracesData is an ExportTraceServiceRequest; the package that
// declares the latter imports gRPC.
func (c *collector) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = c.headers.Clone()
	resp, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, answerMax)); err != nil {
		return fmt.Errorf("read the collector's answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the collector answered %s", resp.Status)
	}
	return nil
}
