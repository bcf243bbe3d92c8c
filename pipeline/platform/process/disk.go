package process

import "golang.org/x/sys/unix"

// FreeBytes returns how much a process without privileges may still write to the disk of a directory.
func FreeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil //nolint:gosec // no disk is that large
}
