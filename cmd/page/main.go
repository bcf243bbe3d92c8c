// Command page serves the live page: deals, one ASIN, the machine, the replays.
//
// `ratchet up` has one within; this one is for a fleet.
// Configuration is read from the environment: docs/config.md and docs/page.md.
package main

import (
	"ratchet/pipeline/ops/page"
	"ratchet/pipeline/platform/daemon"
)

func main() { daemon.Main("page", page.Run) }
