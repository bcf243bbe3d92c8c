package engine

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// ErrInUse means that another process holds the data directory.
var ErrInUse = errors.New("another process is using this ClickHouse data directory")

// lockWait is how long a predecessor that is being killed may hold the lock.
const lockWait = 3 * time.Second

// lockDir takes an advisory lock that the kernel releases with the process, however
// it ends. The engine has a lock of its own, but reports it only on stderr.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w; choose another with --data", err)
	}
	for deadline := time.Now().Add(lockWait); ; time.Sleep(50 * time.Millisecond) {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(deadline) {
			break
		}
	}
	_ = f.Close() // the lock was not acquired
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("%s: %w; stop it or choose another directory with --data", dir, ErrInUse)
	}
	return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
}
