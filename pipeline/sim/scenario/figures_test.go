package scenario

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

func TestTokensThatExpireWhileNothingWaitsDoNotCount(t *testing.T) {
	t.Parallel()
	samples := []sample{{waits: true}, {waits: true, expired: 3, consumed: 7}, {expired: 8, consumed: 9}, {waits: true, expired: 20, consumed: 30}}
	if consumed, expired := whileWaiting(samples, 0); consumed != 7 || expired != 3 {
		t.Errorf("while waiting consumed %d, expired %d; want 7 and 3", consumed, expired)
	}
}

func TestAMissedBarIsNamedWithBothFigures(t *testing.T) {
	t.Parallel()
	f := Figures{Decided: 399, Undecided: 1, TokensPerDecision: 2.5, TokensUsedShare: 1}
	f.judge(Bars{TokensPerDecision: 2}, 400)
	if f.OK || len(f.Failures) != 2 {
		t.Errorf("got %v, want two failures", f.Failures)
	}
}

func TestEveryScenarioHasADescription(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, s := range All() {
		if s.Name == "" || s.About == "" || s.Speed == 0 || names[s.Name] {
			t.Errorf("scenario %q: want a name of its own, a sentence and a speed", s.Name)
		}
		if s.Drive == nil && (s.World == nil || s.Limit == 0 || s.Box.Rate == 0) {
			t.Errorf("scenario %q: want a world, a limit and a plan, or a drive of its own", s.Name)
		}
		for i := 1; i < len(s.Steps); i++ {
			if s.Steps[i].At < s.Steps[i-1].At {
				t.Errorf("scenario %q: step %d comes before the one in front of it", s.Name, i)
			}
		}
		names[s.Name] = true
	}
}
