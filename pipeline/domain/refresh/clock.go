package refresh

import "time"

// Clock counts the time during which looks were being decided. Only that time
// brings a deal closer to its expiry.
type Clock struct {
	Ran     time.Duration `json:"ran"`
	At      time.Time     `json:"at"`
	Stalled string        `json:"stalled,omitempty"` // why looks stand still; empty when they do not
	Since   time.Time     `json:"since,omitzero"`    // of Stalled
}

// longestTick is the most that one tick adds: a keeper that was away does not know
// what happened meanwhile.
const longestTick = 15 * time.Minute

// Tick is the clock at now.
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

// Books are what the keeper knows beside the holdings.
type Books struct {
	Clock
	Seq     uint64  `json:"seq"`  // in VERDICTS: heard up to here
	Made    uint32  `json:"made"` // when that stream was made: tells it from a later one
	Rate    int     `json:"rate"` // tokens a minute, when they were last known
	Summary Summary `json:"summary"`
}

const (
	longestRun = 100 * 365 * 24 * time.Hour // more than any pipeline has run
	mostRate   = 1_000_000                  // tokens a minute, more than any plan yields
)

// Possible reports whether this package can have made the books. Of those that it cannot, nothing
// is used: a clock that lies ahead would never tick again, and one that ran for ever expires
// whatever is stale. last is the end of VERDICTS, made when that stream was.
func (b Books) Possible(last uint64, made uint32, now time.Time) bool {
	return b.Rate >= 0 && b.Rate <= mostRate && b.Ran >= 0 && b.Ran <= longestRun && !b.At.After(now.Add(farAhead)) && (b.Made != made || b.Seq <= last)
}

// Signs are what tells whether looks are being decided.
type Signs struct {
	Mode     string    // the budget's: burst, recharge, paused, nospend, unknown
	Answered time.Time // the newest paid answer
	Oldest   time.Time // when the oldest work that is under way was offered; zero: none is
}

// silence is how long work may be under way without any paid answer before looks
// are taken to stand still: longer than any pause of the budget.
const silence = 90 * time.Minute

// The reasons for which looks stand still.
const (
	StalledPaused  = "paused"     // the operator's wish
	StalledNospend = "nospend"    // the operator's wish
	StalledUnknown = "no_balance" // Keepa has told no balance
	StalledSilent  = "no_answers" // Keepa answers nothing
)

// Stalled is why looks stand still; empty when they do not.
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
