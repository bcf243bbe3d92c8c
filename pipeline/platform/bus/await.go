package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline/platform/process"
)

// Open connects a daemon and waits until the topology exists. If env only
// checks, it then returns process.ErrChecked and has written nothing.
func Open(ctx context.Context, cfg Config, env process.Env, name string) (*Bus, error) {
	if cfg.Wait > 0 {
		bounded, cancel := context.WithTimeoutCause(ctx, cfg.Wait, fmt.Errorf("gave up after NATS_WAIT=%s", cfg.Wait))
		defer cancel()
		ctx = bounded
	}
	b, err := Connect(ctx, cfg, env, name)
	if err != nil {
		return nil, err
	}
	if err = b.Await(ctx); err == nil && env.Check {
		err = process.ErrChecked
	}
	if err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// awaitPause is the longest interval between two checks for a missing topology.
const awaitPause = 2 * time.Second

// Await waits until everything exists that this build needs, or until ctx ends. It logs one line if
// it has to wait and changes nothing. A topology that this build cannot work with is a usage error.
func (b *Bus) Await(ctx context.Context) error {
	waiting := false
	var lacks error // of the last comparison that came to its end
	for backoff := (process.Backoff{First: 50 * time.Millisecond, Most: awaitPause}); ; {
		bounded, cancel := context.WithTimeout(ctx, 4*ackWithin)
		found, err := b.Differences(bounded)
		cancel()
		if err == nil {
			err = b.judge(found)
			lacks = err
		} else if ctx.Err() != nil && lacks != nil {
			err = lacks
		}
		var usage *process.UsageError
		switch {
		case err == nil && waiting:
			b.Log.Info("the topology is there")
			return nil
		case err == nil, errors.As(err, &usage):
			return err
		case !waiting && ctx.Err() == nil:
			waiting = true
			b.Log.Warn("waiting for the topology; `ratchet topology apply` creates it", "err", err)
		}
		if backoff.Sleep(ctx) != nil {
			return errors.Join(context.Cause(ctx), fmt.Errorf("wait for the topology: %w; `ratchet topology apply` creates it", err))
		}
	}
}

// judge returns nil if a daemon may start with these differences, a
// usage error if it never can, and any other error if it must wait.
func (b *Bus) judge(found []Difference) error {
	if wrong := ofSeverity(found, Incompatible); len(wrong) > 0 {
		return process.Usagef("the topology is not one that this build works with: %s; `ratchet topology diff` shows all, `ratchet topology apply` changes what can be changed", lines(wrong))
	}
	if missing := ofSeverity(found, Missing); len(missing) > 0 {
		return errors.New(lines(missing))
	}
	if other := ofSeverity(found, Tolerable); len(other) > 0 {
		b.Log.Warn("the topology differs from this configuration; `ratchet topology diff` shows how", "differences", lines(other))
	}
	return nil
}

func ofSeverity(found []Difference, sev Severity) []Difference {
	return slices.DeleteFunc(slices.Clone(found), func(d Difference) bool { return d.Severity != sev })
}

// lines names the first few differences.
func lines(ds []Difference) string {
	const most = 4
	var out []string
	for i, d := range ds {
		if i == most {
			out = append(out, fmt.Sprintf("%d more", len(ds)-most))
			break
		}
		out = append(out, d.String())
	}
	return strings.Join(out, "; ")
}
