package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"ratchet/pipeline/platform/process"
	"ratchet/test/desk"
)

func TestAReplayDoesNotReplaceAClickHouseThatWasNamedByVerdictsAlone(t *testing.T) {
	const password = "hunter2"
	t.Setenv("CLICKHOUSE_PASSWORD", password)
	_, nats := desk.Listening(t, 1)
	var given atomic.Bool
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, basic, _ := r.BasicAuth(); basic == password || strings.Contains(fmt.Sprint(r.Header, r.URL), password) {
			given.Store(true)
		}
		http.Error(w, "no", http.StatusInternalServerError)
	}))
	t.Cleanup(refuses.Close)
	address := strings.Replace(refuses.URL, "http://", "http://reader@", 1) + "/ratchet"
	args := []string{
		"replay", "--nats-url", nats, "--look", "peek", "--run", "r",
		"--rules", filepath.Join("..", "..", "schemas", "rules", "used-books.yaml"),
	}
	for _, url := range []string{address, "http://127.0.0.1:9/ratchet"} {
		var out, errOut bytes.Buffer
		if code := run(append(args, "--clickhouse-url", url), &out, &errOut); code != process.ExitFailed || out.Len() > 0 {
			t.Errorf("%s: exit %d, want %d: %s%s", url, code, process.ExitFailed, &out, &errOut)
		}
	}
	if !given.Load() {
		t.Error("CLICKHOUSE_PASSWORD was not used")
	}
}
