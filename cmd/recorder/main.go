// Command recorder writes verdicts, deals, the ledger and coverage into ClickHouse.
//
// It applies the migrations at its start and inserts in batches, each of which
// may be repeated without doubling a row.
// Configuration is read from the environment: docs/config.md.
package main

import (
	"ratchet/pipeline/platform/daemon"
	"ratchet/pipeline/recorder"
)

func main() { daemon.Main("recorder", recorder.Run) }
