//go:build !linux

package clickhouse

import "syscall"

// childAttr puts a child into a process group of its own, so that Ctrl-C reaches it
// when we say so.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
