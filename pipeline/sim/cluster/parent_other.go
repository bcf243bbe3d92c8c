//go:build !linux

package cluster

import "os/exec"

// DieWithParent is not available here: if this process is killed, the others must be killed too.
func DieWithParent(*exec.Cmd) {}
