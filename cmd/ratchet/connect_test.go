package main

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/platform/process"
	"ratchet/test/desk"
)

func TestACommandWithoutAPipelineFailsAtOnceAndNamesUp(t *testing.T) {
	for _, url := range []string{"nats://127.0.0.1:9", "nats://127.0.0.1:9,nats://me:hunter2@127.0.0.1:9"} {
		t.Setenv("NATS_URL", url)
		var out, errOut bytes.Buffer
		begun := time.Now()
		code := run([]string{"rules", "history"}, &out, &errOut)
		took := time.Since(begun)
		said := errOut.String()
		if code != process.ExitFailed || took > connectWithin/2 || !strings.Contains(said, "no pipeline runs at nats://127.0.0.1:9") ||
			!strings.Contains(said, "start `ratchet up` in another terminal and leave it running, or set NATS_URL") {
			t.Errorf("%s: exit code %d after %s: %s", url, code, took, said)
		}
		if strings.Contains(said, "hunter2") {
			t.Errorf("it prints the password: %s", said)
		}
	}
}

func TestACommandUsesTheServerThatListensWhereAnotherDoesNot(t *testing.T) {
	_, nats := desk.Listening(t, 1)
	t.Setenv("NATS_URL", "nats://127.0.0.1:9,"+nats)
	if text := says(t, "rules", "history"); !strings.Contains(text, "No rules were applied") {
		t.Errorf("it says: %s", text)
	}
}

func TestAnAddressIsFoundInEveryFormThatNATSTakes(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"nats://h:1": "h:1", "nats://h": "h:4222", "tls://h": "h:4222", "h": "h:4222", "h:1": "h:1", "me:pw@h:1": "h:1", "token@h": "h:4222",
		"ws://h": "h:80", "wss://h": "h:443", "nats://[::1]": "[::1]:4222", "127.0.0.1:4222": "127.0.0.1:4222",
		"http://h:8123/ratchet": "h:8123", "https://h/ratchet": "h:443", "clickhouse://h/x": "h:9000",
	} {
		if got := hostOf(url); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if !listens(t.Context(), "nats://127.0.0.1:9, me:pw@"+l.Addr().String()) {
		t.Error("the second server listens")
	}
}
