package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
	"ratchet/test/streams"
)

// ended is the file that the engine of a test writes into its data, outside of which it may not write, when it has
// closed them.
const ended = "ended"

// TestMain makes this binary, which `up` runs again as `ratchet clickhouse --lib LIB --data DATA …`, that engine.
func TestMain(m *testing.M) {
	if len(os.Args) < 6 || os.Args[1] != "clickhouse" {
		os.Exit(m.Run())
	}
	code := run(os.Args[1:], os.Stdout, os.Stderr)
	if code == process.ExitDone && os.WriteFile(filepath.Join(os.Args[5], ended), nil, 0o600) != nil {
		code = process.ExitFailed
	}
	os.Exit(code)
}

func TestASignalStopsUpOnceEverythingIsRecordedAndTheEngineHasEnded(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a ClickHouse engine")
	}
	box := begin(t, "--clickhouse-lib", chtest.Library(t), "--clickhouse-addr", "127.0.0.1:0", "--nats", "127.0.0.1:0", "--page", "off")
	awaitDeals(t, box, 4)
	verdicts(t, box, 2000) // to be recorded

	signalled, signal := context.WithCancel(t.Context())
	signal()
	var out bytes.Buffer
	if err := (upCmd{}).watch(&app{ctx: signalled, env: box.Env, out: &out, errOut: &out}, box); err != nil {
		t.Fatal(err, &out)
	}
	data, err := standalone.DefaultData()
	if err != nil {
		t.Fatal(err)
	}
	data = filepath.Join(data, string(standalone.Simulated))
	if _, err := os.Stat(filepath.Join(data, "clickhouse", ended)); err != nil {
		t.Errorf("the engine was killed: %v", err)
	}
	srv, err := natsd.Start(t.Context(), natsd.Options{Data: filepath.Join(data, "nats"), Log: box.Env.Log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Stop)
	env := process.Env{Log: box.Env.Log, Clock: process.RealClock(), Version: "test", NATSOptions: []nats.Option{srv.InProcess()}}
	b := streams.Connect(t, env)
	for _, stream := range pipeline.RecordedStreams() {
		pending, unsettled, err := b.Waiting(t.Context(), stream, pipeline.DurableRecorder(stream))
		if err != nil || pending+unsettled > 0 {
			t.Errorf("%s: %d pending and %d unsettled, %v", stream, pending, unsettled, err)
		}
	}
}

// verdicts stores the last verdict again n times, as other messages.
func verdicts(t *testing.T, box *standalone.Box, n int) {
	t.Helper()
	last, err := box.Bus.Last(t.Context(), pipeline.StreamVerdicts)
	if err != nil {
		t.Fatal(err)
	}
	s, err := box.Bus.JS.Stream(t.Context(), pipeline.StreamVerdicts)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetMsg(t.Context(), last)
	if err != nil {
		t.Fatal(err)
	}
	ms := make([]bus.Message, n)
	for i := range ms {
		ms[i] = bus.Message{
			Subject: m.Subject, Schema: m.Header.Get(pipeline.HeaderSchema), WorkID: m.Header.Get(pipeline.HeaderWorkID), Body: m.Data,
			ID: "again-" + strconv.Itoa(i),
		}
	}
	if err := box.Bus.PublishBatch(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
}
