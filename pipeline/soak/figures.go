// Package soak runs named scenarios of the whole pipeline on a simulated Keepa
// and judges them by the figures that an operator would: decided, tokens per
// decision, stalls, losses. Nothing in here is simulated but Keepa and time.
package soak

import (
	"fmt"
	"time"

	"ratchet/pipeline"
)

// Figures are a scenario's result. Hours and minutes are pipeline time.
type Figures struct {
	Scenario                  string                `json:"scenario"`
	OK                        bool                  `json:"ok"`
	Failures                  []string              `json:"failures"` // which bars were missed; empty when OK
	Speed                     float64               `json:"speed"`
	Seed                      uint64                `json:"seed"`
	Hours                     float64               `json:"hours"` // how long it ran
	Decided                   int                   `json:"decided"`
	Undecided                 int                   `json:"undecided"`
	HoursToAll                float64               `json:"hours_to_all"` // t0 to the last final verdict
	TokensSpent               int                   `json:"tokens_spent"` // what Keepa consumed until that verdict
	TokensPerDecision         float64               `json:"tokens_per_decision"`
	RepeatPaid                int                   `json:"repeat_paid"` // answers paid for again
	TokensExpiredWhileWaiting int                   `json:"tokens_expired_while_waiting"`
	TokensUsedShare           float64               `json:"tokens_used_share"`
	LongestStallMin           float64               `json:"longest_stall_min"`
	MinBalance                int                   `json:"min_balance"`
	HTTP429                   int                   `json:"http_429"`
	LedgerDrift               int                   `json:"ledger_drift"` // Keepa's books less the ledger's
	RowsUnaccounted           int                   `json:"rows_unaccounted"`
	GoodTotal                 int                   `json:"good_total"`
	GoodVisible               int                   `json:"good_visible"`
	RejectedByLook            map[pipeline.Look]int `json:"rejected_by_look"`
	VisibleIn                 string                `json:"visible_in"` // clickhouse, or streams where there is none
}

// bars are what a scenario must reach; a zero bar is not judged.
type bars struct {
	decided           int
	hoursToAll        float64
	tokensPerDecision float64
	stallMin          float64
	good              int
}

// judge fills OK and Failures: the invariants hold in every scenario, the bars
// in theirs.
func (f *Figures) judge(b bars) {
	f.Failures = []string{}
	miss := func(bad bool, format string, args ...any) {
		if bad {
			f.Failures = append(f.Failures, fmt.Sprintf(format, args...))
		}
	}
	miss(f.Undecided != 0, "undecided: %d, want 0", f.Undecided)
	miss(f.RowsUnaccounted != 0, "rows_unaccounted: %d, want 0", f.RowsUnaccounted)
	miss(f.RepeatPaid != 0, "repeat_paid: %d, want 0", f.RepeatPaid)
	miss(f.TokensExpiredWhileWaiting != 0, "tokens_expired_while_waiting: %d, want 0", f.TokensExpiredWhileWaiting)
	miss(f.HTTP429 != 0, "http_429: %d, want 0", f.HTTP429)
	miss(f.LedgerDrift != 0, "ledger_drift: %d, want 0", f.LedgerDrift)
	miss(f.MinBalance < 0, "min_balance: %d, want 0 or more", f.MinBalance)
	miss(b.decided > 0 && f.Decided != b.decided, "decided: %d, want %d", f.Decided, b.decided)
	miss(b.hoursToAll > 0 && f.HoursToAll > b.hoursToAll, "hours_to_all: %.2f, want at most %.2f", f.HoursToAll, b.hoursToAll)
	miss(b.tokensPerDecision > 0 && f.TokensPerDecision > b.tokensPerDecision,
		"tokens_per_decision: %.2f, want at most %.2f", f.TokensPerDecision, b.tokensPerDecision)
	miss(b.stallMin > 0 && f.LongestStallMin > b.stallMin, "longest_stall_min: %.1f, want at most %.0f", f.LongestStallMin, b.stallMin)
	miss(b.good > 0 && f.GoodVisible != b.good, "good_visible: %d, want %d", f.GoodVisible, b.good)
	f.OK = len(f.Failures) == 0
}

// sample is what was true of the pipeline at an instant.
type sample struct {
	at      time.Time
	waits   bool // work waits and the mode allows spending
	balance int
	expired int // tokens expired so far
}

// longestStall is the longest span between paid calls during which work waited
// without a break and the balance was positive.
func longestStall(samples []sample, paid []time.Time) time.Duration {
	var longest time.Duration
	var since time.Time // the span's start; zero while nothing is owed
	for _, s := range samples {
		for len(paid) > 0 && !paid[0].After(s.at) {
			if !since.IsZero() && paid[0].After(since) {
				longest = max(longest, paid[0].Sub(since))
				since = paid[0]
			}
			paid = paid[1:]
		}
		switch {
		case !s.waits || s.balance <= 0:
			since = time.Time{}
		case since.IsZero():
			since = s.at
		default:
			longest = max(longest, s.at.Sub(since))
		}
	}
	return longest
}

// expiredWhileWaiting is what expired between samples that both saw work wait.
func expiredWhileWaiting(samples []sample) int {
	n := 0
	for i := 1; i < len(samples); i++ {
		if samples[i-1].waits && samples[i].waits {
			n += samples[i].expired - samples[i-1].expired
		}
	}
	return n
}
