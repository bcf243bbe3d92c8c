package cli

import (
	"slices"
	"time"

	"ratchet/pipeline/ops/chart"
)

// Period is a burst or a pause: a time in which tokens were spent, or not.
type Period struct {
	From, Until time.Time // Until is zero where it lasts
	Pause       bool
	Begin, End  *int // the balance; nil where none was known
	Spent       int
}

// Periods are the bursts and pauses of the last span, the newest first.
func (c Course) Periods(s Status, span time.Duration) []Period {
	at := s.At.Add(-span)
	var out []Period
	add := func(until time.Time, pause bool) {
		end := until
		if end.IsZero() {
			end = s.At
		}
		if !end.After(at) {
			return
		}
		out = append(out, Period{From: at, Until: until, Pause: pause, Begin: c.level(at), End: c.level(end), Spent: c.spent(at, end)})
		at = end
	}
	for _, p := range c.Pauses {
		add(p.From, false)
		add(p.Until, true)
	}
	if n := len(c.Pauses); n == 0 || !c.Pauses[n-1].Until.IsZero() {
		add(time.Time{}, false)
	}
	slices.Reverse(out)
	return out
}

// level is the balance at an instant: the last that was reported.
func (c Course) level(at time.Time) *int {
	var found *int
	for _, l := range c.Levels {
		if l.At.After(at) {
			break
		}
		if l.Known {
			n := int(l.Value)
			found = &n
		}
	}
	return found
}

func (c Course) spent(from, until time.Time) int {
	n := 0
	for _, cost := range c.Costs {
		if cost.Plan == c.Plan && !cost.At.Before(from) && cost.At.Before(until) {
			n += cost.Tokens
		}
	}
	return n
}

// Ahead is the chart with room for the latest end of a pause, if that is near.
func Ahead(c chart.Course, span time.Duration) chart.Course {
	for _, d := range c.Deadlines {
		if d.After(c.Until) && d.Sub(c.Until) < span {
			c.Now, c.Until = c.Until, d.Add(span/50)
		}
	}
	return c
}

// Clone is a copy that later readings do not change.
func (c Course) Clone() Course {
	c.Levels, c.Costs, c.Pauses, c.Gaps = slices.Clone(c.Levels), slices.Clone(c.Costs), slices.Clone(c.Pauses), slices.Clone(c.Gaps)
	return c
}
