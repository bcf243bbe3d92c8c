package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/embedded/natsd"
	"ratchet/pipeline/platform/process"
	"ratchet/test/desk"
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

// TestTheDoctorTellsADeadDaemonFromALivingOneAndEndsWithTheOneThingToDoFirst asks it about a tokend that answers, a
// committer of which only the heartbeat is left, and daemons that never were.
func TestTheDoctorTellsADeadDaemonFromALivingOneAndEndsWithTheOneThingToDoFirst(t *testing.T) {
	t.Parallel()
	d, nats := desk.Listening(t, 1)
	stop, err := bus.StartService(t.Context(), d.Bus, d.Env, "tokend", func() pipeline.Heartbeat { return pipeline.Heartbeat{State: "idle"} })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	body, err := json.Marshal(pipeline.Heartbeat{Daemon: "committer", Instance: "host.7", Build: d.Env.Version, At: d.Env.Now(), State: "idle"})
	kv, storeErr := d.Bus.Store(t.Context(), pipeline.BucketStatus)
	if err == nil && storeErr == nil {
		_, err = kv.Put(t.Context(), "committer.host.7", body)
	}
	if err = errors.Join(err, storeErr); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	code := run([]string{"doctor", "--data", t.TempDir(), "--nats-url", nats, "--clickhouse-url", "none"}, &out, &errOut)
	var bad []string
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	for _, line := range lines {
		if what, is := strings.CutPrefix(line, "BAD  "); is {
			bad = append(bad, strings.Fields(what)[0])
		}
	}
	if code != process.ExitFailed || len(bad) < 2 || !strings.HasPrefix(lines[len(lines)-1], "Do this first: "+bad[0]+": ") {
		t.Errorf("exit %d; of %v the first is to be named last:\n%s", code, bad, &out)
	}
	if !strings.Contains(out.String(), "the committer (host.7) has a heartbeat of") || strings.Contains(out.String(), "the tokend (") || !strings.Contains(out.String(), "no peeker runs") {
		t.Errorf("a committer died, tokend answers, a peeker never was:\n%s", &out)
	}
}

// withoutJetStream starts a NATS that takes connections, with a password or without one, and stores nothing.
func withoutJetStream(t *testing.T, user, password string) string {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, Username: user, Password: password, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(srv.Shutdown)
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server does not start")
	}
	return srv.ClientURL()
}

func TestTheDoctorDoesNotTakeANATSWithoutJetStreamForOneOnWhichNothingRan(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	code := run([]string{"doctor", "--data", t.TempDir(), "--nats-url", withoutJetStream(t, "", ""), "--clickhouse-url", "none"}, &out, &errOut)
	if code != process.ExitFailed || !strings.Contains(out.String(), "BAD  nats") || strings.Contains(out.String(), "no pipeline has run") {
		t.Errorf("exit %d, want %d:\n%s", code, process.ExitFailed, &out)
	}
}
