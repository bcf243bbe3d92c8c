package process_test

import (
	"os/signal"
	"syscall"
	"testing"
	"time"

	"ratchet/pipeline/platform/process"
)

// Not parallel: the signals are the whole process's.
func TestASignalAndAClosedTerminalStopCleanly(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if s == syscall.SIGHUP && signal.Ignored(s) {
			continue // nohup: it continues
		}
		ctx, stop := process.SignalContext(t.Context())
		if err := syscall.Kill(syscall.Getpid(), s); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Second):
			t.Errorf("%s does not stop", s)
		}
		stop()
	}
}
