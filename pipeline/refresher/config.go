package refresher

import (
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline/domain/refresh"
)

// Config is how the stock of deals is kept.
type Config struct {
	// Period is how often every stored deal is looked at again, whether or not the
	// list names it. A deal that was not confirmed for two periods is stale.
	Period time.Duration `env:"REFRESH_PERIOD, default=24h"`
	// Share is the part of the income that refreshes may take. What it cannot pay for
	// within three periods expires, the least valuable first.
	Share float64 `env:"REFRESH_SHARE, default=0.15"`
	// Repairs is how often a deal that was made without an offer or a seller is tried
	// again; 0 is never.
	Repairs int `env:"REPAIR_ATTEMPTS, default=2"`
	// Sellers says whether sellers of accepted deals are asked for, 1 token each.
	Sellers bool `env:"COMMITTER_SELLERS, default=true"`
}

// Validate names the variables that are wrong.
func (c Config) Validate() error {
	var errs []error
	if c.Period < 2*time.Hour {
		errs = append(errs, fmt.Errorf("REFRESH_PERIOD: want at least 2h, got %s", c.Period))
	}
	if !(c.Share > 0 && c.Share <= 0.9) { // refuses NaN too
		errs = append(errs, fmt.Errorf("REFRESH_SHARE: want more than 0 and at most 0.9, got %g", c.Share))
	}
	if c.Repairs < 0 {
		errs = append(errs, fmt.Errorf("REPAIR_ATTEMPTS: want 0 or more, got %d", c.Repairs))
	}
	return errors.Join(errs...)
}

// plan is the configuration on a plan of so many tokens a minute.
func (c Config) plan(rate int) refresh.Plan {
	return refresh.PlanFor(c.Period, rate, c.Share, c.Repairs)
}
