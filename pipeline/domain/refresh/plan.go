package refresh

import (
	"cmp"
	"iter"
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
// two and may expire after three. rate is the plan's tokens a minute, share the part of them
// for refreshes, each of which costs a token while nothing changed; At has the cost that was seen.
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
// It goes through the stock more than once and keeps none of what it does not return.
func (p Plan) Round(all iter.Seq[Holding], c Clock, now time.Time) Round {
	var r Round
	excess, held := p.excess(all)
	due, broken := p.refreshes(now), p.repairs(now)
	for h := range all {
		aged, changed := p.age(h, c, excess, held, now)
		if changed {
			r.Change = append(r.Change, aged)
		}
		due.see(aged)
		broken.see(aged)
	}
	r.Offer = due.offers()
	under := map[pipeline.Identity]bool{}
	for _, w := range r.Offer {
		under[w.Holding.Identity] = true
	}
	r.Offer = append(r.Offer, broken.offers(under)...)
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

// first keeps the first holdings of an order, of however many.
type first struct {
	most  int
	order func(a, b Holding) int
	kept  []Holding
}

func (f *first) add(h Holding) {
	if f.kept = append(f.kept, h); len(f.kept) >= 2*f.most+64 {
		f.kept = f.sorted()
	}
}

// sorted returns them in order.
func (f *first) sorted() []Holding {
	slices.SortFunc(f.kept, f.order)
	return f.kept[:min(len(f.kept), f.most)]
}

// refreshes picks the most urgent due work, so that at most an hour of the share is under way.
type refreshes struct {
	p    Plan
	now  time.Time
	room int
	due  first
}

func (p Plan) refreshes(now time.Time) *refreshes {
	room := max(1, int(math.Ceil(p.PerHour)))
	return &refreshes{p: p, now: now, room: room, due: first{most: room, order: func(a, b Holding) int {
		return cmp.Or(-cmp.Compare(p.urgency(a, now), p.urgency(b, now)), cmp.Compare(a.ASIN, b.ASIN))
	}}}
}

func (r *refreshes) see(h Holding) {
	switch {
	case !h.State.Shown():
	case !h.Due.IsZero():
		r.room--
	case !r.p.due(h).After(r.now):
		r.due.add(h)
	}
}

func (r *refreshes) offers() []Work {
	due := r.due.sorted()
	var out []Work
	for _, h := range due[:min(len(due), max(0, r.room))] {
		at := r.p.due(h)
		h.Due, h.Offered = at, r.now
		out = append(out, Work{Holding: h, Source: pipeline.SourceRefresh, Due: at})
	}
	return out
}

// rank is what a holding's place by value depends on.
type rank struct {
	pipeline.Identity
	cents     int64
	confirmed time.Time
}

// excess returns the holdings beyond what the share can refresh, the least valuable, and how many there are in all.
func (p Plan) excess(all iter.Seq[Holding]) (over map[pipeline.Identity]bool, held int) {
	var shown []rank
	for h := range all {
		held++
		if h.State.Shown() {
			shown = append(shown, rank{h.Identity, h.Cents, h.Confirmed})
		}
	}
	n := p.Sustained()
	if len(shown) <= n {
		return nil, held
	}
	slices.SortFunc(shown, func(a, b rank) int {
		return cmp.Or(-cmp.Compare(a.cents, b.cents), -a.confirmed.Compare(b.confirmed), cmp.Compare(a.ASIN, b.ASIN))
	})
	over = map[pipeline.Identity]bool{}
	for _, h := range shown[n:] {
		over[h.Identity] = true
	}
	return over, held
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
