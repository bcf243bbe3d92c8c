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

// PaidCall is one executed and answered call, in the order of charging. A
// call that cost nothing is included if it requested something.
type PaidCall struct {
	Asked  time.Time // the request arrived
	At     time.Time // it was charged
	Kind   string
	Items  int // ASINs or sellers requested; rows for a deal page
	Cost   int
	Before int // balance just before the charge
	After  int // balance just after
	// Unseen are the tokens that others took since the last answer that the caller had when it sent the request.
	Unseen int
	Fault  Action
}

// Refusal is one 429.
type Refusal struct {
	At      time.Time
	Kind    string
	Balance int
	// Avoidable: earlier answers had shown the caller that it would be refused.
	Avoidable bool
	Reason    string
}

// Question is the subject of a request: the kind of call, the ASIN, and the start of
// its current price, so that a request after a change is another question.
type Question struct {
	Kind, ASIN string
	Creation   int64 // Keepa minutes; 0 if not listed
}

// Account has the counts of the simulated Keepa since the start.
type Account struct {
	Start    time.Time // zero before Start
	At       time.Time // the instant of these figures
	Next     time.Time // the next refill
	Balance  int
	Rate     int // tokens per minute
	Opening  int // balance at the start
	Minimum  int // lowest balance
	Refilled int // tokens added
	Expired  int // tokens lost at a full bucket
	Clipped  int // tokens lost with a smaller plan
	Foreign  int // tokens spent by another program on the same key

	Calls  map[string]int // executed calls by kind
	Tokens map[string]int // charged tokens by kind

	Refused []Refusal
	Paid    []PaidCall

	Peeks     map[string]int // executed peeks by ASIN
	Commits   map[string]int // executed commits by ASIN
	Questions map[Question]int
	Withheld  map[Question]int // those of them whose answer a fault withheld
	Synthetic int              // products made from a captured row, distinct ASINs
	Faults    map[Action]int
}

// Consumed returns the tokens charged to our calls.
func (b Account) Consumed() int {
	sum := 0
	for _, n := range b.Tokens {
		sum += n
	}
	return sum
}

// Repeated returns the questions that were executed more than once although their answer was sent, and how often.
func (b Account) Repeated() map[Question]int {
	again := map[Question]int{}
	for q, n := range b.Questions {
		if n -= b.Withheld[q]; n > 1 {
			again[q] = n
		}
	}
	return again
}

// Gross returns the plan's refills since the start: added and expired.
func (b Account) Gross() int { return b.Refilled + b.Expired }

// Avoidable counts the refusals that the caller could have foreseen.
func (b Account) Avoidable() int {
	n := 0
	for _, r := range b.Refused {
		if r.Avoidable {
			n++
		}
	}
	return n
}

func newAccount() Account {
	return Account{
		Calls: map[string]int{}, Tokens: map[string]int{}, Peeks: map[string]int{}, Commits: map[string]int{},
		Questions: map[Question]int{}, Withheld: map[Question]int{}, Faults: map[Action]int{},
	}
}

func (b Account) clone() Account {
	b.Calls, b.Tokens = maps.Clone(b.Calls), maps.Clone(b.Tokens)
	b.Peeks, b.Commits = maps.Clone(b.Peeks), maps.Clone(b.Commits)
	b.Questions, b.Withheld, b.Faults = maps.Clone(b.Questions), maps.Clone(b.Withheld), maps.Clone(b.Faults)
	b.Refused, b.Paid = slices.Clone(b.Refused), slices.Clone(b.Paid)
	return b
}
