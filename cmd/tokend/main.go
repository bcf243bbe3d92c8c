// Command tokend is the sole issuer of tokens.
//
// It knows Keepa's balance, divides it among the stages and publishes what each
// may spend as grants in the bucket TOKENS. A second one stands by.
// Configuration is read from the environment: docs/config.md.
package main

import (
	"ratchet/pipeline/platform/daemon"
	"ratchet/pipeline/tokend"
)

func main() { daemon.Main("tokend", tokend.Run) }
