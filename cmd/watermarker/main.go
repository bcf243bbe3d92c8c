// Command watermarker reads Keepa's deal list and publishes candidates.
//
// The watermark moves only past candidates that NATS has acknowledged; what a
// read cut short did not fetch is written down as a gap. A second one stands by.
// Configuration is read from the environment: docs/config.md.
package main

import (
	"ratchet/pipeline/platform/daemon"
	"ratchet/pipeline/watermarker"
)

func main() { daemon.Main("watermarker", watermarker.Run) }
