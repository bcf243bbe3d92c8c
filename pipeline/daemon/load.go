package daemon

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/sethvargo/go-envconfig"
)

// Load reads a daemon's configuration and validates it. What is wrong is a UsageError
// that names the variable.
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

// naming remembers which variable was asked for last: the one that cannot be read, whose
// error names the field alone.
type naming struct {
	envconfig.Lookuper
	last string
}

// Lookup implements envconfig.Lookuper.
func (n *naming) Lookup(key string) (string, bool) {
	n.last = key
	return n.Lookuper.Lookup(key)
}

// secrets are the variables that NAME_FILE may stand for: it names a file that holds the value.
var secrets = []string{"KEEPA_API_KEY", "NATS_PASSWORD", "CLICKHOUSE_PASSWORD"}

// Find is a secret from its variable or from the file that NAME_FILE names; false where neither is set. A variable that
// is set and empty is an error: nobody means that.
func Find(lookup envconfig.Lookuper, name string) (Secret, bool, error) {
	var failed error
	value, ok := withFiles{lookup, &failed}.Lookup(name)
	switch {
	case failed != nil:
		return "", false, &UsageError{Err: failed}
	case ok && value == "":
		return "", false, Usagef("%s is set and empty: set %s, or unset it", name, name)
	}
	return Secret(value), ok, nil
}

// withFiles reads secrets from files as well.
type withFiles struct {
	envconfig.Lookuper
	failed *error
}

// Lookup implements envconfig.Lookuper.
func (f withFiles) Lookup(key string) (string, bool) {
	value, ok := f.Lookuper.Lookup(key)
	if ok || !slices.Contains(secrets, key) {
		return value, ok
	}
	name, ok := f.Lookuper.Lookup(key + "_FILE")
	if !ok || name == "" {
		return "", false
	}
	body, err := os.ReadFile(name)
	if err != nil {
		*f.failed = fmt.Errorf("%s_FILE: %w", key, err)
	}
	return strings.TrimSpace(string(body)), err == nil
}
