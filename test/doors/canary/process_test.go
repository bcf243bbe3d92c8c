package canary_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var built struct {
	once sync.Once
	dir  string
	err  error
}

// binary builds ratchet once.
func binary(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "ratchet-canary-"); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", built.dir+"/", "./cmd/ratchet")
		cmd.Dir = filepath.Join("..", "..", "..")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "ratchet")
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// A process is a command of ours.
type child struct {
	name  string
	cmd   *exec.Cmd
	said  output // both streams
	ended chan struct{}
}

// output is what a process writes, readable while it does.
type output struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

// start runs ratchet with the key in its environment, until the test ends.
func start(t *testing.T, env []string, args ...string) *child {
	t.Helper()
	p := &child{name: strings.Join(args, " "), ended: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), binary(t), args...)
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "KEEPA_API_KEY=" + key, "LOG_LEVEL=debug", "GOTRACEBACK=crash"}, env...)
	if cache, ok := os.LookupEnv("XDG_CACHE_HOME"); ok {
		p.cmd.Env = append(p.cmd.Env, "XDG_CACHE_HOME="+cache)
	}
	p.cmd.Dir = t.TempDir() // where a core would be written
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // it is ended by a signal
		close(p.ended)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has ended unless the test failed
		<-p.ended
		if t.Failed() {
			t.Logf("%s said last:\n%.5000s", p.name, lastOf(p.said.String(), 5000))
		}
	})
	return p
}

func lastOf(s string, n int) string { return s[max(0, len(s)-n):] }

// abort makes the process print all its goroutines, and looks through all that it ever said, and for a core.
func (p *child) abort(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGABRT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not end by SIGABRT", p.name)
	}
	said := p.said.String()
	if !strings.Contains(said, "SIGABRT") || !strings.Contains(said, "goroutine ") {
		t.Errorf("%s printed no goroutines", p.name)
	}
	absent(t, "the output of "+p.name, []byte(said))
	absentFromFiles(t, p.cmd.Dir)
}
