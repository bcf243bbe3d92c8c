package watermark

import (
	"fmt"
	"math"
	"time"
)

// Begin returns the state with a read under way. A query that changed lists
// other rows: the state of the old one is dropped, and its gaps are void.
func (s State) Begin(query string, since uint64, p Plan, now time.Time) State {
	if s.Query != "" && s.Query != query {
		s = State{NextPoll: s.NextPoll, IntervalS: s.IntervalS, Why: s.Why, Unseen: s.Unseen}
	}
	s.Query = query
	s.Read = &Progress{
		ID: fmt.Sprintf("%s.%d", query, since), Begun: now, Since: since,
		Sweep: p.Sweeps(s, now), Down: s.Bottom(p.Margin),
	}
	return s
}

// NewRead returns the read under way, without its pages.
func (s State) NewRead(p Plan) *Read {
	return NewRead(s.Read.Sweep, s.Read.Down, p.Most, s.Overstates)
}

// Change is the effect of a read on the gaps.
type Change struct {
	Opened  []Gap
	Filled  []Gap
	Expired []Gap // RowsEstimate is the number of missed rows
	Missed  int   // rows that came and left since the read before, estimated
}

// End returns the state after a read, however it ended. What the read did not prove to have seen is owed;
// what it proved is no longer owed. A read that was cut short stays under way, so that it can be resumed.
func (s State) End(r *Read, p Plan, now time.Time) (State, Change) {
	var c Change
	begun := s.Read.Begun
	if r.Odd != "" {
		d, why := p.Next(s, r)
		s.NextPoll, s.IntervalS, s.Why, s.Read, s.Covered = now.Add(d), int(d/time.Second), why, nil, nil
		return s, c
	}
	covered := r.Covered()
	since := begun.Sub(s.ReadAt)
	if s.Mark > 0 && !s.ReadAt.IsZero() && since >= p.Window {
		s = s.openGap(&c, Gap{From: s.Mark, To: max(s.Mark, r.Top), Opened: s.ReadAt, RowsEstimate: int(s.PerHour * since.Hours())})
	}
	was := s.Mark
	s.Mark = max(s.Mark, r.Top)
	s = s.fill(r, covered, p, now, &c)
	s = s.openGaps(r, covered, was, now, &c)
	s.Covered = covered.Within(Span{0, r.Top})
	if r.Total >= 0 {
		s.Rows = r.Total
	} else if r.ReachedEnd() {
		s.Rows = r.Distinct()
	}
	if !r.Done {
		s.Read = &Progress{ID: s.Read.ID, Begun: begun, Since: s.Read.Since, Sweep: s.Read.Sweep, Down: s.Read.Down, Cut: true}
		return s, c
	}
	return s.ended(r, p, was, now, &c), c
}

// ended applies the changes that only a completed read makes.
func (s State) ended(r *Read, p Plan, was Mark, now time.Time, c *Change) State {
	since, swept := s.Read.Begun.Sub(s.ReadAt), s.Read.Begun.Sub(s.LastSweep)
	if was > 0 && !s.ReadAt.IsZero() {
		s = s.churned(r.Fresh, since)
		missed := s.missed(r.Fresh, since)
		if r.Sweep && !s.LastSweep.IsZero() {
			missed += s.missed(r.Late, swept)
		}
		s.Unseen = math.Round(10*(s.Unseen+missed)) / 10
		c.Missed = int(math.Round(missed))
	}
	if r.ReachedEnd() {
		s.LastSweep, s.Pages, s.Overstates = now, r.Pages/r.Rounds(), r.overstated()
	}
	d, why := p.Next(s, r)
	s.ReadAt, s.IntervalS, s.Why, s.Read = now, int(d/time.Second), why, nil
	s.NextPoll = now.Add(d)
	if sweep := s.LastSweep.Add(p.sweepEvery(s)); sweep.Before(s.NextPoll) && sweep.After(now) {
		s.NextPoll = sweep
	}
	return s
}

// openGap opens a gap with an id derived from it.
func (s State) openGap(c *Change, g Gap) State {
	g.ID = fmt.Sprintf("%s.%d-%d", s.Read.ID, g.From, g.To)
	n := len(s.Gaps)
	if s = s.addGap(g); len(s.Gaps) > n {
		c.Opened = append(c.Opened, g)
	}
	return s
}

// fill removes covered spans from the gaps. Some rows of a gap older than p.Window have left the list, so a completed
// read closes it; what it did not cover is left to a sweep.
func (s State) fill(r *Read, covered Spans, p Plan, now time.Time, c *Change) State {
	owed := s.Gaps
	s.Gaps = nil
	for _, g := range owed {
		rest, old := covered.Missing(g.span()), now.Sub(g.Opened) >= p.Window
		missed := s.departed(g, p, now)
		switch {
		case len(rest) == 0 && (!old || missed == 0):
			c.Filled = append(c.Filled, g)
		case len(rest) == 0, r.Done && now.Sub(g.Opened) >= p.patienceWith(s, g):
			g.RowsEstimate = missed
			c.Expired = append(c.Expired, g)
			if len(rest) > 0 && !g.Deep {
				s.LastSweep = time.Time{}
			}
		default:
			s = s.shrink(g, rest, c)
		}
	}
	return s
}

// patienceWith returns how long a gap is owed at most: one that only a sweep fills waits for the second.
func (p Plan) patienceWith(s State, g Gap) time.Duration {
	if g.Deep {
		return 2*p.sweepEvery(s) + p.Window
	}
	return p.Window
}

// shrink reduces a gap to what was not covered: the lowest part keeps its id.
func (s State) shrink(g Gap, rest Spans, c *Change) State {
	for i, m := range rest {
		part := g
		part.From, part.To = from(m), m.Hi
		part.RowsEstimate = g.RowsEstimate * int(m.Hi-m.Lo+1) / max(1, int(g.To-g.From))
		if m.Lo <= 0 {
			part.RowsEstimate = g.RowsEstimate // its depth is unknown, so its rows cannot be divided
		}
		if i == 0 {
			s = s.addGap(part)
		} else {
			s = s.openGap(c, part)
		}
	}
	return s
}

// from returns a span's lower end as a gap stores it.
func from(m Span) Mark {
	return max(0, m.Lo-1)
}

// openGaps opens the gaps of this read: all that it had to see, does not prove to have seen, and was not owed yet.
func (s State) openGaps(r *Read, covered Spans, was Mark, now time.Time, c *Change) State {
	need := Span{was + 1, s.Mark}
	if was == 0 || r.Sweep && r.Done {
		need.Lo = MinMark
	}
	known := covered
	for _, g := range s.Gaps {
		known = known.Add(g.span())
	}
	for _, m := range known.Missing(need) {
		g := Gap{From: from(m), To: m.Hi, Opened: now, Deep: true}
		switch {
		case !r.Done && m.Lo == need.Lo: // from here down nothing was read
			g.Deep, g.RowsEstimate = false, max(1, r.within(m))
		case m.Lo <= 0:
			g.RowsEstimate = r.within(m)
		}
		s = s.openGap(c, g)
	}
	return s
}

// within estimates how many rows lie in a span that was not covered, from the density of the covered rows.
func (r *Read) within(m Span) int {
	oldest := MaxMark
	for _, p := range r.shown {
		oldest = min(oldest, p.oldest)
	}
	if m.Lo <= 0 {
		return max(0, r.Total-r.distinct, r.most-r.least)
	}
	if r.disorder || oldest >= r.Top {
		return 0
	}
	return int(float64(m.Hi-m.Lo) * float64(r.distinct) / float64(r.Top-oldest))
}
