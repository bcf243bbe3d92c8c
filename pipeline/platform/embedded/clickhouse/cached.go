package clickhouse

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// marker is the file that records which library's hash was
// checked: that takes seconds and is not repeated at every start.
func marker(cache string) string { return filepath.Join(cache, "verified") }

// installed reports whether the cache holds the expected library.
// It is an error if another user could have put it there.
func installed(ctx context.Context, cache string, o FetchOptions) (bool, error) {
	if _, err := os.Stat(libraryIn(cache)); err != nil {
		return false, nil //nolint:nilerr // it is fetched
	}
	for _, path := range []string{libraryIn(cache), marker(cache)} {
		if err := trusted(path); err != nil {
			return false, err
		}
	}
	recorded, err := os.ReadFile(marker(cache))
	if err == nil && string(recorded) == receipt(libraryIn(cache), o.sum) {
		return true, nil
	}
	if err := verify(ctx, libraryIn(cache), o.sum); err != nil {
		if ctx.Err() != nil {
			return false, fmt.Errorf("check the ClickHouse engine: %w", context.Cause(ctx))
		}
		fmt.Fprintf(o.Progress, "the ClickHouse engine in %s changed and is fetched again: %v\n", cache, err)
		return false, nil
	}
	remember(cache, o.sum)
	return true, nil
}

// remember writes the marker. Without it the hash is checked again at the next start.
func remember(cache, sum string) {
	temp := marker(cache) + ".new"
	if os.WriteFile(temp, []byte(receipt(libraryIn(cache), sum)), 0o600) == nil {
		_ = os.Rename(temp, marker(cache)) // see above
	}
}

// receipt identifies one state of a file: a modified file cannot keep its change time.
func receipt(lib, sum string) string {
	info, err := os.Stat(lib)
	if err != nil {
		return ""
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%s size %d inode %d:%d modified %d changed %d\n", sum, st.Size, st.Dev, st.Ino, info.ModTime().UnixNano(), changed(st))
}

// trusted returns an error if a file or directory of the cache may be another user's work; nil if only
// this user and root can have written it, or it does not exist. All directories above it are checked too.
func trusted(path string) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil //nolint:nilerr // what does not exist is fetched
	}
	for _, start := range []string{path, real} { // a link is in a directory as well
		for p := start; ; p = filepath.Dir(p) {
			if err := ours(p); err != nil {
				return err
			}
			if p == filepath.Dir(p) {
				break
			}
		}
	}
	return nil
}

// ours returns an error if one file or directory may be another user's work.
func ours(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return &UnavailableError{Reason: "the engine's cache cannot be checked", Err: err}
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	switch uid := os.Geteuid(); {
	case int(st.Uid) != uid && st.Uid != 0:
		return &UnavailableError{Reason: fmt.Sprintf("%s belongs to another user (uid %d, and we are %d), so what is in it is not loaded; remove it or point XDG_CACHE_HOME elsewhere", path, st.Uid, uid)}
	case info.Mode()&fs.ModeSymlink != 0: // its mode has no meaning
	case info.Mode().Perm()&0o022 != 0 && (!info.IsDir() || info.Mode()&fs.ModeSticky == 0):
		return &UnavailableError{Reason: fmt.Sprintf("%s can be written by others (mode %04o), so what is in it is not loaded; remove the cache, then chmod go-w %s", path, info.Mode().Perm(), path)}
	}
	return nil
}

// private removes the write permission of all other users, which npm leaves to the umask.
func private(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Mode().Perm()&0o022 == 0 {
			return err
		}
		return os.Chmod(path, info.Mode().Perm()&^0o022)
	})
}
