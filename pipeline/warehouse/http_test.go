package warehouse_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"ratchet/pipeline/embedded/clickhouse/chtest"
	"ratchet/pipeline/warehouse"
)

func TestEveryQuestionsFileRunsUnchangedOverHTTPAsCurlSendsIt(t *testing.T) {
	t.Parallel()
	dsn := chtest.Database(t)
	at, err := url.Parse(dsn)
	must(t, err)
	if !strings.HasPrefix(at.Scheme, "http") {
		t.Skip("this server is reached by its native protocol")
	}
	w, err := warehouse.Open(t.Context(), dsn)
	must(t, err)
	defer func() { _ = w.Close() }()
	must(t, w.Migrate(t.Context()))
	for _, q := range warehouse.Questions() {
		set := url.Values{"database": {strings.Trim(at.Path, "/")}, "default_format": {"CSVWithNames"}}
		for _, p := range q.Params {
			value := p.Default
			if p.Name == "since" {
				value = "2026-03-01 00:00:00"
			}
			set.Set("param_"+p.Name, value)
		}
		to := *at
		to.Path, to.RawQuery = "/", set.Encode()
		r, err := http.Post(to.String(), "text/plain", strings.NewReader(q.SQL))
		must(t, err)
		body, err := io.ReadAll(r.Body)
		must(t, err)
		if _ = r.Body.Close(); r.StatusCode != http.StatusOK {
			t.Errorf("%s: %s: %s", q.Name, r.Status, body)
		}
	}
}
