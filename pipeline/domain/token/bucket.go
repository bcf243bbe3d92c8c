package token

import (
	"fmt"
	"math"
	"time"

	"ratchet/pipeline"
)

// Tick is the time between two refills, as measured on a real account, until
// readings differ from that.
const Tick = 60200 * time.Millisecond

// Minutes is how many minutes of refill the bucket holds: tokens older than an hour expire.
const Minutes = 60

// tickGuard is added to every refill after the announced one: counting a
// refill too early would let a call go out before it is paid.
const tickGuard = 100 * time.Millisecond

// shortestRefill is the least refillIn that Keepa prints, in milliseconds; the real value may be smaller.
const shortestRefill = 522

// Bucket is the balance as the newest answer reported it, and when it was
// received. The zero value is unknown, which is not the same as 0 tokens.
type Bucket struct {
	Known   bool
	Reading pipeline.Reading
	At      time.Time // pipeline time at which the reading was received
	// Owed is what was spent, or may have been, and no reading shows yet.
	Owed   int
	OwedAt time.Time // pipeline time of the last such spending

	rate   int           // the believed plan, tokens per refill
	steady bool          // the reading before had the same rate, or there was none
	period time.Duration // between refills, learned; 0 before the second reading
}

// End returns the server's time at which an answer was finished, Unix ms.
func End(r pipeline.Reading) int64 { return r.TS + r.TookMS }

// NextTick returns the server's time of the refill that a reading announces, Unix ms.
func NextTick(r pipeline.Reading) int64 { return End(r) + r.RefillInMS }

// Later reports whether reading a is newer than b. Neither the arrival time of a request nor its
// processing time shows when it was charged, but between two refills a balance only falls: of two
// readings that announce the same refill, the one with the lower balance is later.
func Later(a, b pipeline.Reading) bool {
	d := NextTick(a) - NextTick(b)
	if half := Tick.Milliseconds() / 2; -half < d && d < half {
		return a.Left < b.Left
	}
	return d > 0
}

// HasBalance reports whether a reading describes an account at all: Keepa answers a bad key with zeroes.
func HasBalance(r pipeline.Reading) bool { return r.Rate > 0 || r.Rate == 0 && r.Left != 0 }

// Starved explains why a plan yields nothing; "" for one that
// yields tokens, and for a reading that describes no account.
func Starved(r pipeline.Reading) string {
	if r == (pipeline.Reading{}) || float64(r.Rate)-r.FlowRed > 0 {
		return ""
	}
	out := fmt.Sprintf("the plan yields %d tokens a minute", r.Rate)
	if r.FlowRed > 0 {
		out += fmt.Sprintf(", of which trackings take %g (tokenFlowReduction): remove trackings at Keepa, or take a larger plan", r.FlowRed)
	} else {
		out += ": check the subscription at Keepa"
	}
	return out
}

// Reported applies a reading that a worker received. A reading that is not
// later than the newest, or describes no account, changes nothing.
func (b Bucket) Reported(r pipeline.Reading, at time.Time) Bucket {
	if !HasBalance(r) || b.Known && !Later(r, b.Reading) {
		return b
	}
	next := b.take(r, at)
	// Answers to calls older than the debt may still be under way; after a claim's life there are none.
	if next.Owed = b.Owed; at.Sub(b.OwedAt) > ClaimLife {
		next.Owed = 0
	}
	next.OwedAt = b.OwedAt
	return next
}

// Probed applies the answer to our own question for the balance. The question is later than
// every call that we know of, so it settles every doubt, whatever the server's clock shows.
func (b Bucket) Probed(r pipeline.Reading, at time.Time) Bucket {
	if !HasBalance(r) {
		return b
	}
	return b.take(r, at)
}

// Owe subtracts tokens that may be spent although no reading shows it.
func (b Bucket) Owe(n int, now time.Time) Bucket {
	if n > 0 {
		b.Owed, b.OwedAt = b.Owed+n, now
	}
	return b
}

func (b Bucket) take(r pipeline.Reading, at time.Time) Bucket {
	next := Bucket{Known: true, Reading: r, At: at, rate: r.Rate, steady: !b.Known || r.Rate == b.Reading.Rate, period: b.learn(r)}
	if b.Known {
		// A higher rate counts only when two readings report it: Keepa has been seen to report a wrong rate once.
		next.rate = min(r.Rate, b.Reading.Rate)
	}
	return next
}

// learn refines the time between refills from two announced ones.
func (b Bucket) learn(r pipeline.Reading) time.Duration {
	period := b.Period()
	if !b.Known || r.RefillInMS <= shortestRefill || b.Reading.RefillInMS <= shortestRefill {
		return period
	}
	span := time.Duration(NextTick(r)-NextTick(b.Reading)) * time.Millisecond
	k := (span + period/2) / period
	if k < 1 || k > Minutes {
		return period
	}
	if measured := span / k; (measured - period).Abs() <= period/50 {
		return (3*period + measured) / 4
	}
	return period
}

// Period returns the time between two refills.
func (b Bucket) Period() time.Duration {
	if b.period <= 0 {
		return Tick
	}
	return b.period
}

// Rate returns the believed plan, tokens per refill.
func (b Bucket) Rate() int { return b.rate }

// RateConfirmed reports whether the newest reading shows the rate that we believe. If it does not it may be an
// error of Keepa's, so no difference of the balance is explained by it.
func (b Bucket) RateConfirmed() bool { return b.Known && b.Reading.Rate == b.rate }

// Capacity returns the balance at which refills stop.
func (b Bucket) Capacity() int { return Minutes * b.rate }

// Refill returns what one tick adds: the plan's rate less what trackings consume.
func (b Bucket) Refill() int { return max(0, b.rate-int(math.Ceil(b.Reading.FlowRed))) }

// Announced returns the refill that the newest answer announced: until then the balance is reported, after it
// projected. refillIn counts from the end of the server's work, so counting it from the time of receipt is late,
// never early.
func (b Bucket) Announced() time.Time {
	return b.At.Add(time.Duration(b.Reading.RefillInMS) * time.Millisecond)
}

// ticks returns the number of refills that the projection counts at now.
func (b Bucket) ticks(now time.Time) int {
	if !b.Known || now.Before(b.Announced()) {
		return 0
	}
	return 1 + int(now.Sub(b.Announced())/(b.Period()+tickGuard))
}

// Next returns the first refill after now.
func (b Bucket) Next(now time.Time) time.Time {
	return b.Announced().Add(time.Duration(b.ticks(now)) * (b.Period() + tickGuard))
}

// Balance returns the projection: what the bucket holds at now if nothing
// was spent since. A clock that runs backwards refills nothing.
func (b Bucket) Balance(now time.Time) int {
	left := b.Reading.Left
	if n := b.ticks(now); n > 0 {
		left = max(left, min(b.Capacity(), left+n*b.Refill()))
	}
	return left - b.Owed
}

// Affordable returns the instant at which the projection reaches want; false if it never does.
func (b Bucket) Affordable(want int, now time.Time) (time.Time, bool) {
	have := b.Balance(now)
	if have >= want {
		return now, true
	}
	if !b.Known || b.Refill() <= 0 || want > b.Capacity()-b.Owed {
		return time.Time{}, false
	}
	n := (want - have + b.Refill() - 1) / b.Refill()
	return b.Next(now).Add(time.Duration(n-1) * (b.Period() + tickGuard)), true
}

// NearFull reports whether the next refills would exceed the capacity.
func (b Bucket) NearFull(now time.Time) bool {
	return b.Known && b.rate > 0 && b.Balance(now) >= b.Capacity()-2*b.Refill()
}

// Reconcile explains the difference between a reading and a later one: settled is what our own
// closed calls cost in between. Further missing tokens vanished at the full bucket as far as that
// is possible; the rest is drift, negative when there are more tokens than we can explain.
func Reconcile(a, b pipeline.Reading, period time.Duration, settled int) (expired, drift int) {
	span := time.Duration(NextTick(b)-NextTick(a)) * time.Millisecond
	n := max(0, int((span+period/2)/period))
	few, many := flow(a), flow(b)
	if few > many {
		few, many = many, few
	}
	capacity := Minutes * max(a.Rate, b.Rate)
	missing := func(refill int) int { return a.Left + n*refill - settled - b.Left }
	least, most := missing(few), missing(many)
	switch {
	case most < 0:
		return 0, most
	case least <= 0:
		return 0, 0 // explained by the change of the plan
	}
	// Refills that met a full bucket: at most those that would have exceeded it if all our spending had come last.
	expired = min(least, max(0, a.Left+n*few-max(capacity, a.Left)))
	return expired, least - expired
}

func flow(r pipeline.Reading) int { return max(0, r.Rate-int(math.Ceil(r.FlowRed))) }
