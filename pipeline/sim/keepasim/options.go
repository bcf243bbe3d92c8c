package keepasim

import (
	"cmp"
	"log/slog"
	"time"
)

// DefaultTick is the time between refills, as measured on a real account.
const DefaultTick = 60200 * time.Millisecond

// Options configure a simulated Keepa. Now and Catalogue are required.
type Options struct {
	// Now is pipeline time. The server's own time is Now + Faults.Skew.
	Now func() time.Time
	// After fires after a span of pipeline time. Nil: answers take no time.
	After func(time.Duration) <-chan time.Time

	Seed      uint64        // of faults and latencies; the catalogue has its own
	Key       string        // the valid key; "" accepts any that is not empty
	Rate      int           // tokens per minute; 0 means 5
	Balance   int           // at the start; FullBucket or 0 is the capacity
	Tick      time.Duration // between refills; 0 is DefaultTick
	Next      time.Time     // the next refill, which may be in the past; zero: a tick after the start
	Catalogue Catalogue
	Faults    Faults
	Log       *slog.Logger // nil: silent

	// Instant makes answers take no time although After is set.
	Instant bool
	// StartEmpty makes a Balance of 0 mean zero tokens instead of a full bucket.
	StartEmpty bool
}

// FullBucket as Options.Balance is the capacity: 60 minutes of refill.
const FullBucket = -1 << 31

func (o Options) withDefaults() Options {
	o.Rate = cmp.Or(o.Rate, 5)
	if o.Balance == FullBucket || o.Balance == 0 && !o.StartEmpty {
		o.Balance = capacity(o.Rate)
	}
	o.Tick = cmp.Or(o.Tick, DefaultTick)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// Action is the effect of a fault on a call.
type Action string

// The actions. Those marked "charged" happen after the work was done and paid.
const (
	Refuse      Action = "429"         // a bare 429 although the balance is positive
	Fail        Action = "5xx"         // Rule.Status (default 500) without an envelope
	Hang        Action = "hang"        // charged, then no answer until the client goes away
	Cut         Action = "cut"         // charged, the connection breaks before the first byte of the body
	Partial     Action = "partial"     // charged, the connection breaks in the middle of the body
	Malformed   Action = "malformed"   // charged, 200 with a body that is not JSON
	Empty       Action = "empty"       // charged, 200 without a body
	NoBalance   Action = "nobalance"   // charged, the envelope lacks tokensLeft
	ZeroBalance Action = "zerobalance" // charged, the envelope claims tokensLeft 0
	Missing     Action = "missing"     // every second product is left out, and not charged
	Stale       Action = "stale"       // the offers refresh fails: old offers, 1 token (2 with rating)
	Overprice   Action = "overprice"   // Rule.Cost tokens instead of the listed price
)

// withholds reports that the caller pays and gets no information.
func (a Action) withholds() bool {
	switch a {
	case Hang, Cut, Partial, Malformed, Empty:
		return true
	}
	return false
}

// Rule is one scripted fault. The times are offsets from the start; a zero To
// has no end.
type Rule struct {
	Kind        string // kind of call: KindDeal, KindPeek, KindCommit, KindToken, KindSeller; "" any
	From, To    time.Duration
	Probability float64 // of each matching call; 0 is always
	Times       int     // at most this often; 0 is unlimited
	Do          Action
	Status      int // of Fail; 0 is 500
	Cost        int // of Overprice
}

// Drain is another program that spends on the same key: Tokens every Every.
type Drain struct {
	From, To time.Duration // offsets from the start; a zero To has no end
	Every    time.Duration
	Tokens   int
}

// RateChange is a change of plan at an offset from the start. The capacity
// follows; a balance above it expires.
type RateChange struct {
	At   time.Duration
	Rate int // tokens per minute; 0 refills nothing
}

// The orders of the deal list, against the query if need be; "" is the requested one.
const (
	OrderReverse = "reverse" // the opposite of the requested one
	OrderRandom  = "random"  // another order for each page
	OrderPercent = "percent" // by percentage, always
)

// Faults are the scripted faults.
type Faults struct {
	Rules  []Rule
	Drains []Drain
	Rates  []RateChange
	Order  string // of the deal list
	// Drift moves the list by up to this many rows between two pages, so that
	// rows at the seam are read twice or missed.
	Drift int
	// Duplicates is how many rows of a page are listed twice, at most.
	Duplicates int
	// RowsOff shifts every date of the list's rows: the answer to another question.
	RowsOff time.Duration
	// Odd is how many of every thousand rows, products and sellers are odd, each in one of the ways.
	Odd int
	// Skew is how far the server's clock is ahead of pipeline time.
	Skew time.Duration
	// SpuriousRate, if not 0, is reported as refillRate in every third answer while the actual rate does not change.
	SpuriousRate int
}

// ListOutage returns the rule for a deal list that answers 503.
func ListOutage(from, to time.Duration) Rule {
	return Rule{Kind: KindDeal, From: from, To: to, Do: Fail, Status: 503}
}

// Outage returns the rule for a /token endpoint that answers 503.
func Outage(from, to time.Duration) Rule {
	return Rule{Kind: KindToken, From: from, To: to, Do: Fail, Status: 503}
}
