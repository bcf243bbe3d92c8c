package committer

import (
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/spend/gateway"
)

// Config is everything the committer can be told. It is read from the environment
// once, at start.
type Config struct {
	NATS  bus.Config     `env:", prefix=NATS_"`
	Keepa gateway.Config `env:", prefix=KEEPA_"`

	// Rules is the rule file; empty means the built-in rules for used books.
	Rules string `env:"RULES"`
	// Workers is how many commits may be in flight at once.
	Workers int `env:"COMMITTER_WORKERS, default=4"`
	// Fresh is how old a stored answer may be to serve other work than its own.
	Fresh time.Duration `env:"COMMITTER_FRESH, default=6h"`
	// Sellers says whether sellers of accepted deals are asked for, 1 token each.
	Sellers bool `env:"COMMITTER_SELLERS, default=true"`
	// SellerFresh is how long an answer about a seller serves.
	SellerFresh time.Duration `env:"COMMITTER_SELLER_FRESH, default=168h"`
	// Grace is how long a step may finish after a stop.
	Grace time.Duration `env:"COMMITTER_GRACE, default=8s"`
}

// Validate names the variables that are wrong.
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
