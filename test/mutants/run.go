package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Outcome is what became of a mutant.
type Outcome struct {
	Mutant
	Failed []string // the tests that failed
	Err    error    // the entry is wrong: it does not compile, or its test did not run or did not end
	Took   time.Duration
}

// Killed reports whether the test that the entry names noticed.
func (o Outcome) Killed() bool { return o.Err == nil && slices.Contains(o.Failed, o.Test) }

// Runner runs tests of a module over changed files. The work tree is only read.
type Runner struct {
	Root    string        // of the module
	Timeout time.Duration // of one test
}

// Clean reports whether the named tests pass without an error planted: one that fails anyway notices nothing.
func (r Runner) Clean(ctx context.Context, pkg string, tests []string) error {
	r.Timeout *= 5 // it runs all of them
	failed, err := r.test(ctx, pkg, "^("+strings.Join(tests, "|")+")$", nil)
	if err == nil && len(failed) > 0 {
		err = fmt.Errorf("these fail without an error planted: %s", strings.Join(failed, ", "))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", pkg, err)
	}
	return nil
}

// Run plants one error and runs its test; with find, the tests of its package that match it.
func (r Runner) Run(ctx context.Context, m Mutant, find string) Outcome {
	began := time.Now()
	body, err := m.Apply(r.Root)
	if err != nil {
		return Outcome{Mutant: m, Err: err}
	}
	which := "^" + m.Test + "$"
	if find != "" {
		which = find
	}
	failed, err := r.test(ctx, m.Pkg, which, map[string][]byte{m.File: body})
	if err != nil {
		err = fmt.Errorf("%s: %w", m.Where, err)
	}
	return Outcome{Mutant: m, Failed: failed, Err: err, Took: time.Since(began)}
}

// test builds a package's tests with some files changed, and runs those that match. It returns the names of those that
// failed.
func (r Runner) test(ctx context.Context, pkg, which string, changed map[string][]byte) ([]string, error) {
	temp, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	overlay, err := r.overlay(temp, changed)
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(temp, "package.test")
	build := r.command(ctx, r.Root, temp, "go", "test", "-c", "-vet=off", "-ldflags=-s -w", "-overlay", overlay, "-o", binary, "./"+pkg)
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("does not compile: %w\n%s", err, out)
	}
	args := []string{"-test.run=" + which, "-test.v", "-test.timeout=" + r.Timeout.String()}
	if r.properties(pkg) {
		args = append(args, "-rapid.nofailfile") // the file would be in the work tree
	}
	run := r.command(ctx, filepath.Join(r.Root, pkg), temp, binary, args...)
	run.Env = append(run.Env, "GOFLAGS="+os.Getenv("GOFLAGS")+" -overlay="+overlay) // for what the test builds
	out, err := run.CombinedOutput()
	return verdict(ctx, string(out), err)
}

// properties reports whether a package's tests know rapid's flags.
func (r Runner) properties(pkg string) bool {
	files, _ := filepath.Glob(filepath.Join(r.Root, pkg, "*_test.go"))
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && bytes.Contains(text, []byte(`"pgregory.net/rapid"`))
	})
}

// overlay writes the changed files beside the work tree, and says in a file which they stand for.
func (r Runner) overlay(temp string, changed map[string][]byte) (string, error) {
	replace := map[string]string{}
	for i, file := range slices.Sorted(maps.Keys(changed)) {
		to := filepath.Join(temp, fmt.Sprintf("%d-%s", i, filepath.Base(file)))
		if err := os.WriteFile(to, changed[file], 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(r.Root, file)] = to
	}
	body, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(temp, "overlay.json")
	return name, os.WriteFile(name, body, 0o600)
}

// command is a process that ends with its children when ctx does, and keeps its temporary files in one place.
func (r Runner) command(ctx context.Context, dir, temp, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = dir, append(os.Environ(), "TMPDIR="+temp)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = 5 * time.Second
	return c
}

var (
	failLine = regexp.MustCompile(`(?m)^\s*--- FAIL: ([^/\s]+)`)
	skipLine = regexp.MustCompile(`(?m)^--- SKIP: (\S+)`)
	runLine  = regexp.MustCompile(`(?m)^=== RUN   ([^/\s]+)$`)
	passLine = regexp.MustCompile(`(?m)^--- (?:PASS|SKIP): ([^/\s]+)`)
)

// verdict reads which tests failed. A test that panicked has failed; one that did not end is an error: it must fail.
func verdict(ctx context.Context, out string, err error) ([]string, error) {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && !errors.As(err, &exit):
		return nil, err
	case strings.Contains(out, "panic: test timed out"):
		return nil, fmt.Errorf("a test does not end: it must fail instead\n%s", tail(out))
	case !runLine.MatchString(out):
		return nil, fmt.Errorf("no test ran\n%s", tail(out))
	case err == nil && skipLine.MatchString(out):
		return nil, fmt.Errorf("a test was skipped: %s", skipLine.FindStringSubmatch(out)[1])
	case err == nil:
		return nil, nil
	}
	failed := names(failLine, out)
	if len(failed) == 0 { // it panicked outside of the test's goroutine: those that had not ended
		failed = slices.DeleteFunc(names(runLine, out), func(n string) bool { return slices.Contains(names(passLine, out), n) })
	}
	return failed, nil
}

func names(line *regexp.Regexp, out string) []string {
	var all []string
	for _, m := range line.FindAllStringSubmatch(out, -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func tail(out string) string { return out[max(0, len(out)-2000):] }
