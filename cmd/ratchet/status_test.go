package main

import (
	"bytes"
	"net"
	"testing"
	"time"

	"ratchet/pipeline/platform/process"
)

func TestTheStatusOfASilentServerIsAnErrorAtOnce(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it takes connections and is never read, like a stopped process
	var out, errOut bytes.Buffer
	began := time.Now()
	code := run([]string{"status", "--nats-url", "nats://" + l.Addr().String()}, &out, &errOut)
	if took := time.Since(began); code == process.ExitDone || took > 4*time.Second {
		t.Errorf("exit code %d after %v: %s%s", code, took, &out, &errOut)
	}
}
