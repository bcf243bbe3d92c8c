package standalone

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

// provisionWithin is how long the start waits for the tables of ClickHouse. After it they are
// brought up to date while everything else runs, and the streams keep what the recorder will write.
const provisionWithin = 30 * time.Second

type provisionConfig struct {
	// KeepDays is how many days ClickHouse keeps verdicts, the ledger, the balance and dead letters; sums by hour and
	// day, and deals, stay.
	KeepDays int `env:"RECORDER_KEEP_DAYS, default=400"`
}

// Validate names the variable that is wrong.
func (c provisionConfig) Validate() error { return warehouse.CheckDays(c.KeepDays) }

// provision brings ClickHouse's tables up to date.
func (b *Box) provision(ctx context.Context) error {
	cfg, err := process.Load[provisionConfig](ctx, b.Env.Lookup)
	if err != nil || b.CHURL == "" {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.unprovision = stop
	done := make(chan error, 1)
	b.provisioning.Go(func() {
		done <- warehouse.ProvisionWhenUp(running, b.CHURL, cfg.KeepDays, func(err error) {
			b.o.Log.Warn("clickhouse is unreachable, the streams keep everything", "err", err)
		})
	})
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("bring ClickHouse's tables up to date: %w", err)
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(provisionWithin):
		b.provisioning.Go(func() {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				b.fatal <- fmt.Errorf("bring ClickHouse's tables up to date: %w", err)
			}
		})
		return nil
	}
}
