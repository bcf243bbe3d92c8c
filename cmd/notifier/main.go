// Command notifier sends deals and alarms to Slack, Discord, Telegram, ntfy, Pushover, e-mail and webhooks.
//
// `ratchet up` has one within; this one is for a fleet.
// Configuration is read from the environment: docs/config.md and docs/notify.md.
package main

import (
	_ "time/tzdata" // quiet hours are local, and an image need not have zones

	"ratchet/pipeline/ops/notifier"
	"ratchet/pipeline/platform/daemon"
)

func main() { daemon.Main("notifier", notifier.Run) }
