package token

import (
	"time"

	"ratchet/pipeline"
)

// Tick is the time between two refills, as measured on a real account. A plan
// that ticks faster is underestimated for less than a tick.
const Tick = 60200 * time.Millisecond

// Minutes is how much refill the bucket holds: tokens older than an hour expire.
const Minutes = 60

// Bucket is the balance as the newest answer told it, and when we heard it. The
// zero value is unknown, which is not the same as 0 tokens.
type Bucket struct {
	Known   bool
	Reading pipeline.Reading
	At      time.Time // pipeline time at which the reading was received
}

// Heard is the bucket after a reading; an older reading, or one without a plan
// (Keepa answers a bad key with zeroes), changes nothing.
func (b Bucket) Heard(r pipeline.Reading, at time.Time) Bucket {
	if r.Rate <= 0 || b.Known && r.TS < b.Reading.TS {
		return b
	}
	return Bucket{Known: true, Reading: r, At: at}
}

// Capacity is where the balance stops growing.
func (b Bucket) Capacity() int { return Minutes * b.Reading.Rate }

// Refill is what one tick adds: the plan's rate less what trackings eat.
func (b Bucket) Refill() int { return max(0, b.Reading.Rate-int(b.Reading.FlowRed+0.999)) }

// Next is the first refill after now. refillIn counts from the end of the
// server's work, so counting it from when we heard can only be late, never early.
func (b Bucket) Next(now time.Time) time.Time {
	first := b.At.Add(time.Duration(b.Reading.RefillInMS) * time.Millisecond)
	if now.Before(first) {
		return first
	}
	return first.Add((now.Sub(first)/Tick + 1) * Tick)
}

// Balance is the projection: what the bucket holds at now if nobody spent since.
// A clock that runs backwards refills nothing.
func (b Bucket) Balance(now time.Time) int {
	first := b.At.Add(time.Duration(b.Reading.RefillInMS) * time.Millisecond)
	if !b.Known || now.Before(first) {
		return b.Reading.Left
	}
	ticks := 1 + int(now.Sub(first)/Tick)
	return max(b.Reading.Left, min(b.Capacity(), b.Reading.Left+ticks*b.Refill()))
}

// Affordable is the instant at which the projection reaches want; false if it
// never does.
func (b Bucket) Affordable(want int, now time.Time) (time.Time, bool) {
	have := b.Balance(now)
	if have >= want {
		return now, true
	}
	if !b.Known || b.Refill() <= 0 || want > b.Capacity() {
		return time.Time{}, false
	}
	ticks := (want - have + b.Refill() - 1) / b.Refill()
	return b.Next(now).Add(time.Duration(ticks-1) * Tick), true
}
