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

// GoLive puts the rules that next makes of the versions so far live as the next version, unless they are in force
// already: then next returns that version.
func GoLive(ctx context.Context, b *bus.Bus, next func(all []pipeline.AppliedRules) (pipeline.AppliedRules, error)) (v pipeline.AppliedRules, already bool, err error) {
	all, err := AppliedRules(ctx, b)
	if err != nil {
		return v, false, err
	}
	if v, err = next(all); err != nil || v.Version > 0 {
		return v, true, err
	}
	s, err := Look(ctx, b)
	if err != nil {
		return v, false, err
	}
	if err := listed(v, s); err != nil {
		return v, false, err
	}
	v.By, v.At = Operator(), s.At
	if v, err = ApplyRules(ctx, b, v); err != nil {
		return v, false, fmt.Errorf("put the rules live: %w", err)
	}
	return v, false, nil
}

// listed refuses rules for a marketplace of which no list is read.
func listed(v pipeline.AppliedRules, s Status) error {
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

// Operator names the user who applies, as user@host.
func Operator() string {
	name, host := "unknown", "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if h, err := os.Hostname(); err == nil {
		host = h
	}
	return strings.ToValidUTF8(name+"@"+host, "?")
}

// RulesText is the rule file of a version; nil where it is the daemons' own and none says which that is.
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
