//go:build !linux

package clickhouse

import "syscall"

// childAttr puts a child into a process group of its own, so that Ctrl-C reaches it only through us.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
