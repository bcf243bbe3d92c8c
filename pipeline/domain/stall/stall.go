// Package stall decides when a loop is stuck: it had work, the tokens for it and permission to
// run, and for ten minutes of pipeline time no step succeeded. A loop without work is idle, and
// one without tokens waits for them; neither is ever stuck. The package is pure.
package stall

import "time"

// After is how long a loop may have everything that it needs and make no progress, pipeline time.
const After = 10 * time.Minute

// Observation is what a loop finds when it asks for work.
type Observation struct {
	Work   bool // work is waiting
	Tokens bool // the price of the next step may be spent; true for a free step
	Wish   bool // the operator's mode permits it
}

// Watch records since when a loop has had everything and made no progress. The
// zero value is a loop that lacks something, or has just made progress.
type Watch struct {
	Since time.Time // pipeline time; zero: not at all
}

// Observe returns the watch after an observation.
func (w Watch) Observe(s Observation, now time.Time) Watch {
	switch {
	case !s.Work || !s.Tokens || !s.Wish:
		return Watch{}
	case w.Since.IsZero() || now.Before(w.Since): // a clock that went back starts again
		return Watch{Since: now}
	}
	return w
}

// Step returns the watch after a step that succeeded.
func (Watch) Step() Watch { return Watch{} }

// Stuck returns how long the loop has made no progress; 0 while it is not stuck.
func (w Watch) Stuck(now time.Time) time.Duration {
	if w.Since.IsZero() {
		return 0
	}
	if d := now.Sub(w.Since); d >= After {
		return d
	}
	return 0
}
