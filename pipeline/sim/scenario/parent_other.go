//go:build !linux

package scenario

import "os/exec"

// dieWithParent cannot be had here: if we are killed, the processes must be too.
func dieWithParent(*exec.Cmd) {}
