package processes_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// root is the module's root.
var root = filepath.Join("..", "..")

// stopWithin bounds how long a process may take to end after SIGTERM, on the
// machine's clock.
const stopWithin = 20 * time.Second

// build compiles the commands and returns the directory of the binaries.
func build(t *testing.T, commands ...string) string {
	t.Helper()
	dir := t.TempDir()
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	for _, c := range commands {
		args = append(args, "./"+c)
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return dir
}

// A process is a running binary of ours.
type child struct {
	name  string
	cmd   *exec.Cmd
	said  chan string // lines of its standard output
	log   tail
	ended chan struct{}
	err   error // how it ended, once ended is closed
}

// start runs a binary with nothing of our environment but what it needs to find
// its way, and what env adds. It is killed at the end of the test if it still runs.
func start(t *testing.T, name, binary string, args, env []string) *child {
	t.Helper()
	p := &child{name: name, said: make(chan string, 64), ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), binary, args...)
	for _, keep := range []string{"PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME"} {
		if v, ok := os.LookupEnv(keep); ok {
			p.cmd.Env = append(p.cmd.Env, keep+"="+v)
		}
	}
	p.cmd.Env = append(p.cmd.Env, env...)
	p.cmd.Stderr = &p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go p.follow(out)
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended already unless the test failed
		<-p.ended
		if t.Failed() {
			t.Logf("%s said last:\n%s", name, p.log.String())
		}
	})
	return p
}

// follow passes its lines on and then waits for its end. Lines that nobody reads
// are dropped, so that it never blocks.
func (p *child) follow(out io.Reader) {
	for s := bufio.NewScanner(out); s.Scan(); {
		select {
		case p.said <- s.Text():
		default:
		}
	}
	p.err = p.cmd.Wait()
	close(p.ended)
}

// hears waits for a line that begins with prefix and returns the rest of it.
func (p *child) hears(t *testing.T, prefix string, within time.Duration) string {
	t.Helper()
	over := time.After(within)
	for {
		select {
		case line := <-p.said:
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return strings.TrimSpace(rest)
			}
		case <-p.ended:
			t.Fatalf("%s ended early: %v\n%s", p.name, p.err, p.log.String())
		case <-over:
			t.Fatalf("%s has not said %q within %s", p.name, prefix, within)
		}
	}
}

// terminate asks it to stop.
func (p *child) terminate(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal %s: %v", p.name, err)
	}
}

// endsWell waits for its end and wants exit code 0.
func (p *child) endsWell(t *testing.T) {
	t.Helper()
	began := time.Now()
	select {
	case <-p.ended:
		if p.err != nil {
			t.Errorf("%s ended with %v, want exit code 0", p.name, p.err)
		}
		t.Logf("%s ended %s after SIGTERM", p.name, time.Since(began).Round(time.Millisecond))
	case <-time.After(stopWithin):
		t.Errorf("%s still runs %s after SIGTERM", p.name, stopWithin)
	}
}

// tail keeps the last lines that a process wrote.
type tail struct {
	mu    sync.Mutex
	lines [][]byte
}

// Write takes what the process wrote; a torn line counts as two.
func (l *tail) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const keep = 30
	l.lines = append(l.lines, slices.Collect(bytes.Lines(bytes.Clone(b)))...)
	if over := len(l.lines) - keep; over > 0 {
		l.lines = slices.Delete(l.lines, 0, over)
	}
	return len(b), nil
}

// String is what it keeps.
func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(bytes.Join(l.lines, nil))
}
