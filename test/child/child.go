// Package child builds commands of this module and runs them as processes of a test.
package child

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// stopsWithin bounds how long a process may take to end after SIGTERM, on the machine's clock.
const stopsWithin = 20 * time.Second

// Build compiles packages of the module around dir and stores the binaries in to, a directory.
func Build(dir, to string, packages ...string) error {
	cmd := exec.CommandContext(context.Background(), "go", append([]string{"build", "-o", to + string(filepath.Separator)}, packages...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", strings.Join(packages, " "), err, out)
	}
	return nil
}

// Binaries compiles packages when the first test needs one of them.
type Binaries struct {
	Packages []string

	once sync.Once
	dir  string
	err  error
}

// Path returns the binary of a package, which is named after its last element.
func (b *Binaries) Path(t testing.TB, name string) string {
	t.Helper()
	b.once.Do(func() {
		if b.dir, b.err = os.MkdirTemp("", "ratchet-child-"); b.err == nil {
			b.err = Build(".", b.dir, b.Packages...)
		}
	})
	if b.err != nil {
		t.Fatal(b.err)
	}
	return filepath.Join(b.dir, name)
}

// Main runs the tests of a package and removes the binaries.
func (b *Binaries) Main(m *testing.M) {
	code := m.Run()
	if b.dir != "" {
		_ = os.RemoveAll(b.dir)
	}
	os.Exit(code)
}

// Child is a process, which is killed at the end of its test.
type Child struct {
	Name  string
	Cmd   *exec.Cmd
	Ended chan struct{} // closed when the process has ended

	mu  sync.Mutex
	out bytes.Buffer
	err error
}

// Command returns a command whose environment is only env and what a binary needs to find its files.
func Command(t testing.TB, env []string, binary string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...)
	cmd.Env = []string{}
	for _, keep := range []string{"PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "CHDB_LIB_PATH"} {
		if v, ok := os.LookupEnv(keep); ok {
			cmd.Env = append(cmd.Env, keep+"="+v)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

// Start starts a command and collects its output.
func Start(t testing.TB, cmd *exec.Cmd) *Child {
	t.Helper()
	c := &Child{Name: filepath.Base(cmd.Path) + " " + strings.Join(cmd.Args[1:], " "), Cmd: cmd, Ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = c, c
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", c.Name, err)
	}
	go func() {
		c.err = cmd.Wait()
		close(c.Ended)
	}()
	t.Cleanup(func() {
		c.Kill()
		if t.Failed() {
			out := c.Output()
			t.Logf("the last output of %s:\n%s", c.Name, out[max(0, len(out)-5000):])
		}
	})
	return c
}

// Write collects what the process prints.
func (c *Child) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

// Output returns what the process has printed so far, on both streams.
func (c *Child) Output() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.String()
}

// Await waits until the output matches a pattern, in which ^ matches the start of a line, and returns its first group.
func (c *Child) Await(t testing.TB, pattern string, within time.Duration) string {
	t.Helper()
	line := regexp.MustCompile("(?m)" + pattern)
	for over := time.After(within); ; {
		ended := c.HasEnded() // before the output is read, so that the last line counts
		if m := line.FindStringSubmatch(c.Output()); m != nil {
			return m[len(m)-1]
		}
		if ended {
			t.Fatalf("%s ended (%v) and did not print %q:\n%s", c.Name, c.err, pattern, c.Output())
		}
		select {
		case <-c.Ended:
		case <-time.After(20 * time.Millisecond):
		case <-over:
			t.Fatalf("%s did not print %q within %s:\n%s", c.Name, pattern, within, c.Output())
		}
	}
}

// HasEnded reports whether the process has ended.
func (c *Child) HasEnded() bool {
	select {
	case <-c.Ended:
		return true
	default:
		return false
	}
}

// Signal sends a signal, unless the process has ended.
func (c *Child) Signal(t testing.TB, s os.Signal) {
	t.Helper()
	if err := c.Cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal %s: %v", c.Name, err)
	}
}

// Kill ends the process with SIGKILL and waits for its end.
func (c *Child) Kill() {
	_ = c.Cmd.Process.Kill() // it may have ended
	<-c.Ended
}

// Stop sends SIGTERM to processes that run, and expects each to end with exit code 0.
func Stop(t testing.TB, children ...*Child) {
	t.Helper()
	for _, c := range children {
		if c.HasEnded() {
			t.Errorf("%s ended before SIGTERM", c.Name)
		}
		c.Signal(t, syscall.SIGTERM)
	}
	began := time.Now()
	over := time.After(stopsWithin)
	for _, c := range children {
		select {
		case <-c.Ended:
			if c.err != nil {
				t.Errorf("%s ended with %v, want exit code 0:\n%s", c.Name, c.err, c.Output())
			}
			t.Logf("%s ended %s after SIGTERM", c.Name, time.Since(began).Round(time.Millisecond))
		case <-over:
			t.Fatalf("%s still runs %s after SIGTERM", c.Name, stopsWithin)
		}
	}
}

// Done waits for the end of a command that ends by itself, expects exit code 0, and returns its output.
func (c *Child) Done(t testing.TB) string {
	t.Helper()
	if <-c.Ended; c.err != nil {
		t.Fatalf("%s: %v\n%s", c.Name, c.err, c.Output())
	}
	return c.Output()
}

// FreeAddress returns a loopback address that no process listens on now.
func FreeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }() // nothing was accepted
	return l.Addr().String()
}
