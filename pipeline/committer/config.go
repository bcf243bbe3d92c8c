package committer

import (
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/spend/gateway"
)

// Config configures the committer. It is read from the environment once, at start.
type Config struct {
	NATS  bus.Config     `env:", prefix=NATS_"`
	Keepa gateway.Config `env:", prefix=KEEPA_"`

	// Rules is the rule file; empty means the built-in rules for used books.
	Rules string `env:"RULES"`
	// Workers is how many commits may be in flight at once.
	Workers int `env:"COMMITTER_WORKERS, default=4"`
	// Fresh is the maximum age of a stored answer that serves work for which it was not bought.
	Fresh time.Duration `env:"COMMITTER_FRESH, default=6h"`
	// Sellers enables requests for the sellers of accepted deals, 1 token each.
	Sellers bool `env:"COMMITTER_SELLERS, default=true"`
	// SellerFresh is the maximum age of an answer about a seller.
	SellerFresh time.Duration `env:"COMMITTER_SELLER_FRESH, default=168h"`
	// Grace is how long a step may continue after a stop: longer than Keepa
	// takes for the slowest answer, which is paid for.
	Grace time.Duration `env:"COMMITTER_GRACE, default=30s"`
}

// Validate reports the variables that are wrong, by name.
func (c Config) Validate() error {
	var errs []error
	if c.Workers < 1 || c.Workers > 64 {
		errs = append(errs, fmt.Errorf("COMMITTER_WORKERS: want 1 to 64, got %d", c.Workers))
	}
	for name, d := range map[string]time.Duration{
		"COMMITTER_FRESH": c.Fresh, "COMMITTER_SELLER_FRESH": c.SellerFresh, "COMMITTER_GRACE": c.Grace,
	} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("%s: want a positive duration, got %s", name, d))
		}
	}
	return errors.Join(append(errs, c.NATS.Validate(), c.Keepa.Validate())...)
}
