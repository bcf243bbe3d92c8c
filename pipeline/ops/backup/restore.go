package backup

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

// Target is where a set becomes a pipeline again.
type Target struct {
	Bus *bus.Bus
	// ClickHouse is its URL; empty: the streams alone.
	ClickHouse string
	KeepDays   int
	Say        func(format string, args ...any) // a line of progress
}

// Fits reports whether a set can be restored into a target, which must be empty; a UsageError if not. It
// changes nothing.
func (s Set) Fits(ctx context.Context, to Target) error {
	there, err := to.Bus.Existing(ctx)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		return process.Usagef("NATS has %s already: a backup is restored into a NATS without streams and buckets of Ratchet; `ratchet restore --data NEW` makes one, or delete them with `nats stream rm`", strings.Join(there, ", "))
	}
	if to.ClickHouse == "" || s.Schema == "" {
		return nil
	}
	if s.Schema != warehouse.Schema() {
		return process.Usagef("the tables of the backup are those of migration %s, this build's of %s: restore with build %s, then start this one", s.Schema, warehouse.Schema(), s.Build)
	}
	if err := warehouse.Copies(to.ClickHouse); err != nil {
		return err
	}
	return emptyTables(ctx, to.ClickHouse)
}

// emptyTables is an error where the database holds rows; one that does not exist holds none.
func emptyTables(ctx context.Context, url string) (err error) {
	w, err := warehouse.Reach(ctx, url)
	if errors.Is(err, warehouse.ErrNoDatabase) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	n, err := w.Rows(ctx)
	if err == nil && n > 0 {
		err = process.Usagef("ClickHouse holds %d rows already: let CLICKHOUSE_URL name a new database, or drop that one", n)
	}
	return err
}

// Restore fills the target with the set in dir. No daemon may run; those that wait for the topology start when it is
// complete, which is at the very end.
func (s Set) Restore(ctx context.Context, dir string, to Target) error {
	if err := s.Fits(ctx, to); err != nil {
		return err
	}
	rows := to.ClickHouse != "" && s.Schema != ""
	if rows {
		if err := s.restoreTables(ctx, dir, to); err != nil {
			return err
		}
	}
	for _, one := range s.Streams {
		if err := one.restore(ctx, dir, to, rows); err != nil {
			return err
		}
	}
	if err := s.rewind(ctx, to, rows); err != nil {
		return err
	}
	if err := to.Bus.Ensure(ctx); err != nil {
		return fmt.Errorf("create what the backup does not hold: %w", err)
	}
	return nil
}

func (one Stream) restore(ctx context.Context, dir string, to Target, rows bool) error {
	how := bus.Restore{Progress: paced(to.Say, one.Name)}
	if rows { // without its rows its numbers may be used by others; then it is a new stream
		how.Made = one.Made
	}
	if err := to.Bus.RestoreStream(ctx, one.Name, natsDir(dir, one.Name), how); err != nil {
		return err
	}
	to.Say("%-14s %d messages, %s", one.Name, one.Messages, size(one.Bytes))
	return nil
}

// written is longer than a server takes to write the state of a restored consumer to the disk. A rewind during that
// write takes effect in memory and is not written, so a server that stops soon afterwards begins at the restored state.
const written = time.Second

// rewind sets the consumers to the positions of the set.
func (s Set) rewind(ctx context.Context, to Target, rows bool) error {
	if err := process.Sleep(ctx, written); err != nil {
		return err
	}
	for _, one := range s.Streams {
		for durable, at := range one.Positions {
			if !rows && isRecorder(durable) {
				at = 0 // what it had recorded is in no table here
			}
			if err := to.Bus.Rewind(ctx, one.Name, durable, at+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s Set) restoreTables(ctx context.Context, dir string, to Target) (err error) {
	if err := warehouse.Provision(ctx, to.ClickHouse, to.KeepDays); err != nil {
		return err
	}
	w, err := warehouse.Reach(ctx, to.ClickHouse)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for _, t := range s.Tables {
		if err := restorePart(ctx, w, t, filepath.Join(dir, t.File)); err != nil {
			return err
		}
		to.Say("%-14s partition %s", t.Name, t.Partition)
	}
	return nil
}

func restorePart(ctx context.Context, w *warehouse.Warehouse, t Table, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // read only
	z, err := zstd.NewReader(f)
	if err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	defer z.Close()
	return w.Import(ctx, warehouse.Part{Table: t.Name, Partition: t.Partition}, z)
}
