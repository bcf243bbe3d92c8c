package worker_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"ratchet/pipeline/committer"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/process"
	"ratchet/test/desk"
)

func TestASignalEndsADaemonWhoseRulesAreNotComing(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	file := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	env := d.Settings(map[string]string{"RULES": file})
	for name, run := range map[string]func(context.Context, process.Env) error{"peeker": peeker.Run, "committer": committer.Run} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := run(ctx, env); !errors.Is(err, context.Canceled) {
			t.Errorf("the %s ends with %v", name, err)
		}
	}
}
