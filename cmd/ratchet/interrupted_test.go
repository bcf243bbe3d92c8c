package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"ratchet/pipeline/platform/process"
	"ratchet/test/desk"
)

func TestACommandThatASignalStoppedIsNoSuccessUnlessASignalIsHowItEnds(t *testing.T) {
	if testing.Short() {
		t.Skip("runs many commands")
	}
	t.Setenv("CLICKHOUSE_URL", "none")
	unset(t, "KEEPA_API_KEY")
	t.Setenv("NATSD_DATA", t.TempDir())
	_, nats := desk.Listening(t, 1)
	t.Setenv("NATS_URL", nats)
	rules := filepath.Join("..", "..", "schemas", "rules", "used-books.yaml")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for _, c := range []struct {
		code int
		args []string
	}{
		{process.ExitFailed, []string{"status", "--check"}},
		{process.ExitFailed, []string{"status", "--check", "--nats-url", "nats://127.0.0.1:9"}},
		{process.ExitFailed, []string{"doctor", "--data", t.TempDir()}},
		{process.ExitFailed, []string{"deals"}},
		{process.ExitFailed, []string{"deals", "--nats-url", "nats://127.0.0.1:9"}},
		{process.ExitFailed, []string{"spend"}},
		{process.ExitFailed, []string{"backtest"}},
		{process.ExitFailed, []string{"backup", filepath.Join(t.TempDir(), "b")}},
		{process.ExitFailed, []string{"rules", "apply", rules}},
		{process.ExitFailed, []string{"replay", "--look", "peek", "--rules", rules, "--run", "r"}},
		{process.ExitFailed, []string{"forecast", "--rate", "5"}},
		{process.ExitFailed, []string{"soak", "backlog400", "--clickhouse", "none"}},
		{process.ExitDone, []string{"deals", "--follow"}},
		{process.ExitDone, []string{"daemon", "natsd"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			var out, errOut bytes.Buffer
			code := runIn(stopped, c.args, &out, &errOut)
			if code != c.code || code != process.ExitDone && !strings.Contains(errOut.String(), "interrupted") {
				t.Errorf("exit %d, want %d: %s%s", code, c.code, &out, &errOut)
			}
		})
	}
}
