package refresh

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestTheShareIsNeverExceededWhateverRefreshesCost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, price := somePlan(t), rapid.IntRange(1, 20).Draw(t, "tokens")
		var c Cost
		for range 400 {
			c = c.After(price)
		}
		if spent := p.At(c).PerHour * float64(price); spent > 1.01*p.PerHour || spent < 0.99*p.PerHour {
			t.Fatalf("refreshes of %d tokens: %g tokens an hour, the share is %g", price, spent, p.PerHour)
		}
	})
}

func TestACostIsAtLeastThatOfAPeek(t *testing.T) {
	t.Parallel()
	p := PlanFor(24*time.Hour, 5, 0.15, 2)
	if got := p.At(0).PerHour; got != 45 {
		t.Errorf("before the first refresh %g an hour are planned, want 45", got)
	}
	if got := Cost(1).After(0).Tokens(); got != 1 {
		t.Errorf("a refresh that a glance rejected makes the cost %g, want 1", got)
	}
	if (Checkpoint{Cost: -1}).Valid(0, 0, t0) || (Checkpoint{Cost: 1e9}).Valid(0, 0, t0) || !(Checkpoint{Cost: 7}).Valid(0, 0, t0) {
		t.Error("an impossible cost is valid, or a possible one is not")
	}
}
