package standalone

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"ratchet/pipeline/platform/embedded/clickhouse"
)

// KillClickHouse kills the embedded engine, as a crash would, and does not start it again.
func (b *Box) KillClickHouse() error {
	if b.ch == nil {
		return errors.New("kill ClickHouse: it is not the embedded one")
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel() // no time to finish
	if err := b.ch.Stop(gone); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("kill ClickHouse: %w", err)
	}
	return nil
}

// ReviveClickHouse starts the engine that was killed on its data, at its address.
func (b *Box) ReviveClickHouse(ctx context.Context) error {
	at, err := url.Parse(b.CHURL)
	if err != nil {
		return fmt.Errorf("revive ClickHouse: %w", err)
	}
	lib, err := clickhouse.Fetch(ctx, clickhouse.FetchOptions{Lib: b.o.CHLib, Log: b.o.Log, Progress: b.o.Progress})
	if err != nil {
		return fmt.Errorf("revive ClickHouse: %w", err)
	}
	ch, err := clickhouse.Start(ctx, clickhouse.StartOptions{Lib: lib, Data: b.o.dir("clickhouse"), Addr: at.Host, Log: b.o.Log})
	if err != nil {
		return fmt.Errorf("revive ClickHouse: %w", err)
	}
	b.ch = ch
	return nil
}
