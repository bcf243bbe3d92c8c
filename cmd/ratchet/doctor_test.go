package main

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
)

// TestTheDoctorLooksAtEveryFileOfAStoreThatNothingHasOpen asks it about a store that is intact, in
// use, and damaged.
func TestTheDoctorLooksAtEveryFileOfAStoreThatNothingHasOpen(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	store := filepath.Join(data, "simulated", "nats")
	srv, err := natsd.Start(t.Context(), natsd.Options{Data: store, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	env := process.Env{Log: slog.New(slog.DiscardHandler), Clock: process.RealClock(), Version: "test", NATSOptions: []nats.Option{srv.InProcess()}}
	b, err := bus.Connect(t.Context(), bus.Config{URL: "nats://in-process", Replicas: 1, MaxStore: 50e9}, env, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Publish(t.Context(), bus.Message{Subject: "verdict.1.peek.reject.B000000001", Schema: pipeline.SchemaVerdict, Body: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	asks := func() string {
		var out, errOut bytes.Buffer
		run([]string{"doctor", "--data", data, "--nats-url", "nats://127.0.0.1:1", "--clickhouse-url", "none"}, &out, &errOut)
		return out.String()
	}
	says := func(when string, want ...string) {
		t.Helper()
		got := asks()
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s it says\n%swant %q in it", when, got, w)
			}
		}
	}
	says("of a store in use", "in use")
	b.Close()
	srv.Stop()
	says("of an intact store", "stream VERDICTS: 1 messages, #1 to #1", "consumer recorder-verdicts on VERDICTS", "bucket TOKENS", "are intact")
	if got := asks(); strings.Contains(got, "BAD  store") || strings.Contains(got, "heal ") {
		t.Errorf("of an intact store it says\n%s", got)
	}
	verdicts := srv.StreamDir(pipeline.StreamVerdicts)
	for file, content := range map[string]string{"msgs/1.blk": "rubbish", "meta.inf": ""} {
		if err := os.WriteFile(filepath.Join(verdicts, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(srv.StreamDir(pipeline.StreamDead), "obs", pipeline.DurableRecorder(pipeline.StreamDead), "o.dat"), []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	says("of a damaged store", "BAD  store       stream VERDICTS", "restore "+verdicts, "heal store       consumer recorder-dead on DEAD")
}
