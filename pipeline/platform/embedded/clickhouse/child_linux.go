package clickhouse

import "syscall"

// childAttr puts a child into a process group of its own, so that Ctrl-C reaches it
// when we say so, and ends it with its parent, however that ends. The kill is hard:
// what was acknowledged is on disk, and the next parent needs the directory's lock.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
