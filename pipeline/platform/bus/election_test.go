package bus

import (
	"testing"
	"time"
)

func TestWhatIsNotAnsweredIsRepeatedMoreOftenForAsLongAsAnElectionTakes(t *testing.T) {
	t.Parallel()
	t0 := time.Now()
	var none *election
	if none.electing(t0) {
		t.Error("an election is assumed before anything was unanswered")
	}
	first := none.unanswered(t0)
	for after, want := range map[time.Duration]bool{0: true, electionLasts - 1: true, electionLasts: false, electionApart - 1: false} {
		if got := first.unanswered(t0.Add(after / 2)).electing(t0.Add(after)); got != want {
			t.Errorf("%s after the first: %t, want %t: servers that are slow are not asked so often for ever", after, got, want)
		}
	}
	if again := first.unanswered(t0.Add(electionApart)); !again.electing(t0.Add(electionApart)) {
		t.Error("a later election is not recognised")
	}
}
