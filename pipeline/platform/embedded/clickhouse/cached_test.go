package clickhouse_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline/platform/embedded/clickhouse"
	"ratchet/pipeline/platform/machinetest"
)

const library = "node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"

// prepared returns a cache in a directory of its own, with a library that has the expected hash.
func prepared(t *testing.T) (cache string, o clickhouse.FetchOptions) {
	t.Helper()
	t.Setenv("PATH", t.TempDir()) // there is no npm: only the cache can provide the library
	cache = filepath.Join(t.TempDir(), "parent", "cache")
	if err := os.MkdirAll(filepath.Join(cache, filepath.Dir(library)), 0o755); err != nil {
		t.Fatal(err)
	}
	body := []byte("a library")
	if err := os.WriteFile(filepath.Join(cache, library), body, 0o644); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	return cache, clickhouse.WithSum(clickhouse.FetchOptions{Cache: cache}, hex.EncodeToString(sum[:]))
}

func TestACacheThatAnotherUserCouldHavePreparedIsRefused(t *testing.T) {
	const nobody = 65534
	owned := func(path string) func(t *testing.T, cache string) {
		return func(t *testing.T, cache string) {
			if os.Getuid() != 0 {
				machinetest.Lacks(t, "needs root, to give a file to another user")
			}
			if err := os.Lchown(filepath.Join(cache, path), nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	mode := func(path string, mode os.FileMode) func(t *testing.T, cache string) {
		return func(t *testing.T, cache string) {
			if err := os.Chmod(filepath.Join(cache, path), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tc := range []struct {
		name, says string
		spoil      func(t *testing.T, cache string)
	}{
		{"the library is another user's", "belongs to another user", owned(library)},
		{"the cache is another user's", "belongs to another user", owned(".")},
		{"the directory around it is another user's", "belongs to another user", owned("..")},
		{"the marker is another user's", "belongs to another user", owned("verified")},
		{"everybody may write the library", "can be written by others", mode(library, 0o666)},
		{"a group may write the library", "can be written by others", mode(library, 0o664)},
		{"everybody may write its directory", "can be written by others", mode(filepath.Dir(library), 0o777)},
		{"everybody may write the directory around it", "can be written by others", mode("..", 0o777)},
		{"the library is a link to another user's", "belongs to another user", func(t *testing.T, cache string) {
			to := filepath.Join(t.TempDir(), "libchdb.so")
			if err := os.Rename(filepath.Join(cache, library), to); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(to, filepath.Join(cache, library)); err != nil {
				t.Fatal(err)
			}
			owned(to[len("/"):])(t, "/")
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cache, o := prepared(t)
			if _, err := clickhouse.Fetch(t.Context(), o); err != nil {
				t.Fatalf("before: %v", err)
			}
			tc.spoil(t, cache)
			_, err := clickhouse.Fetch(t.Context(), o)
			wantUnavailable(t, err, tc.says)
		})
	}
	t.Run("there is none, in another user's directory", func(t *testing.T) {
		cache, o := prepared(t)
		if err := os.RemoveAll(cache); err != nil {
			t.Fatal(err)
		}
		owned("..")(t, cache)
		_, err := clickhouse.Fetch(t.Context(), o)
		wantUnavailable(t, err, "belongs to another user")
	})
	t.Run("a sticky directory around it is as good as ours", func(t *testing.T) {
		cache, o := prepared(t)
		if err := os.Chmod(filepath.Dir(cache), 0o777|os.ModeSticky); err != nil {
			t.Fatal(err)
		}
		if _, err := clickhouse.Fetch(t.Context(), o); err != nil {
			t.Error(err)
		}
	})
}

func TestTheHashIsCheckedAgainWhenTheFileChanged(t *testing.T) {
	cache, o := prepared(t)
	var said bytes.Buffer
	o.Progress = &said
	lib := filepath.Join(cache, library)
	marked := func() string {
		t.Helper()
		if _, err := clickhouse.Fetch(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		body, err := os.ReadFile(filepath.Join(cache, "verified"))
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	first := marked()
	if again := marked(); again != first {
		t.Errorf("nothing changed, and the marker became %s", again)
	}
	// A touched file is another state of the same library.
	if err := os.Chtimes(lib, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if marked() == first {
		t.Error("the marker names an old state")
	}
	// The same length and time: only its change time differs.
	info, err := os.Stat(lib)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(lib, []byte("a Library"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(lib, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	_, err = clickhouse.Fetch(t.Context(), o)
	wantUnavailable(t, err, "npm") // it must be fetched again, which is impossible here
	if !strings.Contains(said.String(), "changed and is fetched again") {
		t.Errorf("said %q", said.String())
	}
}
