package recorder

import (
	"testing"
	"time"
)

func TestTheLagIsTheAgeOfWhatWasSeenLastWhileMoreWaits(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := newPulse(func() time.Time { return now })
	lag := func() float64 { return p.beat().Detail["VERDICTS"].(progress).LagS } //nolint:forcetypeassert // it was put there
	p.saw("VERDICTS", 7, 100, now.Add(-90*time.Second))
	if got := lag(); got != 90 {
		t.Errorf("behind: %v s, want 90", got)
	}
	p.saw("VERDICTS", 107, 0, now.Add(-time.Hour))
	if got := lag(); got != 0 {
		t.Errorf("nothing waits: %v s, want 0", got)
	}
}
