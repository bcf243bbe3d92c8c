package scenario

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes a process end with us, even if we are killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
