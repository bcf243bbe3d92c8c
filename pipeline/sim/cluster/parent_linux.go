package cluster

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes a process end with this one, even if it is killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
