package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/test/desk"
)

func TestASecondConsumerIsSixtyLinesAndReadsFromAPointInTime(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	t.Parallel()
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), "\n"); n > 60 {
		t.Errorf("the example has %d lines, want at most 60", n)
	}
	bin := filepath.Join(t.TempDir(), "secondreader")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d, url := desk.Listening(t, 1)
	for i, run := range []string{pipeline.RunLive, "a-replay", pipeline.RunLive} {
		v := pipeline.Verdict{
			Identity: pipeline.Identity{Domain: 1, ASIN: "B00000000" + string(rune('0'+i))},
			Look:     pipeline.LookPeek, Outcome: pipeline.Reject, Reason: "low_roi",
		}
		if err := d.Bus.PublishAll(t.Context(), []bus.Message{messages.Verdict(run, "w"+string(rune('0'+i)), "", v)}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), bin, "1h", "verdict.*.*.reject.>")
	cmd.Env = append(os.Environ(), "NATS_URL="+url)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }() // it reads for ever
	lines := make(chan string)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
	}()
	for _, want := range []string{"B000000000 peek reject low_roi", "B000000002 peek reject low_roi"} {
		select {
		case got := <-lines:
			if got != want {
				t.Errorf("read %q, want %q", got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%q was not read within a minute", want)
		}
	}
}
