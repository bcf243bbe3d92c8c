package process

import (
	"context"

	"github.com/sethvargo/go-envconfig"
)

// Load reads and validates a daemon's configuration. A wrong value is a UsageError that names the variable.
func Load[C interface{ Validate() error }](ctx context.Context, lookup envconfig.Lookuper) (C, error) {
	var c C
	var failed error
	from := &naming{Lookuper: withFiles{Lookuper: lookup, failed: &failed}}
	if err := envconfig.ProcessWith(ctx, &envconfig.Config{Target: &c, Lookuper: from}); err != nil {
		return c, Usagef("%s: %w", from.last, err)
	}
	if failed != nil {
		return c, &UsageError{Err: failed}
	}
	if err := c.Validate(); err != nil {
		return c, &UsageError{Err: err}
	}
	return c, nil
}

// naming remembers the last variable that was looked up, because the error for an invalid value names only the field.
type naming struct {
	envconfig.Lookuper
	last string
}

// Lookup implements envconfig.Lookuper.
func (n *naming) Lookup(key string) (string, bool) {
	n.last = key
	return n.Lookuper.Lookup(key)
}
