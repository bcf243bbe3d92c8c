package token

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"ratchet/pipeline"
)

// onWishRead applies the operator's mode and policy. An invalid value is refused as a
// whole: the last valid one stays in force, and the status gives the reason.
func (i Issuer) onWishRead(e WishRead) (Issuer, []Effect) {
	var refused []string
	wish, err := ParseWish(e.Mode)
	if err != nil {
		refused = append(refused, fmt.Sprintf("%s; %s holds", err, i.Wish))
		wish = i.Wish
	}
	rules, err := ParseRules(e.Policy)
	if err == nil {
		err = rules.Check(i.Bucket)
	}
	if err != nil {
		refused = append(refused, err.Error())
		rules = i.Rules.reachable(i.Bucket) // the plan may have changed since
	}
	i.Wish, i.Rules = wish, rules
	i.Floor = i.Reserve
	if rules.Floor != nil {
		i.Floor = *rules.Floor
	}
	var out []Effect
	why := strings.Join(refused, "; ")
	if why != "" && why != i.Refused {
		out = append(out, Warn{Text: "mode or policy is invalid, the last valid one stays in effect", Err: why})
	}
	i.Refused = why
	out = append(out, i.reprice()...)
	i, alarms := i.alarm()
	return i, append(out, alarms...)
}

// reprice writes the operator's worst prices into the grants that have others.
func (i Issuer) reprice() []Effect {
	var out []Effect
	for _, stage := range pipeline.Stages() {
		if !maps.Equal(i.Grants[stage].Ceilings, i.Rules.Ceilings) {
			out = append(out, Swap{Stage: stage, Change: Reprice{Epoch: i.Epoch, Ceilings: i.Rules.Ceilings}})
		}
	}
	return out
}

// alarm names every kind that is stopped because a call cost more than its
// ceiling: a line in the ledger, once, and a note for as long as it lasts.
func (i Issuer) alarm() (Issuer, []Effect) {
	var out []Effect
	i.Stopped = nil
	for _, stage := range pipeline.Stages() {
		g := i.Grants[stage]
		g.Ceilings = i.Rules.Ceilings
		for _, kind := range slices.Sorted(maps.Keys(g.Learned)) {
			if !g.Stopped(kind) {
				continue
			}
			broke := g.Learned[kind].Overran
			note := fmt.Sprintf("%s is stopped: a call cost %d tokens for one, the ceiling is %d; raise it with `nats kv put TOKENS policy '{\"ceilings\":{%q:%d}}'`",
				kind, broke, g.Ceiling(kind), kind, broke)
			i.Stopped = with(i.Stopped, stage, noted(i.Stopped[stage], note))
			if i.alarmed[kind] != broke {
				out = append(out, Append{i.line(
					pipeline.Entry{Event: pipeline.EventMode, Stage: stage, PriceKind: kind, Tokens: broke, Note: note},
					"ceiling:%s:%s:%d:%d", stage, kind, broke, g.Ceiling(kind))})
			}
		}
	}
	return i, out
}

// alarmedOf records that the ledger has the line of an alarm.
func (i Issuer) alarmedOf(e pipeline.Entry) (Issuer, []Effect) {
	i.alarmed = with(i.alarmed, e.PriceKind, e.Tokens)
	return i, []Effect{Warn{Text: "a call broke its ceiling, its kind is stopped", Err: e.Note, Error: true}}
}
