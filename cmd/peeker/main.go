// Command peeker looks at candidates and lets the good ones through.
//
// It glances at what a candidate already carries, for nothing, spends one token
// on a peek at each that is left, and publishes the survivors. Any number of
// peekers work side by side.
// Configuration is read from the environment: docs/config.md.
package main

import (
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/daemon"
)

func main() { daemon.Main("peeker", peeker.Run) }
