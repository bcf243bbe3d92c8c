package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

// errConflict means that another process applied something at the same time.
var errConflict = errors.New("others were applied at the same time; check the history and repeat the command")

// kind is what operators apply in versions, each kind under a key of CONFIG.
type kind[T any] struct {
	what, key string
	version   func(*T) *int
	sign      func(v *T, by string, at time.Time)
	name      func(T) string
	check     func(context.Context, *bus.Bus, T, Status) error // why v cannot be applied
}

var appliedRules = kind[pipeline.AppliedRules]{
	what: "rules", key: pipeline.KeyRules, check: checkRules,
	version: func(v *pipeline.AppliedRules) *int { return &v.Version },
	sign:    func(v *pipeline.AppliedRules, by string, at time.Time) { v.By, v.At = by, at },
	name:    func(v pipeline.AppliedRules) string { return "rule set " + cmp.Or(v.RuleSet, "as started") },
}

var appliedQueries = kind[pipeline.AppliedQueries]{
	what: "queries", key: pipeline.KeyQueries, check: checkQueries,
	version: func(v *pipeline.AppliedQueries) *int { return &v.Version },
	sign:    func(v *pipeline.AppliedQueries, by string, at time.Time) { v.By, v.At = by, at },
	name:    func(v pipeline.AppliedQueries) string { return cmp.Or(strings.Join(QueryIDs(v), ", "), "as started") },
}

// AppliedRules returns the versions of the applied rules, the oldest first. Unreadable ones are skipped.
func AppliedRules(ctx context.Context, b *bus.Bus) ([]pipeline.AppliedRules, error) {
	return versions(ctx, b, appliedRules)
}

// ApplyRules applies rules unchecked under the next version, and returns what is stored.
func ApplyRules(ctx context.Context, b *bus.Bus, v pipeline.AppliedRules) (pipeline.AppliedRules, error) {
	return apply(ctx, b, appliedRules, v)
}

// AppliedQueries returns the versions of the applied queries, the oldest first. Unreadable ones are skipped.
func AppliedQueries(ctx context.Context, b *bus.Bus) ([]pipeline.AppliedQueries, error) {
	return versions(ctx, b, appliedQueries)
}

// ApplyQueries applies queries unchecked under the next version, and returns what is stored.
func ApplyQueries(ctx context.Context, b *bus.Bus, v pipeline.AppliedQueries) (pipeline.AppliedQueries, error) {
	return apply(ctx, b, appliedQueries, v)
}

// versions returns the versions of a kind, the oldest first. Unreadable ones are skipped.
func versions[T any](ctx context.Context, b *bus.Bus, k kind[T]) ([]T, error) {
	var all []T
	from := bus.From{Subjects: []string{pipeline.KeySubject(pipeline.BucketConfig, b.Own(k.key))}}
	err := bus.ScanJSON(ctx, b, pipeline.BucketStream(pipeline.BucketConfig), from, func(_ bus.Read, a T) error {
		if *k.version(&a) > 0 {
			all = append(all, a)
		}
		return nil
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("%w; no daemon of this build has run on this NATS: start one with `ratchet up`, or run `ratchet topology apply`", err)
	}
	return all, err
}

// apply writes the next version of a kind, and returns what is stored.
func apply[T any](ctx context.Context, b *bus.Bus, k kind[T], a T) (T, error) {
	kv, err := b.Store(ctx, pipeline.BucketConfig)
	if err != nil {
		return a, fmt.Errorf("%w; start the pipeline with `ratchet up`, or run `ratchet topology apply`", err)
	}
	cell := bus.NewCell(kv, b.Own(k.key))
	_, rev, err := cell.Read(ctx)
	if err != nil {
		return a, err
	}
	all, err := versions(ctx, b, k)
	if err != nil {
		return a, err
	}
	next := 1
	for i := range all {
		next = max(next, *k.version(&all[i])+1)
	}
	*k.version(&a) = next
	body, err := json.Marshal(a)
	if err != nil {
		return a, err
	}
	if _, err = cell.Swap(ctx, rev, body); errors.Is(err, bus.ErrConflict) {
		err = errConflict
	}
	return a, err
}
