package main

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"ratchet/test/child"
	"ratchet/test/desk"
	"ratchet/test/streams"
)

func TestEveryDaemonAnswersProbesWhereMetricsAddrAsksForThem(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every daemon")
	}
	t.Parallel()
	d := desk.New(t, 1)
	for name := range daemons {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, want := child.FreeAddress(t), "ok"
			if name == "recorder" {
				want = "recorder: ClickHouse does not answer"
			}
			env := d.Env
			env.Lookup = envconfig.MapLookuper(map[string]string{
				"METRICS_ADDR": addr, "NATS_URL": streams.URL, "KEEPA_URL": d.Keepa(), "KEEPA_API_KEY": "k",
				"CLICKHOUSE_URL": "http://127.0.0.1:9/ratchet", "NOTIFY_TARGETS": "http://127.0.0.1:9/hook", "PAGE_ADDR": "127.0.0.1:0",
			})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- daemonCmd{Name: name}.Run(&app{ctx: ctx, env: env, out: io.Discard}) }()
			t.Cleanup(func() { stop(); <-ended })
			desk.Await(t, "/readyz of "+name+" answers "+want, func() bool {
				select {
				case err := <-ended:
					ended <- err
					t.Fatalf("it ended: %v", err)
				default:
				}
				return readiness(t, "http://"+addr+"/readyz") == want
			})
		})
	}
}

// readiness is what the probe answers; empty without an answer.
func readiness(t *testing.T, url string) string {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		return ""
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(body))
}
