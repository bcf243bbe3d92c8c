package peeker

import (
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/spend/gateway"
)

// Config configures the peeker. It is read from the environment once, at start.
type Config struct {
	NATS  bus.Config     `env:", prefix=NATS_"`
	Keepa gateway.Config `env:", prefix=KEEPA_"`

	// Rules is the rule file; empty means the built-in rules for used books.
	Rules string `env:"RULES"`
	// Batch is the most candidates of one peek call, 1 to 100.
	Batch int `env:"PEEKER_BATCH, default=100"`
	// Fresh is the maximum age of a stored answer that serves work for which it was not bought.
	Fresh time.Duration `env:"PEEKER_FRESH, default=6h"`
	// Earlier is the maximum age of the stored answer that rejects a new price of a rejected book for no token, where
	// the book would be rejected even if it became cheaper by a tenth. 0 pays for a look at every new price.
	Earlier time.Duration `env:"PEEKER_EARLIER, default=24h"`
	// Shed enables shedding: the least valuable work is dropped, with a verdict
	// of its own, while more waits than tokens can decide within the patience.
	Shed bool `env:"PEEKER_SHED, default=true"`
	// Patience is how long a new row may wait for its look. Of 100 new prices 60 hold for four hours and 25 for
	// twelve, and a new price needs a new look. Backfill, the rows that a first sweep finds, may wait three times as
	// long, because older prices hold for longer.
	Patience time.Duration `env:"PEEKER_PATIENCE, default=4h"`
	// Grace is how long a step may continue after a stop: longer than Keepa
	// takes for the slowest answer, which is paid for.
	Grace time.Duration `env:"PEEKER_GRACE, default=30s"`
	// Skip forwards every candidate to the committer without a look, to measure what the looks save.
	Skip bool `env:"PEEKER_SKIP, default=false"`
}

// freeGrace bounds Grace for steps that wait for no answer of Keepa's.
const freeGrace = 8 * time.Second

// mostEarlier is the most for Earlier. A sale is inferred a day after it at the earliest, so a younger answer contains
// every sale that a new one would show; only a jump of the rank that confirms one may have come since.
const mostEarlier = 24 * time.Hour

// Validate reports the variables that are wrong, by name.
func (c Config) Validate() error {
	var errs []error
	if c.Batch < 1 || c.Batch > gateway.MaxASINs {
		errs = append(errs, fmt.Errorf("PEEKER_BATCH: want 1 to %d, got %d", gateway.MaxASINs, c.Batch))
	}
	if c.Fresh <= 0 {
		errs = append(errs, fmt.Errorf("PEEKER_FRESH: want a positive duration, got %s", c.Fresh))
	}
	if c.Earlier < 0 || c.Earlier > mostEarlier {
		errs = append(errs, fmt.Errorf("PEEKER_EARLIER: want 0 to %s, got %s", mostEarlier, c.Earlier))
	}
	if c.Patience <= 0 {
		errs = append(errs, fmt.Errorf("PEEKER_PATIENCE: want a positive duration, got %s; PEEKER_SHED=false sheds nothing", c.Patience))
	}
	if c.Grace <= 0 {
		errs = append(errs, fmt.Errorf("PEEKER_GRACE: want a positive duration, got %s", c.Grace))
	}
	return errors.Join(append(errs, c.NATS.Validate(), c.Keepa.Validate())...)
}
