package stall_test

import (
	"testing"
	"time"

	"ratchet/pipeline/domain/stall"
)

func TestALoopIsStuckAfterTenMinutesWithoutProgress(t *testing.T) {
	t.Parallel()
	everything := stall.Observation{Work: true, Tokens: true, Wish: true}
	type turn struct {
		after time.Duration      // since the turn before
		sees  *stall.Observation // nil: it does not look
		step  bool               // a step succeeded
	}
	sees := func(after time.Duration, s stall.Observation) turn { return turn{after: after, sees: &s} }
	for _, c := range []struct {
		name  string
		turns []turn
		last  time.Duration // from the last turn to the question
		want  time.Duration
	}{
		{"it never looked", nil, time.Hour, 0},
		{"it has everything and gets nothing done", []turn{sees(0, everything), sees(5*time.Minute, everything)}, 5 * time.Minute, 10 * time.Minute},
		{"one second less is not stuck", []turn{sees(0, everything)}, stall.After - time.Second, 0},
		{"it hangs after its look", []turn{sees(0, everything)}, time.Hour, time.Hour},
		{"no work is idle", []turn{sees(0, stall.Observation{Tokens: true, Wish: true})}, time.Hour, 0},
		{"no tokens is waiting", []turn{sees(0, stall.Observation{Work: true, Wish: true})}, time.Hour, 0},
		{"paused is not stuck", []turn{sees(0, stall.Observation{Work: true, Tokens: true})}, time.Hour, 0},
		{"a step that succeeded begins again", []turn{sees(0, everything), {after: 9 * time.Minute, step: true}, sees(0, everything)}, 9 * time.Minute, 0},
		{"tokens that ran out for a moment begin again", []turn{sees(0, everything), sees(9*time.Minute, stall.Observation{Work: true, Wish: true}), sees(0, everything)}, 9 * time.Minute, 0},
		{"a clock that went back begins again", []turn{sees(0, everything), sees(-time.Hour, everything)}, 9 * time.Minute, 0},
		{"and ten minutes later it is stuck", []turn{sees(0, everything), sees(-time.Hour, everything)}, 10 * time.Minute, 10 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
			var w stall.Watch
			for _, turn := range c.turns {
				now = now.Add(turn.after)
				if turn.step {
					w = w.Step()
				}
				if turn.sees != nil {
					w = w.Observe(*turn.sees, now)
				}
			}
			if got := w.Stuck(now.Add(c.last)); got != c.want {
				t.Errorf("stuck for %s, want %s", got, c.want)
			}
		})
	}
}
