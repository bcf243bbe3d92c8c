package soak

import (
	"testing"
	"time"
)

func at(min int) time.Time { return time.Unix(int64(60*min), 0) }

func TestAStallIsTheLongestSpanBetweenPaidCallsWhileWorkWaits(t *testing.T) {
	t.Parallel()
	samples := []sample{
		{at: at(0), waits: true, balance: 5},
		{at: at(4), waits: true, balance: 5},
		{at: at(5), waits: false, balance: 5}, // nothing waits: the span ends here
		{at: at(30), waits: true, balance: 5},
		{at: at(37), waits: true, balance: 5},
		{at: at(38), waits: true, balance: 0}, // no balance: not a stall
		{at: at(90), waits: true, balance: 0},
	}
	if got, want := longestStall(samples, nil), 7*time.Minute; got != want {
		t.Errorf("stall %v, want %v", got, want)
	}
	if got, want := longestStall(samples, []time.Time{at(2), at(34)}), 4*time.Minute; got != want {
		t.Errorf("stall with paid calls %v, want %v", got, want)
	}
}

func TestTokensThatExpireWhileNothingWaitsAreNobodysFault(t *testing.T) {
	t.Parallel()
	samples := []sample{{waits: true}, {waits: true, expired: 3}, {waits: false, expired: 8}, {waits: true, expired: 20}}
	if got, want := expiredWhileWaiting(samples), 3; got != want {
		t.Errorf("expired while waiting %d, want %d", got, want)
	}
}

func TestAMissedBarIsNamedWithBothFigures(t *testing.T) {
	t.Parallel()
	f := Figures{Decided: 399, Undecided: 1, TokensPerDecision: 2.5}
	f.judge(bars{decided: 400, tokensPerDecision: 2})
	if f.OK || len(f.Failures) != 3 {
		t.Errorf("got %v, want three failures", f.Failures)
	}
}
