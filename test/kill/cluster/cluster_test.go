// Package cluster_test does a few of the faults of `ratchet soak cluster`: three nats-servers and two of every daemon
// as processes. All faults, with ClickHouse: .ci/cluster.
package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"ratchet/pipeline/sim/scenario"
)

func TestAClusterLosesNothingWhenALeaderDiesOrAServerIsCutOff(t *testing.T) {
	if os.Getenv("RATCHET_CLUSTER") == "" {
		t.Skip("runs three servers and eight daemons for a minute; RATCHET_CLUSTER=1 runs it, .ci/cluster every fault")
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "ratchet")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", bin, "./cmd/ratchet")
	build.Dir = filepath.Join("..", "..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	// Other packages are tested at the same time; .ci/cluster holds it to its times.
	soak := exec.CommandContext(ctx, bin, "soak", "cluster", "--json", "--clickhouse", "none", "--wait", "10s", "--slack", "4",
		"--only", "leader of TOKENS,cut off,tokend dies", "--data", filepath.Join(dir, "data"))
	soak.Cancel = func() error { return soak.Process.Signal(os.Interrupt) }
	var said, progress bytes.Buffer
	soak.Stdout, soak.Stderr = &said, &progress
	ended := soak.Run()
	var f scenario.Figures
	if err := json.Unmarshal(said.Bytes(), &f); err != nil {
		t.Fatalf("no figures: %v (%v)\n%s", err, ended, progress.String())
	}
	if len(f.Faults) != 3 {
		t.Errorf("%d faults, want 3", len(f.Faults))
	}
	for _, l := range f.Faults {
		t.Log(l)
		if l.Messages == 0 {
			t.Errorf("%s: nothing was compared", l.Fault)
		}
	}
	for _, miss := range f.Failures {
		t.Error(miss)
	}
	if t.Failed() {
		t.Logf("%v\n%s", ended, progress.String())
	}
}
