// Package stall decides when a loop is stuck: it had work, the tokens for it and the operator's
// wish to run, and for ten minutes of pipeline time no step succeeded. A loop without work is idle,
// and one without tokens waits for them; neither is stuck, however long it lasts. It is pure.
package stall

import "time"

// After is how long a loop may have everything that it needs and get nothing done, pipeline time.
const After = 10 * time.Minute

// Sight is what a loop sees when it looks for something to do.
type Sight struct {
	Work   bool // something waits that it could do
	Tokens bool // what the next step costs may be spent; true for a step that costs nothing
	Wish   bool // the operator wants it
}

// Watch is since when a loop has had everything and got nothing done. The zero value is a loop that
// lacked something, or has just got something done.
type Watch struct {
	Since time.Time // pipeline time; zero: not at all
}

// See is the watch after a look.
func (w Watch) See(s Sight, now time.Time) Watch {
	switch {
	case !s.Work || !s.Tokens || !s.Wish:
		return Watch{}
	case w.Since.IsZero() || now.Before(w.Since): // a clock that went back begins again
		return Watch{Since: now}
	}
	return w
}

// Step is the watch after a step that succeeded.
func (Watch) Step() Watch { return Watch{} }

// Stuck is for how long nothing was done; 0 while the loop is not stuck.
func (w Watch) Stuck(now time.Time) time.Duration {
	if w.Since.IsZero() {
		return 0
	}
	if d := now.Sub(w.Since); d >= After {
		return d
	}
	return 0
}
