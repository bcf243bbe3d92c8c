package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/replay"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/text/foreign"
)

// decidingDaemons returns the daemons that use applied rules.
func decidingDaemons() []string { return []string{"watermarker", "peeker", "committer"} }

// takenWithin is how long the daemons have to take what was applied. A round of asking takes askedEvery at first and
// twice as long each time, up to askedAtMost: under load an answer takes longer.
const (
	takenWithin = 5 * time.Second
	askedEvery  = 60 * time.Millisecond
	askedAtMost = time.Second
)

// Silent is the state of a daemon that has a heartbeat and does not answer: it died within two minutes, or hangs.
const Silent = "silent"

// Living returns the current heartbeat of every daemon; one that has a heartbeat and does not answer is Silent.
func Living(ctx context.Context, b *bus.Bus) []pipeline.Heartbeat {
	each := func(pipeline.Heartbeat) bool { return true }
	return await(ctx, b, append(expected(), notifierName), each, func(h pipeline.Heartbeat) bool { return h.State != Silent })
}

// AwaitRules waits until every daemon has taken or refused a version, so that nothing that the earlier rules decided
// is published any more. It returns the heartbeats; of a daemon that has not answered, the last one.
func AwaitRules(ctx context.Context, b *bus.Bus, version int) []pipeline.Heartbeat {
	has := func(h pipeline.Heartbeat) bool { return h.Rules != nil && h.Plan == b.Plan() }
	return await(ctx, b, decidingDaemons(), has, func(h pipeline.Heartbeat) bool { return h.Rules.Version >= version || h.Rules.Refused != "" })
}

// OwnRules returns the own rule file of the committers; nil if none answers, or they differ.
func OwnRules(ctx context.Context, b *bus.Bus) []byte {
	ctx, cancel := context.WithTimeout(ctx, takenWithin)
	defer cancel()
	own := map[string]bool{}
	for round := answerWithin; ctx.Err() == nil && len(own) == 0; round = min(2*round, askedAtMost) {
		for _, raw := range b.AskAllFor(ctx, []string{"committer"}, pipeline.AskOwn, round) {
			var h pipeline.Heartbeat
			if json.Unmarshal(raw, &h) == nil && h.Rules != nil && h.Plan == b.Plan() {
				own[h.Rules.Own] = true // empty: of a build that does not report it
			}
		}
	}
	for text := range own {
		if len(own) == 1 && text != "" {
			return []byte(text)
		}
	}
	return nil
}

// await asks daemons until all that report the version have taken it, and returns their heartbeats.
func await(ctx context.Context, b *bus.Bus, daemons []string, has, taken func(pipeline.Heartbeat) bool) []pipeline.Heartbeat {
	ctx, cancel := context.WithTimeout(ctx, takenWithin)
	defer cancel()
	last := map[string]pipeline.Heartbeat{} // by instance
	keep := func(raw []byte, state string) {
		var h pipeline.Heartbeat
		if json.Unmarshal(raw, &h) == nil && slices.Contains(daemons, h.Daemon) && has(h) {
			h.State = cmp.Or(state, h.State)
			last[h.Daemon+"."+h.Instance] = h
		}
	}
	// A daemon that has a heartbeat may live, although it is slow to answer.
	each(ctx, b, pipeline.BucketStatus, func(_ string, value []byte) { keep(value, Silent) })
	for round := askedEvery; ctx.Err() == nil; round = min(2*round, askedAtMost) {
		for _, raw := range b.AskAll(ctx, daemons, round) {
			keep(raw, "")
		}
		if !slices.ContainsFunc(slices.Collect(maps.Values(last)), func(h pipeline.Heartbeat) bool { return !taken(h) }) && len(last) > 0 {
			break
		}
	}
	return slices.SortedFunc(maps.Values(last), func(a, b pipeline.Heartbeat) int {
		return cmp.Or(cmp.Compare(slices.Index(daemons, a.Daemon), slices.Index(daemons, b.Daemon)), cmp.Compare(a.Instance, b.Instance))
	})
}

// WriteDeciders prints which daemons do not use the applied rules, and why.
func WriteDeciders(w io.Writer, version int, beats []pipeline.Heartbeat) {
	if len(beats) == 0 {
		fmt.Fprintln(w, "No daemon answers; each takes these rules when it starts.")
	}
	for _, h := range beats {
		switch {
		case h.Rules.Refused != "":
			fmt.Fprintf(w, "The %s refuses them and decides by version %d: %s\n", h.Daemon, h.Rules.Version, foreign.Of(h.Rules.Refused))
		case h.Rules.Version < version && h.State == Silent:
			fmt.Fprintf(w, "The %s %s does not answer; if it lives it may still decide by version %d.\n", h.Daemon, foreign.Of(h.Instance), h.Rules.Version)
		case h.Rules.Version < version:
			fmt.Fprintf(w, "The %s still decides by version %d; `ratchet status` shows when it has changed.\n", h.Daemon, h.Rules.Version)
		}
	}
}

// WriteHistory prints the versions, the newest first.
func WriteHistory(w io.Writer, all []pipeline.AppliedRules) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "No rules were applied: the daemons decide by RULES, or by the built-in rules.")
		return err
	}
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("VERSION\tRULE SET\tAPPLIED AT (UTC)\tBY\tWHAT\t\n")
	for i, a := range slices.Backward(all) {
		live := ""
		if i == len(all)-1 {
			live = "current"
		}
		p.f("%d\t%s\t%s\t%s\t%s\t%s\n", a.Version, orDash(a.RuleSet), a.At.UTC().Format(time.DateTime), foreign.Of(a.By), what(a), live)
	}
	return p.flush()
}

// what returns where rules came from.
func what(a pipeline.AppliedRules) string {
	switch {
	case a.Reverts != nil && *a.Reverts > 0:
		return fmt.Sprintf("version %d again", *a.Reverts)
	case a.Rules == "":
		return "none: RULES or the built-in rules"
	}
	return foreign.Of(a.File).String()
}

// WriteRedecided prints the effect of other rules on the stored deals.
func WriteRedecided(w io.Writer, r replay.Redecided) error {
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("Decided again: %d stored deals, for 0 tokens.\n", r.Deals)
	row := func(n int, text string, always bool) {
		if n > 0 || always {
			p.f("  %d\t%s\n", n, text)
		}
	}
	row(r.Hidden, "hidden now"+because(r.Reasons), true)
	row(r.Offered, "offered again", true)
	row(r.Recalculated, "visible as before, with the numbers of the new settings", false)
	row(r.Kept, "as before", true)
	row(r.Other, "not decided by these rules: a later look hid them, or they belong to another marketplace", false)
	row(r.Gone, "unchanged: their answers are no longer stored", false)
	return p.flush()
}

// WriteReconsidered prints the effect of other rules on the rejections.
func WriteReconsidered(w io.Writer, r replay.Reconsidered) error {
	p := &lines{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	p.f("Decided again: %d rejections of the last week, for 0 tokens.\n", r.Rejected)
	p.f("  %d\tstill rejected\n", r.Still)
	p.f("  %d\tpass now: %d offered to the pipeline, which decides them by stored or paid looks\n", r.Passes, r.Offered)
	if n := r.Passes - r.Offered; n > 0 {
		p.f("  %d\tof these not offered: decided otherwise since, or the price is gone\n", n)
	}
	if r.Lost > 0 {
		p.f("  %d\tnot decided: their evidence is no longer stored, or unreadable\n", r.Lost)
	}
	return p.flush()
}

func because(reasons map[string]int) string {
	if len(reasons) == 0 {
		return ""
	}
	return ": " + Because(reasons)
}

// Because are reasons and how often each was given.
func Because(reasons map[string]int) string {
	var all []string
	for reason, n := range reasons {
		all = append(all, fmt.Sprintf("%s %d", reason, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// Rules are the current rules in the status.
type Rules struct {
	Version int       `json:"version"` // 0: none applied
	RuleSet string    `json:"rule_set"`
	From    string    `json:"from"` // the applied file, or the source of the daemons' own rules
	By      string    `json:"by,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

// readRules reads the applied rules.
func (s *Status) readRules(ctx context.Context, b *bus.Bus) {
	r := Rules{From: "RULES or built in"}
	if kv, err := b.Store(ctx, pipeline.BucketConfig); err == nil {
		var a pipeline.AppliedRules
		if s.decode(ctx, kv, b.Own(pipeline.KeyRules), &a) {
			r.Version, r.By, r.At, r.From, r.RuleSet = a.Version, a.By, a.At, what(a), a.RuleSet
		}
	}
	s.Rules = &r
}

// addRules adds the rule set of the committer if none is applied.
func (s *Status) addRules() {
	if s.Rules == nil {
		return
	}
	for _, h := range s.Daemons {
		if h.Rules != nil && h.Plan == s.plan && h.Daemon == "committer" && s.Rules.RuleSet == "" {
			s.Rules.RuleSet = h.Rules.RuleSet
		}
	}
	if s.Rules.Version == 0 && s.Rules.RuleSet == "" {
		s.Rules = nil
	}
}

// writeRules prints the current rules, and the daemons that use others.
func (s Status) writeRules(p *lines) {
	if s.Rules == nil {
		return
	}
	r := s.Rules
	if r.Version == 0 {
		p.f("\nRules: %s, as started: those of --rules or RULES, or the built-in ones.\n", r.RuleSet)
	} else {
		p.f("\nRules: version %d (%s), %s, applied %s by %s.\n", r.Version, orDash(r.RuleSet), r.From, Ago(s.At, r.At), foreign.Of(r.By))
	}
	for _, h := range s.Daemons {
		if h.Rules != nil && h.Plan == s.plan && h.Rules.Refused == "" && h.Rules.Version != r.Version {
			p.f("  the %s decides by version %d (%s)\n", h.Daemon, h.Rules.Version, h.Rules.RuleSet)
		}
	}
}
