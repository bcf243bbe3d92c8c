package watermarker

import (
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/refresher"
	"ratchet/pipeline/spend/gateway"
)

// Config is the configuration of the watermarker, which it reads from the environment once, at start.
type Config struct {
	NATS  bus.Config     `env:", prefix=NATS_"`
	Keepa gateway.Config `env:", prefix=KEEPA_"`

	// Queries is a directory of deal queries (*.json), or one such file; empty means
	// the built-in query for used books.
	Queries string `env:"QUERIES"`
	// Rules is the rule file; empty means the built-in rules for used books.
	Rules string `env:"RULES"`
	// Shortest is the shortest time between two polls of one query.
	Shortest time.Duration `env:"WATERMARKER_SHORTEST, default=15m"`
	// Longest is the longest time between two polls of one query.
	Longest time.Duration `env:"WATERMARKER_LONGEST, default=2h"`
	// Sweep is the time between two full reads of a list: longer where they would cost more than 2 % of the income.
	Sweep time.Duration `env:"WATERMARKER_SWEEP, default=4h"`
	// Backlog is how many candidates may wait before polling stops.
	Backlog int `env:"WATERMARKER_BACKLOG, default=20000"`
	// Refresher is how stored deals are kept current.
	Refresher refresher.Config
	// Grace is how long a page may be finished after a stop: longer than Keepa
	// takes for the slowest answer, which is paid for.
	Grace time.Duration `env:"WATERMARKER_GRACE, default=30s"`
}

// Validate names the variables that are wrong.
func (c Config) Validate() error {
	var errs []error
	if c.Shortest <= 0 || c.Longest < c.Shortest {
		errs = append(errs, fmt.Errorf("WATERMARKER_SHORTEST, WATERMARKER_LONGEST: want 0 < shortest <= longest, got %s and %s", c.Shortest, c.Longest))
	}
	if c.Sweep <= 0 {
		errs = append(errs, fmt.Errorf("WATERMARKER_SWEEP: want a positive duration, got %s", c.Sweep))
	}
	if c.Backlog < 1 {
		errs = append(errs, fmt.Errorf("WATERMARKER_BACKLOG: want at least 1, got %d", c.Backlog))
	}
	if c.Grace <= 0 {
		errs = append(errs, fmt.Errorf("WATERMARKER_GRACE: want a positive duration, got %s", c.Grace))
	}
	return errors.Join(append(errs, c.NATS.Validate(), c.Keepa.Validate(), c.Refresher.Validate())...)
}

func (c Config) plan() watermark.Plan {
	p := watermark.DefaultPlan()
	p.Shortest, p.Longest, p.SweepEvery = c.Shortest, c.Longest, c.Sweep
	p.Price, p.Most = token.PricePage, keepa.MaxPages
	return p
}
