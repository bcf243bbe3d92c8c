package cli

import (
	"context"
	"fmt"
	"os"
	"os/user"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// Applied is a version that is current now.
type Applied[T any] struct {
	Is      T
	Version int
	Name    string // the rule set, or the queries
	Already bool   // it was current before
	Before  Status // the status before
}

// ApplyNextRules makes the rules that next derives from the versions so far the next version, unless they are current
// already: then next returns that version.
func ApplyNextRules(ctx context.Context, b *bus.Bus, next func(all []pipeline.AppliedRules) (pipeline.AppliedRules, error)) (Applied[pipeline.AppliedRules], error) {
	return applyNext(ctx, b, appliedRules, next)
}

// ApplyNextQueries is ApplyNextRules for queries.
func ApplyNextQueries(ctx context.Context, b *bus.Bus, next func(all []pipeline.AppliedQueries) (pipeline.AppliedQueries, error)) (Applied[pipeline.AppliedQueries], error) {
	return applyNext(ctx, b, appliedQueries, next)
}

func applyNext[T any](ctx context.Context, b *bus.Bus, k kind[T], next func([]T) (T, error)) (a Applied[T], err error) {
	all, err := versions(ctx, b, k)
	if err != nil {
		return a, err
	}
	if a.Is, err = next(all); err != nil {
		return a, err
	}
	if a.Before, err = ReadStatus(ctx, b); err != nil {
		return a, err
	}
	a.Name = k.name(a.Is)
	if a.Version = *k.version(&a.Is); a.Version > 0 {
		a.Already = true
		return a, nil
	}
	if err := k.check(ctx, b, a.Is, a.Before); err != nil {
		return a, err
	}
	k.sign(&a.Is, operator(), a.Before.At)
	if a.Is, err = apply(ctx, b, k, a.Is); err != nil {
		return a, fmt.Errorf("apply the %s: %w", k.what, err)
	}
	a.Version = *k.version(&a.Is)
	return a, nil
}

// checkRules refuses rules for a marketplace of which no list is read.
func checkRules(_ context.Context, _ *bus.Bus, v pipeline.AppliedRules, s Status) error {
	if v.Rules == "" || len(s.Watermarks) == 0 {
		return nil
	}
	j, err := verdict.NewJudge([]byte(v.Rules))
	if err != nil {
		return fmt.Errorf("these rules do not load in this build: %w", err)
	}
	d := j.Settings().Domain()
	for key, m := range s.Watermarks {
		if !m.NextPoll.IsZero() && strings.HasPrefix(key, fmt.Sprintf("%d.", d)) {
			return nil
		}
	}
	return process.Usagef("settings.marketplace: the rules are for amazon.%s, and no list of it is read; start with a query for amazon.%s, or set the marketplace that is read",
		d.Suffix(), d.Suffix())
}

// checkQueries refuses queries of another plan's marketplaces, and those that the current rules do not support. If no
// daemon reports the rules, the watermarker refuses.
func checkQueries(ctx context.Context, b *bus.Bus, v pipeline.AppliedQueries, _ Status) error {
	queries, err := verdict.Queries(v)
	if err != nil {
		return fmt.Errorf("version %d does not load in this build: %w", *v.Reverts, err)
	}
	for _, q := range queries {
		if err := b.Route(int(q.Domain)); err != nil {
			return process.Usagef("%s: %w", q.ID(), err)
		}
	}
	all, err := AppliedRules(ctx, b)
	if err != nil {
		return err
	}
	var live pipeline.AppliedRules
	if n := len(all); n > 0 {
		live = all[n-1]
	}
	rules := RulesText(ctx, b, live)
	if rules == nil {
		return nil
	}
	judge, err := verdict.NewJudge(rules)
	if err != nil {
		return fmt.Errorf("the current rules do not load in this build: %w", err)
	}
	for _, q := range queries {
		if err := judge.Serves(q.Selection); err != nil {
			return process.Usagef("%s: %w", q.ID(), err)
		}
	}
	return nil
}

// operator returns the user of this process, as user@host.
func operator() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return strings.ToValidUTF8(name+"@"+host, "?")
}

// RulesText returns the rule file of a version; nil if it is the daemons' own and no daemon reports it.
func RulesText(ctx context.Context, b *bus.Bus, v pipeline.AppliedRules) []byte {
	if v.Rules != "" {
		return []byte(v.Rules)
	}
	return OwnRules(ctx, b)
}

// rejectsWithin is how far back what was rejected is decided again.
const rejectsWithin = 7 * 24 * time.Hour

// Reconsider decides again what was rejected in the week before a version was applied, by its rules.
func Reconsider(ctx context.Context, b *bus.Bus, v pipeline.AppliedRules, rules []byte, progress func(replay.Step)) (replay.Reconsidered, error) {
	return replay.Rejects(ctx, b, rules, v.Version, v.At.Add(-rejectsWithin), progress)
}
