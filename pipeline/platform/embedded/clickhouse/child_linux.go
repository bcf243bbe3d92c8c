package clickhouse

import "syscall"

// childAttr puts a child into a process group of its own, so that Ctrl-C reaches it
// only through us, and kills it when its parent ends in any way. SIGKILL is safe:
// what was acknowledged is on disk, and the next parent needs the directory's lock.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
