// Package accesstest sends requests as another user of this system:
// a test binary that imports it can be that user's program.
package accesstest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline/platform/machinetest"
)

// task marks a re-executed test binary as the other user's program, with its task.
const task = "RATCHET_ACCESSTEST"

// nobody is the other user.
const nobody = "65534"

func init() {
	what, arg, ok := strings.Cut(os.Getenv(task), " ")
	if !ok {
		return
	}
	output, err := map[string]func(string) (string, error){"post": post, "get": get, "nats": connect, "read": read, "walk": walk}[what](arg)
	if err != nil {
		output = "error: " + err.Error()
	}
	fmt.Fprint(os.Stdout, output)
	os.Exit(0) //nolint:forbidigo // this is the main of the child
}

func post(arg string) (string, error) {
	url, body, _ := strings.Cut(arg, " ")
	return ask(http.MethodPost, url, body)
}

func get(url string) (string, error) { return ask(http.MethodGet, url, "") }

func ask(method, url, body string) (string, error) {
	req, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.Status + " " + string(b), err
}

func connect(url string) (string, error) {
	c, err := nats.Connect(url)
	if err != nil {
		return "", err
	}
	c.Close()
	return "connected", nil
}

func read(path string) (string, error) {
	b, err := os.ReadFile(path)
	return string(b), err
}

// walk names every file below a directory that can be opened, and counts the others.
func walk(dir string) (string, error) {
	var opened []string
	refused := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrPermission):
			refused++
			return nil
		case err != nil || d.IsDir():
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			refused++
			return nil //nolint:nilerr // it is counted
		}
		opened = append(opened, path)
		return f.Close()
	})
	return fmt.Sprintf("%d refused, opened: %s", refused, strings.Join(opened, " ")), err
}

// As returns the output of one of the tasks run as another user: "post URL BODY", "get URL", "nats URL", "read
// FILE" or "walk DIR". If this process may not become another user the test is skipped, or fails if CI=true.
func As(t testing.TB, what string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		machinetest.Lacks(t, "becoming another user needs root")
	}
	cmd := exec.CommandContext(t.Context(), "setpriv", "--reuid="+nobody, "--regid="+nobody, "--clear-groups", program(t))
	cmd.Env = []string{task + "=" + what}
	cmd.Dir = "/"
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("as another user: %v: %s", err, failed.Stderr)
	}
	if err != nil {
		t.Fatalf("as another user: %v", err)
	}
	return string(out)
}

// Open returns a directory that every user may enter and list, as are those above it. A
// test's own are not, so what other users cannot read below them proves nothing.
func Open(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ratchet-open-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // that is the attack
		t.Fatal(err)
	}
	return dir
}

// program returns a copy of this binary that others may run.
func program(t testing.TB) string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "ratchet-other-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	to := filepath.Join(dir, "program")
	if err := os.Link(exe, to); err != nil {
		if err := write(exe, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(to, 0o755)); err != nil { //nolint:gosec // the same
		t.Fatal(err)
	}
	return to
}

// write copies a program that is to be run. No other test starts a process meanwhile:
// one would inherit the open file, and a file open for writing cannot be executed.
func write(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	return os.WriteFile(to, b, 0o755) //nolint:gosec // others run it
}
