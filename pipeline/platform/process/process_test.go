package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"
)

func TestASecretIsPrintedNowhere(t *testing.T) {
	t.Parallel()
	const key = "sixty-four-characters-of-key"
	nested := struct {
		Key Secret
		In  map[string]Secret
	}{Key: key, In: map[string]Secret{"k": key}}
	var out bytes.Buffer
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "cfg", nested, "key", Secret(key))
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "cfg", nested, "key", Secret(key))
	fmt.Fprintf(&out, "%v %+v %#v %s", nested, nested, nested, Secret(key))
	body, err := json.Marshal(nested)
	if err != nil {
		t.Fatal(err)
	}
	out.Write(body)
	if strings.Contains(out.String(), key) {
		t.Errorf("the secret is in: %s", out.String())
	}
}

func TestProcessesThatShareTheEnvironmentShareTheClock(t *testing.T) {
	t.Parallel()
	c := NewClock(time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC), 600)
	vars := map[string]string{}
	for _, kv := range c.Environ() {
		k, v, _ := strings.Cut(kv, "=")
		vars[k] = v
	}
	got, err := ClockFrom(func(k string) (string, bool) { v, ok := vars[k]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	if !got.Epoch.Equal(c.Epoch) || got.Start.Sub(c.Start).Abs() > time.Microsecond || got.Speed != c.Speed {
		t.Errorf("got %+v, want %+v", got, c)
	}
	if d := got.Machine(time.Hour); d != 6*time.Second {
		t.Errorf("an hour takes %v on the machine, want 6s", d)
	}
	if d := got.Pipeline(6 * time.Second); d != time.Hour {
		t.Errorf("6 s are %v of pipeline time, want 1h", d)
	}
}

func TestAPortWithoutAHostIsOpenToThisMachineOnly(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{":4222": "127.0.0.1", "0.0.0.0:4222": "0.0.0.0", "example.test:0": "example.test", "[::1]:65535": "::1"} {
		if host, _, err := Address("--nats", addr); err != nil || host != want {
			t.Errorf("%s: %s, %v; want %s", addr, host, err, want)
		}
	}
	for _, addr := range []string{"", "4222", "localhost", ":-1", ":65536", ":http"} {
		if _, _, err := Address("--nats", addr); ExitCode(err) != ExitUsage || !strings.Contains(err.Error(), "--nats") {
			t.Errorf("%q: %v, want wrong usage of --nats", addr, err)
		}
	}
}

func TestABrokenClockIsRefusedByName(t *testing.T) {
	t.Parallel()
	vars := map[string]string{envEpoch: "2026-01-05T12:00:00Z", envStart: "2026-01-05T12:00:00Z", envSpeed: "0"}
	_, err := ClockFrom(func(k string) (string, bool) { v, ok := vars[k]; return v, ok })
	if err == nil || !strings.Contains(err.Error(), envSpeed) {
		t.Errorf("got %v, want an error that names %s", err, envSpeed)
	}
}

func TestALogThatIsNotOnATerminalHasNoColours(t *testing.T) {
	t.Parallel()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	log, err := Logger(write, "warn")
	if err != nil {
		t.Fatal(err)
	}
	log.Warn("nothing is found", "err", errors.New("no tokens"))
	_ = write.Close()
	line, err := io.ReadAll(read)
	if err != nil || !json.Valid(line) || bytes.Contains(line, []byte("\x1b")) {
		t.Errorf("a pipe gets %q, %v; want JSON", line, err)
	}
}

func TestTheExitCodeNamesTheKindOfError(t *testing.T) {
	t.Parallel()
	for want, err := range map[int]error{
		ExitDone: nil, ExitUsage: fmt.Errorf("x: %w", Usagef("--speed: want more")), ExitFailed: errors.New("disk on fire"),
	} {
		if got := ExitCode(err); got != want {
			t.Errorf("exit code of %v is %d, want %d", err, got, want)
		}
	}
	if got := ExitCode(fmt.Errorf("stop: %w", context.Canceled)); got != ExitDone {
		t.Errorf("a stop that was asked for exits %d, want %d", got, ExitDone)
	}
}
