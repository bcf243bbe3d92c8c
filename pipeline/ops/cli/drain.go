package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/text/foreign"
)

const (
	drainAnswersWithin = 2 * time.Second
	drainLooksEvery    = 200 * time.Millisecond
)

// Drain asks every instance of a daemon to end as SIGTERM does, of one plan or, if that is "", of all. It prints each
// that has ended, and returns when all have: a clean end removes the heartbeat. It fails if an instance does not
// answer, or if ctx ends first.
func Drain(ctx context.Context, b *bus.Bus, daemon, plan string, w io.Writer) error {
	kv, err := b.Store(ctx, pipeline.BucketStatus)
	if err != nil {
		return err
	}
	silent, err := instances(ctx, kv, daemon, plan)
	if err != nil {
		return fmt.Errorf("read the heartbeats: %w", err)
	}
	left := map[string]pipeline.Heartbeat{} // by the key of its heartbeat
	for _, raw := range b.Drain(ctx, daemon, plan, drainAnswersWithin) {
		var h pipeline.Heartbeat
		if json.Unmarshal(raw, &h) == nil && h.Daemon == daemon {
			left[h.Key()] = h
			delete(silent, h.Key())
		}
	}
	if len(left) == 0 {
		return fmt.Errorf("no standalone %s answered; those inside `ratchet up` end with it (Ctrl-C), and `ratchet pause` stops their spending", daemon)
	}
	for n := len(left); len(left) > 0; {
		for key, h := range left {
			if !gone(ctx, kv, key, h) {
				continue
			}
			delete(left, key)
			if _, err := fmt.Fprintf(w, "%s %s has ended\n", daemon, foreign.Of(h.Instance)); err != nil {
				return err
			}
		}
		if err := process.Sleep(ctx, drainLooksEvery); err != nil && len(left) > 0 {
			return fmt.Errorf("%d of %d have not ended: %s; each finishes its step, so ask again, or see `ratchet status`", len(left), n, list(left))
		}
	}
	if len(silent) > 0 {
		return fmt.Errorf("%d did not answer and may still work: %s; see `ratchet status`", len(silent), list(silent))
	}
	_, err = fmt.Fprintf(w, "No work in progress is lost: it waits until a %s is started. A supervisor that restarts whatever ends has started it again.\n", daemon)
	return err
}

// instances returns the instances of a daemon that have a heartbeat, by its key.
func instances(ctx context.Context, kv jetstream.KeyValue, daemon, plan string) (map[string]pipeline.Heartbeat, error) {
	keys, err := bus.Keys(ctx, kv)
	if err != nil {
		return nil, err
	}
	out := map[string]pipeline.Heartbeat{}
	for _, key := range keys {
		e, err := kv.Get(ctx, key)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var h pipeline.Heartbeat
		if json.Unmarshal(e.Value(), &h) == nil && h.Daemon == daemon && (plan == "" || plan == h.Plan.String()) {
			out[key] = h
		}
	}
	return out, nil
}

// gone reports whether an instance has ended: its heartbeat was removed, or is that of a successor with the same key,
// as in a restarted container.
func gone(ctx context.Context, kv jetstream.KeyValue, key string, was pipeline.Heartbeat) bool {
	e, err := kv.Get(ctx, key)
	if err != nil {
		return errors.Is(err, jetstream.ErrKeyNotFound)
	}
	var now pipeline.Heartbeat
	return json.Unmarshal(e.Value(), &now) == nil && !now.StartedAt.Equal(was.StartedAt)
}

func list(of map[string]pipeline.Heartbeat) string {
	var out []string
	for _, key := range slices.Sorted(maps.Keys(of)) {
		out = append(out, foreign.Of(of[key].Instance).String())
	}
	return strings.Join(out, ", ")
}
