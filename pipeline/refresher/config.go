package refresher

import (
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline/domain/refresh"
)

// Config configures how the stock of deals is refreshed.
type Config struct {
	// Period is how often every stored deal is checked, whether or not the list
	// contains it. A deal without a confirmation for two periods is stale.
	Period time.Duration `env:"REFRESH_PERIOD, default=24h"`
	// Share is the part of the income that refreshes may use. Deals for which it
	// does not suffice within three periods expire, the least valuable first.
	Share float64 `env:"REFRESH_SHARE, default=0.15"`
	// Repairs is how often a deal that lacks an offer or a seller is retried; 0: never.
	Repairs int `env:"REPAIR_ATTEMPTS, default=2"`
	// Sellers enables requests for the sellers of accepted deals, 1 token each.
	Sellers bool `env:"COMMITTER_SELLERS, default=true"`
}

// Validate reports the variables that are wrong, by name.
func (c Config) Validate() error {
	var errs []error
	if c.Period < 2*time.Hour {
		errs = append(errs, fmt.Errorf("REFRESH_PERIOD: want at least 2h, got %s", c.Period))
	}
	if !(c.Share > 0 && c.Share <= 0.9) { // rejects NaN too
		errs = append(errs, fmt.Errorf("REFRESH_SHARE: want more than 0 and at most 0.9, got %g", c.Share))
	}
	if c.Repairs < 0 {
		errs = append(errs, fmt.Errorf("REPAIR_ATTEMPTS: want 0 or more, got %d", c.Repairs))
	}
	return errors.Join(errs...)
}

// plan returns the configuration for a Keepa plan of rate tokens a minute and refreshes of that cost.
func (c Config) plan(rate int, cost refresh.Cost) refresh.Plan {
	return refresh.PlanFor(c.Period, rate, c.Share, c.Repairs).At(cost)
}
