package shedding

import (
	"math"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
)

// Means are the tokens for deciding.
type Means struct {
	PerHour  float64       // income for deciding
	Hand     int           // balance, less what other waiting looks will take
	Price    float64       // tokens for one decision, all looks together
	Patience time.Duration // how long a new row may wait before its look is worthless; 0: for ever
}

// backfillWaits is how many times as long as new rows backfill may wait. A price that is less than an hour old has
// changed after 4 hours in 40 of 100 cases. What a first sweep finds is a day old and older, and has changed after 20
// hours in 35 of 100.
const backfillWaits = 3

func (m Means) forBackfill() Means {
	m.Patience *= backfillWaits
	return m
}

const (
	// deciding is the part of the income that looks may spend; the rest is for the list.
	deciding = 0.85
	// usualCommit is assumed until a commit was paid for.
	usualCommit = 6.5
	// mostCommit exceeds the price of any commit.
	mostCommit = 1000
)

// Peeked counts the peeks so far, those that survived, and those that an earlier answer rejected for no token.
type Peeked struct{ All, Survived, Free int }

// MeansOf returns what deciding can spend of a balance, while that many survivors wait for
// their commit. False if the plan is unknown, or the balance cannot be one.
func MeansOf(b token.Balance, commits int, p Peeked, patience time.Duration) (Means, bool) {
	commit := b.Stages[pipeline.StageCommitter].Price
	if b.Rate <= 0 || token.ValidFigures(b.Est, b.Rate) != nil || commit > mostCommit {
		return Means{}, false
	}
	if commit <= 0 {
		commit = usualCommit
	}
	return Means{
		PerHour: deciding * 60 * float64(b.Rate), Hand: int(float64(max(0, b.Est)) - commit*float64(commits)),
		Patience: patience, Price: p.price(commit),
	}, true
}

// price returns the price of a decision, all looks together: a peek, and a commit for the share
// of peeks that survive. To begin with, a few peeks of the usual share are added.
func (p Peeked) price(commit float64) float64 {
	const usual, weight = 0.2, 50
	all := float64(p.All) + weight
	return token.PricePeek*(1-float64(p.Free)/all) + (float64(p.Survived)+usual*weight)/all*commit
}

// slack is how many times the decidable work may wait before a line is drawn,
// so that a small hourly excess does not draw a line every minute.
const slack = 1.25

// Decidable returns how much of the waiting work can be decided within the patience.
func (m Means) Decidable() int {
	if m.Patience <= 0 || m.Price <= 0 {
		return math.MaxInt
	}
	return max(0, int((m.PerHour*m.Patience.Hours()+float64(m.Hand))/m.Price))
}

// Exceeded reports whether Draw would draw a line through that many new rows and that much backfill.
func (m Means) Exceeded(rows, backfill int) bool {
	return m.exceeded(rows) || m.forBackfill().exceeded(rows+backfill)
}

func (m Means) exceeded(waiting int) bool {
	n := m.Decidable()
	return n < math.MaxInt && float64(waiting) > slack*float64(max(1, n))
}
