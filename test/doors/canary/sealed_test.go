package canary_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"ratchet/pipeline/platform/embedded/access/accesstest"
	"ratchet/test/child"
)

// nobody is the user as which accesstest reads.
const nobody = 65534

func TestNoOtherProcessOfTheSameUserReadsTheEnvironment(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds and runs processes")
	}
	if runtime.GOOS != "linux" {
		t.Skip("this system shows no environments, or cannot hide them")
	}
	ratchet := binaries.Path(t, "ratchet")
	if err := os.Chmod(filepath.Dir(ratchet), 0o755); err != nil { //nolint:gosec // another user runs it
		t.Fatal(err)
	}
	open := exec.Command("sleep", "600") // what is not sealed is read, or this proves nothing
	daemon := exec.Command(ratchet, "daemon", "tokend")
	for _, cmd := range []*exec.Cmd{open, daemon} {
		cmd.Env = []string{"KEEPA_API_KEY=" + key, "NATS_URL=nats://127.0.0.1:1", "PATH=" + os.Getenv("PATH")}
		cmd.Dir = "/"
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
	}
	child.Start(t, open)
	child.Start(t, daemon).Await(t, "waiting for NATS", time.Minute)
	if got := readAsSameUser(t, open.Process.Pid, "environ"); !strings.Contains(got, canary) {
		t.Errorf("the environment of a process that is not sealed: %s", got)
	}
	for _, file := range []string{"environ", "mem", "maps"} {
		if got := readAsSameUser(t, daemon.Process.Pid, file); !strings.Contains(got, "permission denied") {
			t.Errorf("another process of the same user reads %s: %.300q", file, got)
		}
	}
}

// readAsSameUser is what another process of nobody's, or of ours where we are not root, reads of a process.
func readAsSameUser(t *testing.T, pid int, name string) string {
	t.Helper()
	path := fmt.Sprintf("/proc/%d/%s", pid, name)
	if os.Geteuid() == 0 {
		return accesstest.As(t, "read "+path)
	}
	body, err := os.ReadFile(path)
	return fmt.Sprintf("%s %v", body, err)
}
