package refresh

import (
	"cmp"
	"math"
	"slices"
	"time"

	"ratchet/pipeline"
)

// Plan is how the stock is refreshed.
type Plan struct {
	Period   time.Duration // every deal is looked at once in it
	Stale    time.Duration // after this long without a confirmation: stale
	Expire   time.Duration // after this long of looking without a confirmation: it may expire
	PerHour  float64       // refreshes that the share of the income pays for
	Failures int           // failed looks before a deal expires
	Repairs  int           // attempts at a deal with a missing input
	Wait     time.Duration // before the first repair; each further one waits four times as long
}

// PlanFor returns a plan that looks at a deal once in a period; the deal is stale after
// two and may expire after three. rate is the plan's tokens a minute, share the part of
// them for refreshes, each of which costs a token while nothing changed.
func PlanFor(period time.Duration, rate int, share float64, repairs int) Plan {
	return Plan{
		Period: period, Stale: 2 * period, Expire: 3 * period, PerHour: 60 * float64(rate) * share,
		Failures: 5, Repairs: repairs, Wait: 6 * time.Hour,
	}
}

// Sustained returns how many deals the share can refresh before they expire.
func (p Plan) Sustained() int { return int(p.PerHour * p.Expire.Hours()) }

// Demand returns how many refreshes an hour that many deals need.
func (p Plan) Demand(held int) float64 { return float64(held) / p.Period.Hours() }

// Work is a deal to look at again.
type Work struct {
	Holding Holding // its value once the work is offered
	Source  pipeline.Source
	Due     time.Time // of a refresh: its generation
	Attempt int       // of a repair: its generation
}

// Generation distinguishes this look from every other at the same price: by the due hour or by the attempt.
func (w Work) Generation() pipeline.Generation {
	if w.Source == pipeline.SourceRepair {
		return pipeline.AttemptGeneration(w.Source, w.Attempt)
	}
	return pipeline.RefreshGeneration(w.Due)
}

// Round is the plan for the stock at one moment.
type Round struct {
	Change []Holding // with a new state, each with its reason
	Offer  []Work    // to look at again, the most urgent first; their holdings are to be stored after those of Change
}

// Round decides about the whole stock. It is pure: the same arguments give the same plan.
func (p Plan) Round(all []Holding, c Clock, now time.Time) Round {
	var r Round
	excess, next := p.excess(all), slices.Clone(all)
	for i, h := range all {
		aged, changed := p.age(h, c, excess, len(all), now)
		if changed {
			r.Change = append(r.Change, aged)
		}
		next[i] = aged
	}
	r.Offer = p.refreshes(next, now)
	under := map[pipeline.Identity]bool{}
	for _, w := range r.Offer {
		under[w.Holding.Identity] = true
	}
	r.Offer = append(r.Offer, p.repairs(slices.DeleteFunc(next, func(h Holding) bool { return under[h.Identity] }), now)...)
	return r
}

// due returns the hour from which a holding is to be looked at again. It follows from what
// was seen, never from when it is computed, so that a repeat names the same hour.
func (p Plan) due(h Holding) time.Time {
	at := h.Confirmed.Add(p.Period)
	if h.Failed > 0 {
		// A failed look is repeated with backoff, within the period.
		at = h.Checked.Add(min(p.Period, time.Hour<<min(2*(h.Failed-1), 8)))
	}
	if !at.Equal(at.Truncate(time.Hour)) {
		at = at.Truncate(time.Hour).Add(time.Hour)
	}
	return at
}

// urgency orders refreshes: by age in periods and by value.
func (p Plan) urgency(h Holding, now time.Time) float64 {
	return float64(max(1, h.Cents)) * float64(now.Sub(h.Confirmed)) / float64(p.Period)
}

// refreshes returns the most urgent due work, so that at most an hour of the share is under way.
func (p Plan) refreshes(all []Holding, now time.Time) []Work {
	room := max(1, int(math.Ceil(p.PerHour)))
	var due []Holding
	for _, h := range all {
		switch {
		case !h.State.Shown():
		case !h.Due.IsZero():
			room--
		case !p.due(h).After(now):
			due = append(due, h)
		}
	}
	slices.SortFunc(due, func(a, b Holding) int {
		return cmp.Or(-cmp.Compare(p.urgency(a, now), p.urgency(b, now)), cmp.Compare(a.ASIN, b.ASIN))
	})
	var out []Work
	for _, h := range due[:min(len(due), max(0, room))] {
		at := p.due(h)
		h.Due, h.Offered = at, now
		out = append(out, Work{Holding: h, Source: pipeline.SourceRefresh, Due: at})
	}
	return out
}

// excess returns the holdings beyond what the share can refresh: the least valuable.
func (p Plan) excess(all []Holding) map[pipeline.Identity]bool {
	var shown []Holding
	for _, h := range all {
		if h.State.Shown() {
			shown = append(shown, h)
		}
	}
	n := p.Sustained()
	if len(shown) <= n {
		return nil
	}
	slices.SortFunc(shown, func(a, b Holding) int {
		return cmp.Or(-cmp.Compare(a.Cents, b.Cents), -a.Confirmed.Compare(b.Confirmed), cmp.Compare(a.ASIN, b.ASIN))
	})
	out := map[pipeline.Identity]bool{}
	for _, h := range shown[n:] {
		out[h.Identity] = true
	}
	return out
}

// The reasons for a state other than held, beside those of a rejecting look.
const (
	StaleOverCapacity = "stale_over_capacity" // more is held than the share refreshes in time
	StaleWaiting      = "stale_waiting"       // offered, and not looked at yet
	StaleLookFailed   = "stale_look_failed"   // the looks failed
	StaleStalled      = "stale_"              // followed by why looks are stalled

	ExpiredLookFailed   = "expired_look_failed"
	ExpiredOverCapacity = "expired_over_capacity"
)

// age applies the passage of time to a holding, and reports whether it changed.
func (p Plan) age(h Holding, c Clock, excess map[pipeline.Identity]bool, held int, now time.Time) (Holding, bool) {
	if !h.State.Shown() || now.Sub(h.Confirmed) <= p.Stale {
		return h, false
	}
	if lost := h.Offered; !lost.IsZero() && c.Stalled == "" && now.Sub(lost) > p.Expire && c.Ran-h.Ran > p.Expire {
		// Its work is a dead letter or has left its stream: no verdict will come.
		h.Due, h.Offered, h.Checked, h.Failed = time.Time{}, time.Time{}, now, h.Failed+1
		return h.to(Stale, StaleLookFailed, now), true
	}
	if c.Stalled == "" && h.State == Stale && c.Ran-h.Ran > p.Expire {
		switch {
		case h.Failed >= p.Failures:
			return h.to(Expired, ExpiredLookFailed, now), true
		case excess[h.Identity] && h.Due.IsZero():
			return h.to(Expired, ExpiredOverCapacity, now), true
		}
	}
	why := StaleWaiting
	switch {
	case c.Stalled != "":
		why = StaleStalled + c.Stalled
	case h.Failed > 0:
		why = StaleLookFailed
	case p.Demand(held) > p.PerHour:
		why = StaleOverCapacity
	}
	if h.State == Stale {
		return h, false // its first reason stays until it is confirmed
	}
	return h.to(Stale, why, now), true
}
