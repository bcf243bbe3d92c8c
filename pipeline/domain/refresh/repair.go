package refresh

import (
	"cmp"
	"iter"
	"math"
	"slices"
	"time"

	"ratchet/pipeline"
)

// GaveUp is the reason of a deal whose repair attempts are used up. A new price, or an operator, resets them.
const GaveUp = "repair_gave_up"

// NotBefore returns when the next repair of a holding may begin.
func (p Plan) NotBefore(h Holding) time.Time {
	if h.Attempt == 0 {
		return h.Found.Add(p.Wait)
	}
	return h.Repaired.Add(p.Wait << min(2*h.Attempt, 8))
}

// repairs picks the deals with missing inputs that may be tried again, the most valuable first. As many may
// begin in a round as the share pays for in ten minutes, because a repair may cost as much as a commit.
type repairs struct {
	p    Plan
	now  time.Time
	most int
	due  first
}

func (p Plan) repairs(now time.Time) *repairs {
	most := max(1, int(p.PerHour/6))
	refreshed := max(1, int(math.Ceil(p.PerHour))) // at most so many are left out again
	return &repairs{p: p, now: now, most: most, due: first{most: most + refreshed, order: func(a, b Holding) int {
		return cmp.Or(-cmp.Compare(a.Cents, b.Cents), cmp.Compare(a.ASIN, b.ASIN))
	}}}
}

func (r *repairs) see(h Holding) {
	if h.State == Held && len(h.Missing) > 0 && h.Due.IsZero() && h.Attempt < r.p.Repairs && !r.p.NotBefore(h).After(r.now) {
		r.due.add(h)
	}
}

// offers returns the repairs of what is not refreshed in the same round.
func (r *repairs) offers(refreshed map[pipeline.Identity]bool) []Work {
	due := slices.DeleteFunc(r.due.sorted(), func(h Holding) bool { return refreshed[h.Identity] })
	var out []Work
	for _, h := range due[:min(len(due), r.most)] {
		h.Attempt, h.Repaired = h.Attempt+1, r.now
		out = append(out, Work{Holding: h, Source: pipeline.SourceRepair, Attempt: h.Attempt})
	}
	return out
}

// GiveUp returns the holdings whose last repair was long enough ago and changed nothing.
func (p Plan) GiveUp(all iter.Seq[Holding], now time.Time) []Holding {
	var out []Holding
	for h := range all {
		if h.State == Held && len(h.Missing) > 0 && h.GaveUp == "" && h.Attempt >= p.Repairs && p.Repairs > 0 && !p.NotBefore(h).After(now) {
			h.GaveUp = GaveUp
			out = append(out, h)
		}
	}
	return out
}

// Summary is the stock in numbers.
type Summary struct {
	Held      int       `json:"held"`
	Stale     int       `json:"stale"`
	Expired   int       `json:"expired"`
	Gone      int       `json:"gone"`
	UnderWay  int       `json:"under_way"` // refreshes that are offered
	Broken    int       `json:"broken"`    // with a missing input
	GaveUp    int       `json:"gave_up"`
	PerHour   float64   `json:"per_hour"`  // refreshes that the share pays for
	Demand    float64   `json:"demand"`    // refreshes an hour that the stock needs
	Sustained int       `json:"sustained"` // deals that the share can refresh in time
	Next      time.Time `json:"next,omitzero"`
}

// Sum adds up the stock.
func (p Plan) Sum(all iter.Seq[Holding]) Summary {
	s := Summary{PerHour: p.PerHour, Sustained: p.Sustained()}
	for h := range all {
		switch h.State {
		case Held:
			s.Held++
		case Stale:
			s.Stale++
		case Expired:
			s.Expired++
		case Gone:
			s.Gone++
		}
		if !h.State.Shown() {
			continue
		}
		if len(h.Missing) > 0 {
			s.Broken++
		}
		if h.GaveUp != "" {
			s.GaveUp++
		}
		if !h.Due.IsZero() {
			s.UnderWay++
		} else if at := p.due(h); s.Next.IsZero() || at.Before(s.Next) {
			s.Next = at
		}
	}
	s.Demand = p.Demand(s.Held + s.Stale)
	return s
}
