package health_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"ratchet/pipeline/platform/health"
)

func ask(c *health.Checks, method, path string, headers ...string) (int, string) {
	w, r := httptest.NewRecorder(), httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	c.Handler().ServeHTTP(w, r)
	return w.Code, strings.TrimSpace(w.Body.String())
}

func TestAProcessIsReadyWhenEachOfItsPartsIs(t *testing.T) {
	t.Parallel()
	c := health.New("peeker", "recorder")
	want := func(code int, body string) {
		t.Helper()
		if gotCode, gotBody := ask(c, "GET", "/readyz"); gotCode != code || gotBody != body {
			t.Errorf("got %d %q, want %d %q", gotCode, gotBody, code, body)
		}
	}
	want(503, "peeker: does not run\nrecorder: does not run")
	away := "NATS does not answer"
	end := c.Report("peeker", func() string { return away })
	c.Report("recorder", func() string { return "" })
	want(503, "peeker: NATS does not answer")
	away = ""
	want(200, "ok")
	again := c.Report("peeker", func() string { return "" })
	end() // of the one that was replaced
	want(200, "ok")
	again()
	want(503, "peeker: does not run")
	if code, body := ask(c, "GET", "/livez"); code != 200 || body != "ok" {
		t.Errorf("alive: got %d %q", code, body)
	}
}

func TestAProbeReadsAndNothingElse(t *testing.T) {
	t.Parallel()
	c := health.New()
	for _, one := range []struct {
		method, path string
		code         int
	}{{"POST", "/readyz", 405}, {"GET", "/", 404}, {"GET", "/debug/pprof/", 404}, {"GET", "/readyz", 200}, {"GET", "/metrics", 200}, {"POST", "/metrics", 405}} {
		if code, _ := ask(c, one.method, one.path); code != one.code {
			t.Errorf("%s %s: got %d, want %d", one.method, one.path, code, one.code)
		}
	}
}

func TestAPageOfAnotherSiteIsRefusedAndAnyHostIsServed(t *testing.T) {
	t.Parallel()
	c := health.New()
	for _, path := range []string{"/livez", "/readyz", "/metrics"} {
		for _, one := range []struct {
			name, value string
			code        int
		}{
			{"Origin", "http://attacker.test", 403},
			{"Origin", "null", 403},
			{"Sec-Fetch-Site", "cross-site", 403},
			{"Sec-Fetch-Site", "same-site", 403},
			{"Sec-Fetch-Site", "none", 200},
			{"User-Agent", "kube-probe/1.33", 200},
		} { // httptest asks for the host example.com
			if code, body := ask(c, "GET", path, one.name, one.value); code != one.code {
				t.Errorf("%s with %s %s: got %d %s, want %d", path, one.name, one.value, code, body, one.code)
			}
		}
	}
}

func TestWithoutProbesAReportHasNoEffect(t *testing.T) {
	t.Parallel()
	var c *health.Checks
	c.Report("peeker", func() string { return "x" })()
}
