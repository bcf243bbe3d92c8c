package cluster

import (
	"os/exec"
	"syscall"
)

// DieWithParent makes a process end with this one, even if it is killed.
func DieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
