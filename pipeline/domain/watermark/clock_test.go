package watermark_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"ratchet/pipeline"
)

// TestAfterOurClockWasSetBackAListIsReadWithinAnInterval has a machine whose clock is ahead for some hours, in which
// the list is read, a gap is opened and a sweep ends, and is then set right.
func TestAfterOurClockWasSetBackAListIsReadWithinAnInterval(t *testing.T) {
	t.Parallel()
	for _, ahead := range []time.Duration{0, 30 * time.Second, 9 * time.Hour, 72 * time.Hour, 365 * 24 * time.Hour} {
		rng := rand.New(rand.NewPCG(7, 5)) //nolint:gosec // no secret
		w := newReader(newList(t0, 400, rng.IntN))
		w.Income, w.Ours = 5, ahead
		w.Run(5 * time.Hour)
		w.Ours = 0
		polls, interval := w.Events[pipeline.EventPoll], time.Duration(w.State.IntervalS)*time.Second
		if polls == 0 || interval == 0 {
			t.Fatalf("%s ahead: %d polls, every %s", ahead, polls, interval)
		}
		w.Run(interval + 2*time.Minute)
		if w.Events[pipeline.EventPoll] == polls {
			t.Errorf("%s ahead: set right, the list was not read within %s; the next poll is in %s", ahead, interval, w.State.NextPoll.Sub(w.Now))
		}
		if s := w.State; s.ReadAt.After(w.Now) || s.LastSweep.After(w.Now.Add(time.Minute)) {
			t.Errorf("%s ahead: read at %s and swept at %s, and it is %s", ahead, s.ReadAt, s.LastSweep, w.Now)
		}
		if n := w.Reached["watermark.Correct"]; (n > 0) != (ahead > time.Hour) {
			t.Errorf("%s ahead: the state was corrected %d times", ahead, n)
		}
	}
}
