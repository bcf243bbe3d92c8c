// Package report sums up the streams: what was decided and why, what it
// cost, which deals were found. It is the report for where there is no
// ClickHouse, and the books of a soak. Feeding the same message twice changes
// nothing.
package report

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
)

// Report is the sum of the verdicts and ledger lines fed to it.
type Report struct {
	verdicts map[string]pipeline.Verdict // by Work-Id and look
	booked   map[string]bool             // message ids of counted entries
	final    map[string]pipeline.Verdict // by Work-Id
	spent    map[Spend]Cost
	lost     int
	drift    int
	expired  int
	first    time.Time
	last     time.Time
}

// Spend is what each stage bought.
type Spend struct {
	Plan  pipeline.Plan
	Stage pipeline.Stage
	Kind  pipeline.Kind
}

// Cost is what calls of one kind came to.
type Cost struct {
	Calls  int
	Items  int // ASINs, rows or sellers asked for
	Tokens int
}

// New returns an empty report.
func New() *Report {
	return &Report{
		verdicts: map[string]pipeline.Verdict{}, booked: map[string]bool{},
		final: map[string]pipeline.Verdict{}, spent: map[Spend]Cost{},
	}
}

// Verdict counts a verdict of the work that its Work-Id names.
func (t *Report) Verdict(workID string, v pipeline.Verdict) {
	key := workID + "/" + string(v.Look)
	if _, seen := t.verdicts[key]; seen {
		return
	}
	t.verdicts[key] = v
	if t.first.IsZero() || v.DecidedAt.Before(t.first) {
		t.first = v.DecidedAt
	}
	if v.DecidedAt.After(t.last) {
		t.last = v.DecidedAt
	}
	if v.Outcome.Final() && v.Look != pipeline.LookList { // the state of a stored deal is not a decision
		t.final[workID] = v
	}
}

// Entry counts a line of the ledger, by the id of its message. As in the view spending, what moved no token is not
// counted: a claim that was given back unused is not a call.
func (t *Report) Entry(id string, e pipeline.Entry) {
	if e.Tokens == 0 || t.booked[id] {
		return
	}
	switch e.Event {
	case pipeline.EventClose:
		s := Spend{Plan: e.Plan, Stage: e.Stage, Kind: e.PriceKind}
		c := t.spent[s]
		t.spent[s] = Cost{Calls: c.Calls + 1, Items: c.Items + e.Items, Tokens: c.Tokens + e.Tokens}
	case pipeline.EventLost:
		t.lost += e.Tokens
	case pipeline.EventDrift:
		t.drift += e.Tokens
	case pipeline.EventExpired:
		t.expired += e.Tokens
	case pipeline.EventIssue, pipeline.EventClaim, pipeline.EventMode, pipeline.EventPoll, pipeline.EventSweep,
		pipeline.EventGapOpened, pipeline.EventGapFilled, pipeline.EventGapExpired:
		return
	}
	t.booked[id] = id != "" // what has no id is not known to be a repeat
}

// Looked is how many works a look decided, by outcome.
func (t *Report) Looked(look pipeline.Look) map[pipeline.Outcome]int {
	out := map[pipeline.Outcome]int{}
	for _, v := range t.verdicts {
		if v.Look == look {
			out[v.Outcome]++
		}
	}
	return out
}

// Decided is how many works have a final verdict.
func (t *Report) Decided() int { return len(t.final) }

// Final is the final verdict of every work, by Work-Id.
func (t *Report) Final() map[string]pipeline.Verdict { return maps.Clone(t.final) }

// Found are the deals that were found, the most profitable first: of each the newest accept. A book that was found
// again is the same deal.
func (t *Report) Found() []pipeline.Verdict {
	newest := map[visibility.DealKey]pipeline.Verdict{}
	for _, v := range t.final {
		p := visibility.DealKeyOf(v.Identity)
		if known, again := newest[p]; v.Outcome == pipeline.Accept && (!again || v.DecidedAt.After(known.DecidedAt)) {
			newest[p] = v
		}
	}
	return slices.SortedFunc(maps.Values(newest), byProfit)
}

// Accepted are the verdicts that accepted, the most profitable first.
func (t *Report) Accepted() []pipeline.Verdict {
	var out []pipeline.Verdict
	for _, v := range t.final {
		if v.Outcome == pipeline.Accept {
			out = append(out, v)
		}
	}
	slices.SortFunc(out, byProfit)
	return out
}

func byProfit(a, b pipeline.Verdict) int {
	return cmp.Or(-cmp.Compare(value(a.ProfitCents), value(b.ProfitCents)), cmp.Compare(a.ASIN, b.ASIN))
}

// Reason is how often a look ended for a reason.
type Reason struct {
	Look    pipeline.Look
	Outcome pipeline.Outcome
	Reason  string
	Count   int
}

// Reasons are the reasons for everything that was not accepted, in the order of
// the looks, the most frequent first.
func (t *Report) Reasons() []Reason {
	counts := map[Reason]int{}
	for _, v := range t.final {
		if v.Outcome != pipeline.Accept {
			counts[Reason{Look: v.Look, Outcome: v.Outcome, Reason: v.Reason}]++
		}
	}
	out := make([]Reason, 0, len(counts))
	for r, n := range counts {
		r.Count = n
		out = append(out, r)
	}
	order := []pipeline.Look{pipeline.LookList, pipeline.LookGlance, pipeline.LookPeek, pipeline.LookCommit}
	slices.SortFunc(out, func(a, b Reason) int {
		return cmp.Or(
			cmp.Compare(slices.Index(order, a.Look), slices.Index(order, b.Look)),
			-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// Spent is what each stage paid for each kind, in the order of the stages.
func (t *Report) Spent() []struct {
	Spend
	Cost
} {
	type line = struct {
		Spend
		Cost
	}
	var out []line
	for s, c := range t.spent {
		out = append(out, line{s, c})
	}
	stages := pipeline.Stages()
	slices.SortFunc(out, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.Plan, b.Plan), cmp.Compare(slices.Index(stages, a.Stage), slices.Index(stages, b.Stage)), cmp.Compare(a.Kind, b.Kind))
	})
	return out
}

// Tokens is everything that the closes reported; Lost, Drift and Expired are the
// ledger's other series.
func (t *Report) Tokens() int {
	n := 0
	for _, c := range t.spent {
		n += c.Tokens
	}
	return n
}

// Lost is what was reserved by claims that were given up.
func (t *Report) Lost() int { return t.lost }

// Drift is what moved Keepa's balance and no close explains: positive when
// somebody else spent.
func (t *Report) Drift() int { return t.drift }

// Expired is what vanished at a full bucket.
func (t *Report) Expired() int { return t.expired }

// Span is from the first to the last verdict.
func (t *Report) Span() (first, last time.Time) { return t.first, t.last }

func value(c *int64) int64 {
	if c == nil {
		return 0
	}
	return *c
}
