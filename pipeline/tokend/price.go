package tokend

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/token"
)

// ceilings writes the operator's worst prices into the grants, where workers read
// them as they claim.
func (t *tokend) ceilings(ctx context.Context) error {
	for _, stage := range pipeline.Stages() {
		if maps.Equal(t.grants[stage].Ceilings, t.rules.Ceilings) {
			continue
		}
		g, err := bus.Change(ctx, t.cell(stage), func(g token.Grant) (token.Grant, bool, error) {
			if g.Epoch != t.epoch {
				return g, false, token.ErrEpoch
			}
			g.Ceilings = t.rules.Ceilings
			return g, true, nil
		})
		if err != nil {
			return fmt.Errorf("write the ceilings of %s: %w", stage, err)
		}
		t.hear(t.grants[stage], g, t.env.Now())
		t.grants[stage] = g
	}
	return nil
}

// alarm tells of every kind that is stopped because a call cost more than its
// ceiling: a line in the ledger and in the log, once, and a note for as long as it
// lasts.
func (t *tokend) alarm(ctx context.Context) error {
	var notes []string
	for _, stage := range pipeline.Stages() {
		g := t.grants[stage]
		for _, kind := range slices.Sorted(maps.Keys(g.Learned)) {
			if !g.Stopped(kind) {
				continue
			}
			broke := g.Learned[kind].Broke
			note := fmt.Sprintf("%s is stopped: a call cost %d tokens for one, the ceiling is %d; raise it with `nats kv put TOKENS policy '{\"ceilings\":{%q:%d}}'`",
				kind, broke, g.Ceiling(kind), kind, broke)
			notes = append(notes, note)
			if t.alarmed[kind] == broke {
				continue
			}
			e := pipeline.Entry{Event: pipeline.EventMode, Stage: stage, PriceKind: kind, Tokens: broke, Note: note}
			if err := t.entry(ctx, e, fmt.Sprintf("ceiling:%s:%s:%d:%d", stage, kind, broke, g.Ceiling(kind))); err != nil {
				return err
			}
			t.env.Log.Error("a call broke its ceiling, its kind is stopped", "kind", kind, "tokens", broke, "ceiling", g.Ceiling(kind))
			t.alarmed[kind] = broke
		}
	}
	t.stopped = strings.Join(notes, "; ")
	return nil
}
