package canary_test

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
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
	dir := accesstest.Open(t)
	inDir := func(name, body string) string {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil { //nolint:gosec // the daemon runs as nobody
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	const nats = "nats://127.0.0.1:1"
	keyFile, natsFile := inDir("keepa_api_key", key), inDir("nats_url", nats)
	open.Env = []string{"KEEPA_API_KEY=" + key}
	daemons := map[*exec.Cmd][]string{}
	for _, env := range [][]string{
		{"KEEPA_API_KEY=" + key, "NATS_URL=" + nats}, {"KEEPA_API_KEY_FILE=" + keyFile, "NATS_URL_FILE=" + natsFile}, {"CREDENTIALS_DIRECTORY=" + dir},
	} {
		daemon := exec.Command(ratchet, "daemon", "tokend")
		daemon.Env, daemons[daemon] = env, env
	}
	for _, cmd := range append(slices.Collect(maps.Keys(daemons)), open) {
		cmd.Env = append(cmd.Env, "PATH="+os.Getenv("PATH"))
		cmd.Dir = "/"
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		}
	}
	child.Start(t, open)
	if got := readAsSameUser(t, open.Process.Pid, "environ"); !strings.Contains(got, canary) {
		t.Errorf("the environment of a process that is not sealed: %s", got)
	}
	for daemon, env := range daemons {
		child.Start(t, daemon).Await(t, "waiting for NATS", time.Minute)
		for _, file := range []string{"environ", "mem", "maps"} {
			if got := readAsSameUser(t, daemon.Process.Pid, file); !strings.Contains(got, "permission denied") {
				t.Errorf("with %v, another process of the same user reads %s: %.300q", env, file, got)
			}
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
