//go:build !linux

package cluster

import "os/exec"

// dieWithParent is not available here: if this process is killed, the others must be killed too.
func dieWithParent(*exec.Cmd) {}
