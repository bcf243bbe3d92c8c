package scenario

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mount mounts a tmpfs at a directory, so that it is a disk of its own. It needs root.
func mount(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create the directory of a disk: %w", err)
	}
	return unix.Mount("ratchet-soak", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=8g")
}

func unmount(dir string) error { return unix.Unmount(dir, unix.MNT_DETACH) }

// shrink leaves a disk without free space, and grow restores the space.
func shrink(dir string) error {
	var err error
	for range 20 {
		var s unix.Statfs_t
		if err = unix.Statfs(dir, &s); err != nil {
			break
		}
		used := (s.Blocks - s.Bfree) * uint64(s.Bsize) //nolint:gosec // a size
		if err = unix.Mount("", dir, "", unix.MS_REMOUNT, fmt.Sprintf("size=%d", used+4096)); err == nil {
			return nil // otherwise something was written in between
		}
	}
	return fmt.Errorf("fill the disk: %w", err)
}

func grow(dir string) error {
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT, "size=8g"); err != nil {
		return fmt.Errorf("give the disk room: %w", err)
	}
	return nil
}
