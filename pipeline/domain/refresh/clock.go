package refresh

import "time"

// Clock counts the time during which looks were decided. Only that time brings a deal closer to its expiry.
type Clock struct {
	Ran     time.Duration `json:"ran"`
	At      time.Time     `json:"at"`
	Stalled string        `json:"stalled,omitempty"` // why no looks are decided; empty when they are
	Since   time.Time     `json:"since,omitzero"`    // of Stalled
}

// longestTick is the most that one tick adds: a refresher that was down does not know what happened meanwhile.
const longestTick = 15 * time.Minute

// Tick returns the clock at now.
func (c Clock) Tick(stalled string, now time.Time) Clock {
	if c.Stalled == "" && stalled == "" && now.After(c.At) && !c.At.IsZero() {
		c.Ran += min(now.Sub(c.At), longestTick)
	}
	if stalled != c.Stalled {
		c.Stalled, c.Since = stalled, now
	}
	if now.After(c.At) {
		c.At = now
	}
	return c
}

// Checkpoint is the refresher's state apart from the holdings.
type Checkpoint struct {
	Clock
	Seq     uint64  `json:"seq"`  // in VERDICTS: processed up to here
	Made    uint32  `json:"made"` // when that stream was created: distinguishes it from a later one
	Rate    int     `json:"rate"` // tokens a minute, last known value
	Cost    Cost    `json:"cost,omitempty"`
	Summary Summary `json:"summary"`
}

// mostUnstored is how far the clock may run on without being stored. A refresher that dies loses nothing of it: its
// successor's first tick covers it.
const mostUnstored = 10 * time.Minute

// Differs reports whether the checkpoint must be stored where old is stored: something besides the clock has changed,
// or the clock has run on for long. A store of every tick would rewrite the index of a large stock every two minutes.
func (c Checkpoint) Differs(old Checkpoint) bool {
	if c.At.Sub(old.At) >= mostUnstored {
		return true
	}
	old.Ran, old.At = c.Ran, c.At
	return c != old
}

const (
	longestRun = 100 * 365 * 24 * time.Hour // more than any pipeline has run
	mostRate   = 1_000_000                  // tokens a minute, more than any plan yields
)

// Valid reports whether this package can have written the checkpoint; an impossible one is not used. A clock in
// the future would never tick again, and too long a run would expire every stale deal. last is the last sequence of
// VERDICTS, made the time at which that stream was created.
func (c Checkpoint) Valid(last uint64, made uint32, now time.Time) bool {
	return c.Rate >= 0 && c.Rate <= mostRate && c.Cost >= 0 && c.Cost <= mostCost && c.Ran >= 0 && c.Ran <= longestRun && !c.At.After(now.Add(farAhead)) && (c.Made != made || c.Seq <= last)
}

// Signs are the evidence for whether looks are being decided.
type Signs struct {
	Mode     string    // the budget's: burst, recharge, paused, nospend, unknown
	Answered time.Time // the newest paid answer
	Oldest   time.Time // when the oldest work under way was offered; zero without any
}

// silence is how long work may be under way without any paid answer
// before looks count as stalled: longer than any pause of the budget.
const silence = 90 * time.Minute

// The reasons why looks stall.
const (
	StalledPaused  = "paused"     // the operator's mode
	StalledNospend = "nospend"    // the operator's mode
	StalledUnknown = "no_balance" // Keepa has reported no balance
	StalledSilent  = "no_answers" // Keepa does not answer
)

// Stalled returns why looks are stalled; empty when they are not.
func (s Signs) Stalled(now time.Time) string {
	last := s.Answered
	if s.Oldest.After(last) {
		last = s.Oldest
	}
	switch {
	case s.Mode == "paused":
		return StalledPaused
	case s.Mode == "nospend":
		return StalledNospend
	case s.Mode == "unknown" || s.Mode == "":
		return StalledUnknown
	case !s.Oldest.IsZero() && now.Sub(last) > silence:
		return StalledSilent
	default:
		return ""
	}
}
