package recorder

import (
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

// Config configures the recorder. It is read from the environment once, at start.
type Config struct {
	NATS bus.Config `env:", prefix=NATS_"`

	// ClickHouse is the address of ClickHouse: http://user:password@host:8123/database, https:// or clickhouse://.
	ClickHouse string `env:"CLICKHOUSE_URL, default=http://127.0.0.1:8123/ratchet"`
	// Batch is the most rows of one insert. More rows make fewer, larger parts.
	Batch int `env:"RECORDER_BATCH, default=5000"`
	// Flush is how long a row waits for a batch to fill, machine time. A line of the ledger waits
	// five times as long, but no more than 15 s for that.
	Flush time.Duration `env:"RECORDER_FLUSH, default=1s"`
	// Password is that of the user in CLICKHOUSE_URL; CLICKHOUSE_PASSWORD_FILE names a file that holds it.
	Password process.Secret `env:"CLICKHOUSE_PASSWORD"`
}

// Validate reports every variable that is wrong, by name.
func (c Config) Validate() error {
	faults := []error{c.NATS.Validate(), warehouse.CheckURL(c.ClickHouse)}
	if c.Batch < 1 || c.Batch > 20000 {
		faults = append(faults, fmt.Errorf("RECORDER_BATCH: want 1 to 20000, got %d", c.Batch))
	}
	if c.Flush < 10*time.Millisecond || c.Flush > time.Minute {
		faults = append(faults, fmt.Errorf("RECORDER_FLUSH: want 10ms to 1m, got %s", c.Flush))
	}
	return errors.Join(faults...)
}

// url returns the address with the password in it.
func (c Config) url() string { return warehouse.Login(c.ClickHouse, c.Password.Reveal()) }
