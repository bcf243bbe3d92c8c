package watermark

import (
	"math"
	"time"
)

// churnOver is the time over which the churn is averaged.
const churnOver = 12 * time.Hour

// churned updates the churn after a read that found fresh rows that were new since an earlier one.
func (s State) churned(fresh int, since time.Duration) State {
	if since < time.Minute {
		return s
	}
	now := float64(fresh) / since.Hours()
	if s.PerHour == 0 {
		s.PerHour = now
		return s
	}
	keep := math.Exp(-since.Hours() / churnOver.Hours())
	s.PerHour = keep*s.PerHour + (1-keep)*now
	return s
}

// turnover returns the share of the list's rows that leave or change their price in an hour, assuming a list of
// constant size, which loses as many rows as it gains.
func (s State) turnover() float64 {
	if s.Rows <= 0 {
		return 0
	}
	return s.PerHour / float64(s.Rows)
}

// missed estimates how many rows came and left between two reads; left is how many came in that time and are still
// listed. Rows come evenly and leave at random, so of those that came within a time x, in mean stays, the share
// (1-e^-x)/x remains.
func (s State) missed(left int, since time.Duration) float64 {
	x := s.turnover() * since.Hours()
	if left <= 0 || x <= 0 {
		return 0
	}
	return float64(left) * (x/(1-math.Exp(-x)) - 1)
}

// departed estimates how many of a gap's rows have left by now. If the gap has a beginning and is at least as long as
// the window, its rows came evenly during the gap; otherwise all of them were listed when it opened.
func (s State) departed(g Gap, p Plan, now time.Time) int {
	x := s.turnover() * now.Sub(g.Opened).Hours()
	left := math.Exp(-x)
	if x > 0 && g.From > 0 && time.Duration(g.To-g.From)*time.Minute >= p.Window {
		left = (1 - math.Exp(-x)) / x
	}
	return int(math.Round(float64(g.RowsEstimate) * (1 - left)))
}
