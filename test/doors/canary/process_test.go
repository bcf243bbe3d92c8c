package canary_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"ratchet/test/child"
)

var binaries = child.Binaries{Packages: []string{"ratchet/cmd/ratchet"}}

func TestMain(m *testing.M) { binaries.Main(m) }

// start runs ratchet with the key in its environment, until the test ends.
func start(t *testing.T, env []string, args ...string) *child.Child {
	t.Helper()
	cmd := child.Command(t, append([]string{"KEEPA_API_KEY=" + key, "LOG_LEVEL=debug", "GOTRACEBACK=crash"}, env...), binaries.Path(t, "ratchet"), args...)
	cmd.Dir = t.TempDir() // where a core would be written
	return child.Start(t, cmd)
}

// abort makes the process print all its goroutines, and searches all its output, and a core.
func abort(t *testing.T, p *child.Child) {
	t.Helper()
	p.Signal(t, syscall.SIGABRT)
	select {
	case <-p.Ended:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not end by SIGABRT", p.Name)
	}
	out := p.Output()
	if !strings.Contains(out, "SIGABRT") || !strings.Contains(out, "goroutine ") {
		t.Errorf("%s printed no goroutines", p.Name)
	}
	absent(t, "the output of "+p.Name, []byte(out))
	absentFromFiles(t, p.Cmd.Dir)
}
