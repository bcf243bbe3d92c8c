package otlp_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	span(t, tracer)
	began := time.Now()
	tracer.Close()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the end took %s", took)
	}
	if n := strings.Count(log.String(), "traces cannot be sent"); n != 1 {
		t.Errorf("logged %d times: %s", n, log.String())
	}
}

func TestACollectorIsSentSpansAndItsCredentialAndAnotherHostIsNot(t *testing.T) {
	t.Parallel()
	const credential = "api-key-of-the-collector"
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked, with the header %q", r.Header.Get("Api-Key"))
	}))
	defer other.Close()
	for _, tt := range []struct {
		name   string
		answer http.HandlerFunc
		log    string
	}{
		{name: "taken", answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }},
		{name: "refused", answer: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, log: "403 Forbidden"},
		{name: "redirected", answer: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, log: "307 Temporary Redirect"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []*http.Request
			at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got = append(got, r)
				tt.answer(w, r)
			}))
			defer at.Close()
			var log strings.Builder
			settings := &trace.Settings{URL: at.URL + "/v1/traces", Headers: map[string]string{"api-key": credential}}
			tracer, err := otlp.Open(t.Context(), settings, "peeker", "host.1", "test", slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			span(t, tracer)
			tracer.Close()
			if len(got) != 1 || got[0].Method != http.MethodPost || got[0].URL.Path != "/v1/traces" || got[0].Header.Get("Api-Key") != credential ||
				got[0].Header.Get("Content-Type") != "application/x-protobuf" {
				t.Errorf("the collector got %v", got)
			}
			if (tt.log == "") != (log.Len() == 0) || !strings.Contains(log.String(), tt.log) || strings.Contains(log.String(), credential) {
				t.Errorf("logged %q, want %q", log.String(), tt.log)
			}
		})
	}
}

func span(t *testing.T, tracer *trace.Tracer) {
	t.Helper()
	_, s := tracer.Begin(t.Context(), "peek")
	s.Take(trace.Delivery{Header: map[string][]string{pipeline.HeaderWorkID: {"02ec9ba10ccffe078bcf8dea"}}})
	s.End()
}
