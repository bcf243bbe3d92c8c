package keepasim

import "time"

// bucket is Keepa's: rate tokens at each tick, clipped at the capacity. It only moves forward.
type bucket struct {
	balance int
	rate    int
	tick    time.Duration
	next    time.Time // the next refill
}

// refill is one tick: what was added and what expired.
type refill struct{ added, expired int }

func capacity(rate int) int { return 60 * rate }

// advance applies every refill due at now and reports them, oldest first.
func (b *bucket) advance(now time.Time, each func(refill)) {
	for !b.next.After(now) {
		added := min(b.rate, max(0, capacity(b.rate)-b.balance))
		b.balance += added
		each(refill{added: added, expired: b.rate - added})
		b.next = b.next.Add(b.tick)
	}
}

// setRate changes the plan and returns the tokens that no longer fit.
func (b *bucket) setRate(rate int) (lost int) {
	b.rate = rate
	if over := b.balance - capacity(rate); over > 0 && rate > 0 {
		b.balance -= over
		return over
	}
	return 0
}

// refillIn returns the time to the next refill in milliseconds,
// never below 522, the least that the real server prints.
func (b *bucket) refillIn(now time.Time) int64 {
	return max(522, b.next.Sub(now).Milliseconds())
}
