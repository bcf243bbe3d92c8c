package warehouse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline/platform/process"
	"ratchet/schemas"
)

// ErrOldSchema means that the database lacks tables of this build.
var ErrOldSchema = errors.New("its tables are older than this build: `ratchet topology apply` migrates them")

// Provision creates the database if it is missing, and brings its tables and their retention to
// this build. It needs the rights of a migrator; readers and writers call Reach and Current.
func Provision(ctx context.Context, rawURL string, days int) error {
	connecting, connected := context.WithTimeout(ctx, openWithin)
	w, err := Open(connecting, rawURL)
	connected()
	if err != nil {
		return &unopened{err}
	}
	if err = w.Migrate(ctx); err != nil {
		err = fmt.Errorf("migrate: %w", err)
	} else {
		err = w.Keep(ctx, days)
	}
	return errors.Join(err, w.Close())
}

const (
	openWithin     = 30 * time.Second // to connect
	provisionAgain = 2 * time.Second  // after a server has not answered
)

// unopened wraps the error of a server that could not be reached: nothing has been sent to it yet.
type unopened struct{ error }

func (u *unopened) Unwrap() error { return u.error }

// ProvisionWhenUp is Provision for a server that may still be starting; then it calls waiting once.
func ProvisionWhenUp(ctx context.Context, rawURL string, days int, waiting func(error)) error {
	for waits := false; ; {
		err := Provision(ctx, rawURL, days)
		var away *unopened
		var usage *process.UsageError
		if !errors.As(err, &away) || errors.As(err, &usage) || code(err) != codeNone {
			return err
		}
		if !waits {
			waits = true
			waiting(err)
		}
		if process.Sleep(ctx, provisionAgain) != nil {
			return errors.Join(ctx.Err(), err)
		}
	}
}

// Current returns ErrOldSchema if a table of this build is missing. It writes nothing.
func (w *Warehouse) Current(ctx context.Context) error {
	all, err := migrations(schemas.ClickHouse)
	if err != nil {
		return err
	}
	applied, err := w.applied(ctx)
	if Classify(err) == NoSchema {
		return fmt.Errorf("database %s: %w", w.database, ErrOldSchema)
	}
	if err != nil {
		return err
	}
	last := all[len(all)-1]
	for name := range applied {
		if name > last.name {
			return fmt.Errorf("database %s has migration %s, which this build does not know: a newer build made it; run that one, or let CLICKHOUSE_URL name another database", w.database, name)
		}
	}
	if applied[last.name] != last.checksum {
		return fmt.Errorf("database %s: %w", w.database, ErrOldSchema)
	}
	return nil
}

// CheckDays validates a number of days.
func CheckDays(days int) error {
	if days < 1 || days > 36500 {
		return process.Usagef("RECORDER_KEEP_DAYS: want 1 to 36500, got %d", days)
	}
	return nil
}
