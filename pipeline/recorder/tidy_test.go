package recorder

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
)

// untidy is a sink that cannot be tidied.
type untidy struct {
	sink
	asked atomic.Int32
}

func (u *untidy) Tidy(context.Context) (int, error) {
	u.asked.Add(1)
	return 0, errors.New("memory limit exceeded")
}

func TestTheRecorderTidiesUpAndAFailureKeepsNothingWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	u := &untidy{}
	r, _ := w.start(func(s sink) sink { u.sink = s; return u })
	w.await("it tidied up", func() bool { return u.asked.Load() > 0 })
	w.verdicts(1, 40)
	w.settled()
	w.counts(40)
	if beat := r.pulse.beat(); beat.State == "stuck" {
		t.Errorf("a failed tidying is not an outage, but the heartbeat is %v", beat)
	}
}
