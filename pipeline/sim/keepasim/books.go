package keepasim

import (
	"maps"
	"slices"
	"time"
)

// The kinds of calls, as the books name them.
const (
	KindToken  = "token"
	KindDeal   = "deal"
	KindPeek   = "peek"   // products without offers
	KindCommit = "commit" // products with offers
	KindSeller = "seller"
)

// PaidCall is one answered call that was executed, in the order of charging.
// A call that cost nothing is one of them if it was asked for something.
type PaidCall struct {
	Asked  time.Time // the request arrived
	At     time.Time // it was charged
	Kind   string
	Items  int // ASINs or sellers asked for; rows for a deal page
	Cost   int
	Before int // balance just before the charge
	After  int // balance just after
	// Unseen are the tokens that others took since the last answer the caller had
	// when it asked: it could not know of them.
	Unseen int
	Fault  Action
}

// Refusal is one 429.
type Refusal struct {
	At      time.Time
	Kind    string
	Balance int
	// Avoidable: the caller had been told enough to know that it would be refused.
	Avoidable bool
	Reason    string
}

// Expiry are tokens that a refill could not add because the bucket was full.
type Expiry struct {
	At     time.Time
	Tokens int
}

// Question is one thing asked for: the kind of call, the ASIN, and the start of
// its current price, so that asking again after a change is another question.
type Question struct {
	Kind, ASIN string
	Creation   int64 // Keepa minutes; 0 for what is not listed
}

// Books are everything that the simulated Keepa counted since the start.
type Books struct {
	Start    time.Time // zero before Start
	At       time.Time // up to when these are the figures
	Next     time.Time // the next refill
	Balance  int
	Rate     int // tokens per minute
	Opening  int // balance at the start
	Minimum  int // lowest balance
	Refilled int // tokens paid in
	Expired  int // tokens that found the bucket full
	Clipped  int // tokens that a smaller plan had no room for
	Foreign  int // tokens spent by somebody else on the same key

	Calls  map[string]int // executed calls by kind
	Tokens map[string]int // charged tokens by kind

	Refused  []Refusal
	Paid     []PaidCall
	Expiries []Expiry

	Peeks     map[string]int // executed peeks by ASIN
	Commits   map[string]int // executed commits by ASIN
	Questions map[Question]int
	Withheld  map[Question]int // those of them whose answer a fault kept back
	Synthetic int              // products made from a captured row, distinct ASINs
	Faults    map[Action]int
}

// Consumed are the tokens charged to our calls.
func (b Books) Consumed() int {
	sum := 0
	for _, n := range b.Tokens {
		sum += n
	}
	return sum
}

// Repeated are the questions that were executed more than once although their
// answer was sent, and how often.
func (b Books) Repeated() map[Question]int {
	again := map[Question]int{}
	for q, n := range b.Questions {
		if n -= b.Withheld[q]; n > 1 {
			again[q] = n
		}
	}
	return again
}

// Gross is what the plan promised since the start: paid in, and what found no room.
func (b Books) Gross() int { return b.Refilled + b.Expired }

// Avoidable are the refusals that the caller could have foreseen.
func (b Books) Avoidable() int {
	n := 0
	for _, r := range b.Refused {
		if r.Avoidable {
			n++
		}
	}
	return n
}

// ExpiredBetween are the tokens that expired after from and not after to.
func (b Books) ExpiredBetween(from, to time.Time) int {
	n := 0
	for _, e := range b.Expiries {
		if e.At.After(from) && !e.At.After(to) {
			n += e.Tokens
		}
	}
	return n
}

func newBooks() Books {
	return Books{
		Calls: map[string]int{}, Tokens: map[string]int{}, Peeks: map[string]int{}, Commits: map[string]int{},
		Questions: map[Question]int{}, Withheld: map[Question]int{}, Faults: map[Action]int{},
	}
}

func (b Books) clone() Books {
	b.Calls, b.Tokens = maps.Clone(b.Calls), maps.Clone(b.Tokens)
	b.Peeks, b.Commits = maps.Clone(b.Peeks), maps.Clone(b.Commits)
	b.Questions, b.Withheld, b.Faults = maps.Clone(b.Questions), maps.Clone(b.Withheld), maps.Clone(b.Faults)
	b.Refused, b.Paid, b.Expiries = slices.Clone(b.Refused), slices.Clone(b.Paid), slices.Clone(b.Expiries)
	return b
}
