package clickhouse_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline/platform/embedded/clickhouse"
	"ratchet/pipeline/platform/embedded/clickhouse/chtest"
)

// fakeNPM puts a script in npm's place, with nothing on PATH but a shell's commands.
func fakeNPM(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "npm"), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil { //nolint:gosec // it must be executable
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
}

// unpack creates what npm would, from a file.
const unpack = `mkdir -p node_modules/@chdb/lib-linux-x64-gnu && `

func TestFetchNamesTheThreeWaysOut(t *testing.T) {
	for _, tc := range []struct{ name, npm, reason string }{
		{"no network", `echo "npm error code ENOTFOUND" >&2; exit 1`, "cannot reach its registry"},
		{"the package's hash is wrong", `echo "npm error code EINTEGRITY" >&2; exit 1`, "wrong hash"},
		{"the library's hash is wrong", unpack + `echo other > node_modules/@chdb/lib-linux-x64-gnu/libchdb.so`, "wrong hash"},
		{"the package is gone", `echo "npm error code E404" >&2; exit 1`, "does not have the package"},
		{"nothing installed", `exit 0`, "the library is not there"},
		{"anything else", `echo strange >&2; exit 3`, "strange"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fakeNPM(t, tc.npm)
			cache := filepath.Join(t.TempDir(), "cache")
			said := new(bytes.Buffer)
			_, err := clickhouse.Fetch(t.Context(), clickhouse.FetchOptions{Cache: cache, Progress: said})
			wantUnavailable(t, err, tc.reason)
			wantOnly(t, cache)
			if !strings.Contains(said.String(), "178 MB") || !strings.Contains(said.String(), "566 MB") {
				t.Errorf("the size was not logged: %q", said)
			}
		})
	}
	t.Run("no npm", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		_, err := clickhouse.Fetch(t.Context(), clickhouse.FetchOptions{Cache: filepath.Join(t.TempDir(), "cache")})
		wantUnavailable(t, err, "npm")
	})
	t.Run("a library that is not there", func(t *testing.T) {
		_, err := clickhouse.Fetch(t.Context(), clickhouse.FetchOptions{Lib: "/does/not/exist.so"})
		wantUnavailable(t, err, "CHDB_LIB_PATH")
	})
	t.Run("a cache that cannot be written", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := clickhouse.Fetch(t.Context(), clickhouse.FetchOptions{Cache: filepath.Join(file, "cache")})
		wantUnavailable(t, err, "cache")
	})
}

func wantUnavailable(t *testing.T, err error, reason string) {
	t.Helper()
	var u *clickhouse.UnavailableError
	if !errors.As(err, &u) {
		t.Fatalf("got %v, want an UnavailableError", err)
	}
	wantWords(t, err, reason, "CHDB_LIB_PATH=", "ratchet up --clickhouse http://", "ratchet up --clickhouse none")
}

// wantOnly checks the state after a failure: the lock, and nothing of an installation.
func wantOnly(t *testing.T, cache string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Dir(cache))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range left {
		if f.Name() != filepath.Base(cache)+".lock" {
			t.Errorf("%s was left behind", f.Name())
		}
	}
}

func TestAnInterruptedFetchLeavesNothing(t *testing.T) {
	begun := filepath.Join(t.TempDir(), "begun")
	fakeNPM(t, unpack+"echo half > node_modules/half; touch "+begun+"; sleep 60 & wait")
	cache := filepath.Join(t.TempDir(), "cache")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for until := time.Now().Add(60 * time.Second); time.Now().Before(until); {
			if _, err := os.Stat(begun); err == nil {
				return
			}
		}
	}()
	_, err := clickhouse.Fetch(ctx, clickhouse.FetchOptions{Cache: cache})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	wantOnly(t, cache)
}

func TestOfTwoFetchesOneInstalls(t *testing.T) {
	lib := chtest.Library(t)
	calls := filepath.Join(t.TempDir(), "calls")
	fakeNPM(t, "echo call >> "+calls+"; "+unpack+"ln -s "+lib+" node_modules/@chdb/lib-linux-x64-gnu/libchdb.so")
	cache := filepath.Join(t.TempDir(), "cache")
	// The remains of a killed predecessor are removed.
	if err := os.MkdirAll(filepath.Join(filepath.Dir(cache), ".fetch-123", "node_modules"), 0o700); err != nil {
		t.Fatal(err)
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if _, err := clickhouse.Fetch(t.Context(), clickhouse.FetchOptions{Cache: cache}); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	t.Setenv("PATH", "") // the third needs no npm
	got, err := clickhouse.Fetch(t.Context(), clickhouse.FetchOptions{Cache: cache})
	if err != nil || !strings.HasPrefix(got, cache) {
		t.Errorf("got %q, %v", got, err)
	}
	said, err := os.ReadFile(calls)
	want(t, "calls of npm", string(said), "call\n")
	if err != nil {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(cache), ".fetch-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
