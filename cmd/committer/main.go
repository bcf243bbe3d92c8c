// Command committer turns survivors into deals.
//
// It spends tokens on the full history with offers, works out cost, profit and
// ROI, and publishes what is worth buying. Any number of committers work side by
// side.
// Configuration is read from the environment: docs/config.md.
package main

import (
	"ratchet/pipeline/committer"
	"ratchet/pipeline/platform/daemon"
)

func main() { daemon.Main("committer", committer.Run) }
