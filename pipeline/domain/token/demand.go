package token

import (
	"maps"
	"time"

	"ratchet/pipeline"
)

// Backlog counts the messages that wait in the durables of a stage, or in one of them.
type Backlog struct {
	Pending   int // never delivered
	Unsettled int // delivered and not acknowledged
}

// orphanedAfter is how long delivered work may be in no open claim before it counts as waiting. For a moment that
// is normal: a worker closes its claim before it acknowledges the work.
const orphanedAfter = time.Second

// onDemandRead records what waits: pending work, work of a dead worker, and due polls. Work in an open claim does not
// count, because the claim holds its tokens. A stage whose kind of call is stopped gets nothing, and the others
// share its part.
func (i Issuer) onDemandRead(e DemandRead, m Moment) Issuer {
	i = i.polled(e.Polls, m.Now)
	steps := map[pipeline.Stage]int{}
	orphaned := map[pipeline.Stage]time.Time{}
	for stage, b := range e.Backlogs {
		since := i.orphaned[stage]
		steps[stage], since = b.waiting(i.items(stage), since, m.Machine)
		if !since.IsZero() {
			orphaned[stage] = since
		}
	}
	steps[pipeline.StageWatermarker] = max(0, e.due(m.Now)-len(i.Grants[pipeline.StageWatermarker].Open))
	i.orphaned, i.Demand = orphaned, map[pipeline.Stage]Demand{}
	for stage, n := range steps {
		g, kind := i.Grants[stage], KindOf(stage)
		if !g.Stopped(kind) {
			i.Demand[stage] = Demand{Tokens: n * g.Ceiling(kind), Step: g.Ceiling(kind)}
		}
	}
	return i
}

// due returns how many queries want a page now.
func (e DemandRead) due(now time.Time) int {
	n := 0
	for _, at := range e.Polls {
		if !at.After(now) {
			n++
		}
	}
	return n
}

// polled records when the next poll becomes due.
func (i Issuer) polled(polls []time.Time, now time.Time) Issuer {
	i.NextPoll = time.Time{}
	for _, at := range polls {
		if at.After(now) && (i.NextPoll.IsZero() || at.Before(i.NextPoll)) {
			i.NextPoll = at
		}
	}
	return i
}

// items returns how many products the open claims of a stage are for.
func (i Issuer) items(stage pipeline.Stage) int {
	n := 0
	for _, h := range i.Grants[stage].Open {
		if h.Kind == KindOf(stage) {
			n += max(1, h.Items)
		}
	}
	return n
}

// waiting returns how many items no claim holds tokens for, and since when more is
// unsettled than claims explain. An item that was delivered and is in no claim belongs to
// a worker between close and ack, or to a dead one; only time distinguishes them.
func (b Backlog) waiting(claimed int, since, machine time.Time) (int, time.Time) {
	surplus := b.Unsettled - claimed
	if surplus <= 0 {
		return max(0, b.Pending+surplus), time.Time{}
	}
	if since.IsZero() {
		since = machine
	}
	if machine.Sub(since) < orphanedAfter {
		return b.Pending, since
	}
	return b.Pending + surplus, since
}

// applyPolicy returns the issuer in the phase that the policy chooses.
func (i Issuer) applyPolicy(now time.Time) Issuer {
	before := i.Phase
	i.Phase = i.Rules.Choose().Next(before, View{Bucket: i.Bucket, Claimed: i.Claimed(), Waiting: i.Waiting()}, now)
	if before.Mode == Recharge && i.Phase.EndedBy == "deadline" && i.Phase.Mode == Burst {
		i.question.wanted = true // the balance is lower than projected
	}
	return i
}

// revokeExcess takes back credit that is not needed or not covered by the balance.
func (i Issuer) revokeExcess(now time.Time) []Effect {
	shares, p := i.effectiveShares(), i.PlanInput
	p.Grants = maps.Clone(p.Grants) // what is taken from one stage is free for the next
	var out []Effect
	for _, stage := range pipeline.Stages() {
		g := p.Grants[stage]
		keep := shares.Keep(p, stage, i.spends(), now)
		if g.Credit() <= keep {
			continue
		}
		c := Revoke{Epoch: i.Epoch, From: g.Issued, Keep: keep}
		out = append(out, Swap{Stage: stage, Change: c})
		p.Grants[stage], _, _ = c.Apply(g)
	}
	return out
}

// spends reports whether anything may be issued.
func (i Issuer) spends() bool { return i.Wish == Run && i.Phase.Mode == Burst }

// spend plans what is issued now.
func (i Issuer) spend(now time.Time) (Issuer, []Effect) {
	if !i.spends() {
		i.Saving, i.Need = "", 0
		return i, nil
	}
	i = i.reopenDiscovery(now)
	shares := i.effectiveShares()
	i.Base = maps.Clone(i.Base)
	for _, stage := range pipeline.Stages() {
		if i.Demand[stage].Tokens == 0 && i.Grants[stage].Held() == 0 {
			i.Base[stage] = shares.Level(i.PlanInput, stage)
		}
	}
	plan, wait, need := shares.Plan(i.PlanInput, now)
	i.Saving, i.Need = wait, need
	var out []Effect
	for _, stage := range pipeline.Stages() {
		if q := plan[stage]; q > 0 {
			out = append(out, Swap{Stage: stage, Change: Issue{Epoch: i.Epoch, From: i.Grants[stage].Issued, Tokens: q}})
		}
	}
	return i, out
}
