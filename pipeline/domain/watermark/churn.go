package watermark

import (
	"math"
	"time"
)

// churnOver is over how long the churn is averaged.
const churnOver = 12 * time.Hour

// churned is the churn after a read found so many rows that were new since an
// earlier one.
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

// goes is the share of the list that goes or changes its price in an hour. A list
// that neither grows nor shrinks loses what it gains.
func (s State) goes() float64 {
	if s.Rows <= 0 {
		return 0
	}
	return s.PerHour / float64(s.Rows)
}

// missed is how many rows came and went in between, when so many that came since
// were still there: rows come evenly and go at random, so of those that came
// within a time x (in mean lives) the part (1-e^-x)/x is left.
func (s State) missed(left int, since time.Duration) float64 {
	x := s.goes() * since.Hours()
	if left <= 0 || x <= 0 {
		return 0
	}
	return float64(left) * (x/(1-math.Exp(-x)) - 1)
}

// gone is how many of a gap's rows will have gone by now: of one that spans more
// than the window they came evenly while nobody looked, of any other they were
// there when it opened.
func (s State) gone(g Gap, p Plan, now time.Time) int {
	x := s.goes() * now.Sub(g.Opened).Hours()
	left := math.Exp(-x)
	if x > 0 && g.From > 0 && time.Duration(g.To-g.From)*time.Minute >= p.Window {
		left = (1 - math.Exp(-x)) / x
	}
	return int(math.Round(float64(g.RowsEstimate) * (1 - left)))
}
