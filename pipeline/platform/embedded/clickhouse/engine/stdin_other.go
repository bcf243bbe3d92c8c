//go:build !linux

package engine

import "golang.org/x/sys/unix"

// putAt duplicates the first descriptor onto the second.
func putAt(from, to int) error { return unix.Dup2(from, to) }
