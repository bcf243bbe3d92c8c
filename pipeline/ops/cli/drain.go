package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/text/foreign"
)

const (
	drainAnswersWithin = 2 * time.Second // an instance whose connection is up
	drainLooksEvery    = 200 * time.Millisecond
)

// Drain asks every instance of a daemon to end as SIGTERM does, prints each that has ended, and returns when all have:
// a clean end removes the heartbeat. It fails if none answers, or if ctx ends first.
func Drain(ctx context.Context, b *bus.Bus, daemon string, w io.Writer) error {
	asked := map[string]string{} // instance by key of its heartbeat
	for _, raw := range b.Drain(ctx, daemon, drainAnswersWithin) {
		var h pipeline.Heartbeat
		if json.Unmarshal(raw, &h) == nil && h.Daemon == daemon {
			asked[h.Plan.Own(daemon+"."+h.Instance)] = h.Instance
		}
	}
	if len(asked) == 0 {
		return fmt.Errorf("no %s that is a process of its own answers; those of ratchet up end with it (Ctrl-C), and ratchet pause stops what they spend", daemon)
	}
	n := len(asked)
	for len(asked) > 0 {
		if err := process.Sleep(ctx, drainLooksEvery); err != nil {
			return fmt.Errorf("%d of %d have not ended: %s; each finishes the step that it is in, so ask again, or see ratchet status", len(asked), n, list(asked))
		}
		left, err := beating(ctx, b)
		if err != nil {
			continue // asked again until ctx ends
		}
		for key, instance := range asked {
			if left[key] {
				continue
			}
			delete(asked, key)
			if _, err := fmt.Fprintf(w, "%s %s has ended\n", daemon, foreign.Of(instance)); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(w, "Nothing is lost: what waits for the %s waits until one is started. A supervisor that restarts whatever ends has started it again.\n", daemon)
	return err
}

// beating returns the keys of all heartbeats.
func beating(ctx context.Context, b *bus.Bus) (map[string]bool, error) {
	kv, err := b.Store(ctx, pipeline.BucketStatus)
	if err != nil {
		return nil, err
	}
	keys, err := bus.Keys(ctx, kv)
	out := map[string]bool{}
	for _, key := range keys {
		out[key] = true
	}
	return out, err
}

func list(of map[string]string) string {
	var out []string
	for _, instance := range of {
		out = append(out, foreign.Of(instance).String())
	}
	return strings.Join(out, ", ")
}
