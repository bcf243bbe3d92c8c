package watermark

import (
	"math"
	"slices"
	"time"
)

// Found is when a row that the list held was found.
type Found struct {
	Sighting
	At time.Time
}

// Written is a state and when it was written.
type Written struct {
	State
	At time.Time
}

// Latency returns how long rows were listed before they were found: for rows with a new price,
// the 95th percentile in polling intervals as they were in force; for rows that came with an old
// date, the maximum. Rows that were there before the first read are not counted.
func Latency(found []Found, states []Written, minute func(time.Time) Mark) (polls float64, old time.Duration) {
	var waited []float64
	for _, f := range found {
		interval, known := inForce(states, f.First)
		if !known {
			continue
		}
		late := max(0, f.At.Sub(f.First))
		if minute(f.First)-f.Row.At > recent {
			old = max(old, late)
			continue
		}
		waited = append(waited, float64(late)/float64(interval))
	}
	if len(waited) == 0 {
		return 0, old
	}
	slices.Sort(waited)
	return math.Round(100*waited[(len(waited)*95)/100]) / 100, old
}

// recent is the largest age of a price, in minutes, at which its row counts as new.
const recent = Mark(15)

// inForce returns the interval between polls at an instant.
func inForce(states []Written, at time.Time) (time.Duration, bool) {
	i, _ := slices.BinarySearchFunc(states, at, func(t Written, at time.Time) int { return t.At.Compare(at) })
	for i--; i >= 0; i-- {
		if s := states[i]; !s.ReadAt.IsZero() && s.NextPoll.After(s.ReadAt) {
			return s.NextPoll.Sub(s.ReadAt), true
		}
	}
	return 0, false
}
