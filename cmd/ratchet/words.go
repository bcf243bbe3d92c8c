package main

import "ratchet/pipeline/ops/cli"

// What flags hold as people write it.
type (
	span  = cli.Span
	money = cli.Amount
	odds  = cli.Odds
)
