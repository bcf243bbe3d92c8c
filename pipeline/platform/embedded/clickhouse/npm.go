package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// npmCI installs the package into dir. npm checks the lock file's hash, also for a package from its own cache.
func npmCI(ctx context.Context, dir string, progress io.Writer) error {
	for from, to := range map[string]string{"package.json": "package.json", "package-lock.json": "package-lock.json", "npmrc": ".npmrc"} {
		b, err := manifests.ReadFile("npm/" + from)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, to), b, 0o644)
		}
		if err != nil {
			return &UnavailableError{Reason: "the cache cannot be written", Err: err}
		}
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return &UnavailableError{Reason: "npm is needed once to fetch the engine and is not installed", Err: err}
	}
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error")
	cmd.Dir = dir
	// A group of its own: Ctrl-C reaches npm through ctx, together with its
	// children, and the directory is removed only after all of them have ended.
	cmd.SysProcAttr = childAttr()
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	stop := follow(dir, progress)
	err = cmd.Run()
	stop()
	if err != nil {
		return npmFault(output.String(), err)
	}
	return nil
}

// npmFault translates npm's error codes.
func npmFault(output string, err error) error {
	last := strings.TrimSpace(output)
	if lines := strings.Split(last, "\n"); len(lines) > 6 {
		last = strings.Join(lines[:6], "\n")
	}
	cause := err
	if last != "" {
		cause = errors.New(last)
	}
	has := func(codes ...string) bool {
		return slices.ContainsFunc(codes, func(c string) bool { return strings.Contains(output, c) })
	}
	switch {
	case has("EINTEGRITY"):
		return &UnavailableError{Reason: "the downloaded package has the wrong hash", Err: cause}
	case has("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH", "EHOSTUNREACH", "ENOTCACHED", "network"):
		return &UnavailableError{Reason: "npm cannot reach its registry", Err: cause}
	case has("E404", "ETARGET"):
		return &UnavailableError{Reason: "npm's registry does not have the package", Err: cause}
	case has("ENOSPC"):
		return &UnavailableError{Reason: "the disk is full", Err: cause}
	}
	return &UnavailableError{Reason: "npm ci failed", Err: cause}
}

// follow reports how much of the package is unpacked until the returned
// function is called. npm itself has no usable progress report.
func follow(dir string, progress io.Writer) func() {
	quit, done := make(chan struct{}), make(chan struct{})
	live := terminal(progress)
	go func() {
		defer close(done)
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		shown := -1
		for {
			select {
			case <-quit:
				if live {
					fmt.Fprint(progress, "\r\x1b[K")
				}
				return
			case <-tick.C:
			}
			percent := min(99, int(sizeOf(dir)>>20)*100/(librarySize*1000*1000>>20))
			switch {
			case live:
				fmt.Fprintf(progress, "\r  %3d %% of %d MB unpacked", percent, librarySize)
			case percent/20 > shown/20 || shown < 0:
				fmt.Fprintf(progress, "  %d %% of %d MB unpacked\n", percent, librarySize)
				shown = percent
			}
		}
	}()
	return func() { close(quit); <-done }
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func sizeOf(dir string) int64 {
	var n int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error { // files come and go; an estimate suffices
		if err != nil || d.IsDir() {
			return nil //nolint:nilerr // a file that vanished has no size
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}
