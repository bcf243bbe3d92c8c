package recorder

import (
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline/bus"
	"ratchet/pipeline/warehouse"
)

// Config is everything the recorder can be told. It is read from the environment once, at its start.
type Config struct {
	NATS bus.Config `env:", prefix=NATS_"`

	// ClickHouse is the address of ClickHouse: http://user:password@host:8123/database, https:// or clickhouse://.
	ClickHouse string `env:"CLICKHOUSE_URL, default=http://127.0.0.1:8123/ratchet"`
	// Batch is the most rows inserted at once. More means fewer, larger parts.
	Batch int `env:"RECORDER_BATCH, default=5000"`
	// Flush is how long a row waits for a batch to fill, on the machine's clock.
	Flush time.Duration `env:"RECORDER_FLUSH, default=1s"`
	// KeepDays is how many days ClickHouse keeps verdicts, the ledger, the balance and dead letters; sums by hour and day, and deals, stay.
	KeepDays int `env:"RECORDER_KEEP_DAYS, default=400"`
}

// Validate names every variable that is wrong.
func (c Config) Validate() error {
	var faults []error
	if err := c.NATS.Validate(); err != nil {
		faults = append(faults, err)
	}
	if err := warehouse.CheckURL(c.ClickHouse); err != nil {
		faults = append(faults, err)
	}
	if c.Batch < 1 || c.Batch > 20000 {
		faults = append(faults, fmt.Errorf("RECORDER_BATCH: want 1 to 20000, got %d", c.Batch))
	}
	if c.Flush < 10*time.Millisecond || c.Flush > time.Minute {
		faults = append(faults, fmt.Errorf("RECORDER_FLUSH: want 10ms to 1m, got %s", c.Flush))
	}
	if c.KeepDays < 1 || c.KeepDays > 36500 {
		faults = append(faults, fmt.Errorf("RECORDER_KEEP_DAYS: want 1 to 36500, got %d", c.KeepDays))
	}
	return errors.Join(faults...)
}
