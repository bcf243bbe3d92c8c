package refresh

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestAClockThatIsStoredSeldomLosesNothingByADeath ticks every minute, stores what Differs asks for, and dies: the
// first tick of the successor, which starts at once, brings its clock to where a clock without a death is.
func TestAClockThatIsStoredSeldomLosesNothingByADeath(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
		var c, stored Checkpoint
		stores, steps := 0, rapid.IntRange(2, 100).Draw(t, "minutes")
		for range steps {
			now = now.Add(time.Minute)
			stalled := rapid.SampledFrom([]string{"", "", "", "", "", StalledPaused}).Draw(t, "stalled")
			c.Clock = c.Tick(stalled, now)
			if c.Differs(stored) {
				stored = c
				stores++
			}
		}
		successor, same := stored.Tick(c.Stalled, now.Add(time.Second)), c.Tick(c.Stalled, now.Add(time.Second))
		if successor != same {
			t.Fatalf("after a death the clock is %+v, without one %+v", successor, same)
		}
		if c.Since.IsZero() && stores > 2+steps/10 {
			t.Fatalf("%d stores in %d minutes in which only the clock ran", stores, steps)
		}
	})
}

func TestACheckpointIsStoredWhenItHasMoreThanTheTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	old := Checkpoint{Clock: Clock{Ran: time.Hour, At: at}, Seq: 7, Made: 1, Rate: 5, Cost: 1.5, Summary: Summary{Held: 3}}
	for name, c := range map[string]struct {
		change func(*Checkpoint)
		stored bool
	}{
		"only the time":       {func(c *Checkpoint) { c.Ran, c.At = c.Ran+time.Minute, c.At.Add(time.Minute) }, false},
		"a time that is over": {func(c *Checkpoint) { c.Ran, c.At = c.Ran+mostUnstored, c.At.Add(mostUnstored) }, true},
		"a verdict":           {func(c *Checkpoint) { c.Seq++ }, true},
		"another stream":      {func(c *Checkpoint) { c.Made++ }, true},
		"the plan":            {func(c *Checkpoint) { c.Rate = 20 }, true},
		"the price":           {func(c *Checkpoint) { c.Cost = 2 }, true},
		"the sums":            {func(c *Checkpoint) { c.Summary.Stale++ }, true},
		"a stall":             {func(c *Checkpoint) { c.Stalled, c.Since = StalledPaused, at }, true},
	} {
		next := old
		c.change(&next)
		if got := next.Differs(old); got != c.stored {
			t.Errorf("%s: stored %v, want %v", name, got, c.stored)
		}
	}
}
