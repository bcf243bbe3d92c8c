package process

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"

	"ratchet/pipeline/text/complaint"
)

// Stdin is the file name that stands for the standard input.
const Stdin = "-"

// ReadFile reads a file written by a person, or Stdin, until ctx ends. It reads at most
// one byte more than complaint.MaxBytes, so that the parser can reject a longer file.
func ReadFile(ctx context.Context, name string) ([]byte, error) {
	return Until(ctx, func() ([]byte, error) { return readSome(name) })
}

// Until returns the result of do, or ctx's error if ctx ends first: a signal then ends a command within a second,
// even while a pipe is silent or a file takes long to check. do may continue in the background until the process ends.
func Until[T any](ctx context.Context, do func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := do()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func readSome(name string) ([]byte, error) {
	f := os.Stdin
	if name != Stdin {
		var err error
		if f, err = os.Open(name); err != nil {
			return nil, err
		}
		defer f.Close()
	}
	return io.ReadAll(io.LimitReader(f, complaint.MaxBytes+1))
}

// WriteSynced writes a new file and returns when its contents are on disk. Its name is once SyncDir has returned.
func WriteSynced(name string, body []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(body)
	return errors.Join(err, f.Sync(), f.Close())
}

// SyncDir returns when the names in a directory are on disk. One that may not be read, or whose file system cannot sync
// a directory, is left to the system.
func SyncDir(name string) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, errors.ErrUnsupported) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
