package token_test

import (
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
)

// Keepa is the actual state of the bucket.
type Keepa struct {
	Now     time.Time
	Rate    int // tokens a tick
	Balance int
	Skew    time.Duration // of Keepa's own clock

	Expired  int // tokens lost at a full bucket
	Clipped  int // tokens lost with a smaller plan
	Foreign  int // tokens spent by another program
	Refilled int // tokens added
	Consumed map[pipeline.Stage]int

	next time.Time // refill
}

func newKeepa(now time.Time, rate, balance int) Keepa {
	return Keepa{Now: now, Rate: rate, Balance: balance, Consumed: map[pipeline.Stage]int{}, next: now.Add(token.Tick)}
}

// pass advances time.
func (k *Keepa) pass(d time.Duration) {
	k.Now = k.Now.Add(d)
	for !k.next.After(k.Now) {
		add := min(k.Rate, max(0, token.Minutes*k.Rate-k.Balance))
		k.Balance += add
		k.Refilled += add
		k.Expired += k.Rate - add
		k.next = k.next.Add(token.Tick)
	}
}

// reading returns the reading of an answer now.
func (k *Keepa) reading() pipeline.Reading {
	return pipeline.Reading{
		TS: k.Now.Add(k.Skew).UnixMilli(), Left: k.Balance, Rate: k.Rate,
		RefillInMS: max(522, k.next.Sub(k.Now).Milliseconds()),
	}
}

// charge is a call of a stage; false is a 429.
func (k *Keepa) charge(s pipeline.Stage, cost int) bool {
	if k.Balance <= 0 {
		return false
	}
	k.Balance -= cost
	k.Consumed[s] += cost
	return true
}

// Drain spends as another program on the same key.
func (k *Keepa) Drain(n int) { k.Balance, k.Foreign = k.Balance-n, k.Foreign+n }

// Plan changes the rate; a balance above the new capacity is clipped.
func (k *Keepa) Plan(rate int) {
	k.Rate = rate
	if over := k.Balance - token.Minutes*rate; over > 0 {
		k.Balance, k.Clipped = token.Minutes*rate, k.Clipped+over
	}
}

// Spent returns the price of all our calls.
func (k *Keepa) Spent() int {
	n := 0
	for _, c := range k.Consumed {
		n += c
	}
	return n
}
