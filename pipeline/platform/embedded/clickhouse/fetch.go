package clickhouse

import (
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"ratchet/pipeline/platform/process"
)

// Version is the release of the npm package that Fetch installs.
const Version = "26.7.3-stable.1"

const (
	librarySum  = "36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5" // sha256 of libchdb.so
	librarySize = 566                                                                // MB on disk, as shown to the user
	download    = 178                                                                // MB
	spaceNeeded = 1 << 30                                                            // bytes: unpacked, and npm's own copy
)

// manifests are the files for npm ci: the exact version and the hash of the package, and no registry's address.
//
//go:embed npm/package.json npm/package-lock.json npm/npmrc
var manifests embed.FS

// FetchOptions configure where the library may be.
type FetchOptions struct {
	Lib      string       // a library from elsewhere (CHDB_LIB_PATH); used unchecked
	Cache    string       // directory for the installed package; empty: ratchet/chdb/VERSION in the user's cache
	Log      *slog.Logger // may be nil
	Progress io.Writer    // for messages about the download; may be nil

	sum string // the hash of another library, in tests
}

// Fetch returns the path of libchdb: the given one, the one in the cache, or one that npm installs into
// the cache now. Several processes may call it concurrently; one installs. An interrupted installation
// leaves the cache unchanged. A cache that another user could have prepared is rejected, and the library's
// hash is checked again after every change of the file. Errors are *UnavailableError unless ctx ended.
func Fetch(ctx context.Context, o FetchOptions) (string, error) {
	if o.Lib != "" {
		return given(o.Lib)
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	o.sum = cmp.Or(o.sum, librarySum)
	if err := publishedHere(); err != nil {
		return "", err
	}
	cache, err := cacheDir(o.Cache)
	if err != nil {
		return "", err
	}
	if ok, err := installed(ctx, cache, o); err != nil || ok {
		return libraryIn(cache), err
	}
	if err := os.MkdirAll(filepath.Dir(cache), 0o755); err != nil {
		return "", &UnavailableError{Reason: "the cache cannot be created", Err: err}
	}
	if err := trusted(filepath.Dir(cache)); err != nil {
		return "", err
	}
	unlock, err := alone(ctx, cache+".lock", o.Progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	if ok, err := installed(ctx, cache, o); err != nil || ok { // by the process that held the lock
		return libraryIn(cache), err
	}
	if err := install(ctx, cache, o); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("fetch the ClickHouse engine: %w", context.Cause(ctx))
		}
		return "", err
	}
	return libraryIn(cache), nil
}

func given(lib string) (string, error) {
	path, err := filepath.Abs(lib)
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(path); err == nil && !info.Mode().IsRegular() {
			err = fmt.Errorf("%s is not a file", path)
		}
	}
	if err != nil {
		return "", &UnavailableError{Reason: "the library that CHDB_LIB_PATH or --lib names cannot be used", Err: err}
	}
	return path, nil
}

// loader is the dynamic linker of glibc, which the library needs.
const loader = "/lib64/ld-linux-x86-64.so.2"

func publishedHere() error {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return &UnavailableError{Reason: fmt.Sprintf("the engine is published for linux/amd64 only, and this is %s/%s", runtime.GOOS, runtime.GOARCH)}
	}
	if _, err := os.Stat(loader); err != nil {
		return &UnavailableError{Reason: "the engine needs glibc, and this system has none", Err: err}
	}
	return nil
}

func cacheDir(set string) (string, error) {
	if set != "" {
		dir, err := filepath.Abs(set)
		if err != nil {
			return "", &UnavailableError{Reason: "the cache cannot be found", Err: err}
		}
		return dir, nil
	}
	user, err := os.UserCacheDir()
	if err != nil {
		return "", &UnavailableError{Reason: "there is no cache directory", Err: err}
	}
	return filepath.Join(user, "ratchet", "chdb", Version), nil
}

func libraryIn(cache string) string {
	return filepath.Join(cache, "node_modules", "@chdb", "lib-linux-x64-gnu", "libchdb.so")
}

// install creates the cache in a directory next to it and renames it when
// it is complete, so that a crash on any line leaves no partial cache.
func install(ctx context.Context, cache string, o FetchOptions) error {
	parent := filepath.Dir(cache)
	if err := clearRemains(parent); err != nil {
		return &UnavailableError{Reason: "what an interrupted download left cannot be removed", Err: err}
	}
	if err := enoughSpace(parent); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(parent, remains)
	if err != nil {
		return &UnavailableError{Reason: "the cache cannot be written", Err: err}
	}
	defer func() { _ = os.RemoveAll(temp) }() // renamed by then; otherwise the next install removes it
	fmt.Fprintf(o.Progress, "fetching the ClickHouse engine once: %d MB to download, %d MB on disk in %s\n", download, librarySize, cache)
	if err := npmCI(ctx, temp, o.Progress); err != nil {
		return err
	}
	if err := private(temp); err != nil {
		return &UnavailableError{Reason: "the cache cannot be written", Err: err}
	}
	if err := verify(ctx, libraryIn(temp), o.sum); err != nil {
		return err
	}
	remember(temp, o.sum)
	if err := errors.Join(os.RemoveAll(cache), os.Rename(temp, cache)); err != nil {
		return &UnavailableError{Reason: "the cache cannot be written", Err: err}
	}
	fmt.Fprintf(o.Progress, "ClickHouse engine %s is ready\n", Version)
	return nil
}

// remains begins the name of a directory for an installation.
const remains = ".fetch-"

func clearRemains(parent string) error {
	old, err := filepath.Glob(filepath.Join(parent, remains+"*"))
	for _, dir := range old {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

func enoughSpace(dir string) error {
	free, err := process.FreeBytes(dir)
	if err != nil {
		return nil //nolint:nilerr // the space may well suffice
	}
	if free < spaceNeeded {
		return &UnavailableError{Reason: fmt.Sprintf("%d MB are free in %s and %d MB are needed; make room or point XDG_CACHE_HOME elsewhere", free>>20, dir, spaceNeeded>>20)}
	}
	return nil
}

// verify checks the library's hash.
func verify(ctx context.Context, lib, sum string) error {
	f, err := os.Open(lib)
	if err != nil {
		return &UnavailableError{Reason: "npm reported success, but the library is not there", Err: err}
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, untilDone{ctx, f}); err != nil {
		return &UnavailableError{Reason: "the library cannot be read", Err: err}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != sum {
		return &UnavailableError{Reason: fmt.Sprintf("the library has the wrong hash: sha256 %s instead of %s", got, sum)}
	}
	return nil
}

// untilDone reads until the context ends.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u untilDone) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

// alone waits until no other process installs into the same cache, and locks it.
func alone(ctx context.Context, path string, progress io.Writer) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, &UnavailableError{Reason: "the cache cannot be locked", Err: err}
	}
	announced := false
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil // closing unlocks
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			_ = f.Close() // nothing was written
			return nil, &UnavailableError{Reason: "the cache cannot be locked", Err: err}
		}
		if !announced {
			fmt.Fprintln(progress, "another process is fetching the ClickHouse engine; waiting for it")
			announced = true
		}
		select {
		case <-ctx.Done():
			_ = f.Close() // nothing was written
			return nil, fmt.Errorf("wait for another process to fetch the ClickHouse engine: %w", context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}
