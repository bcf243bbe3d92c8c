package worker_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/worker"
)

// settled takes note of how a delivery was settled.
type settled struct{ again []time.Duration }

func (*settled) Done(context.Context) error { return nil }

func (s *settled) Again(_ context.Context, after time.Duration) error {
	s.again = append(s.again, after)
	return nil
}
func (*settled) Never(context.Context, string) error { return nil }

// past is a delay that is over: what is handed back with it is deliverable at once.
const past = -time.Minute

// handBack takes n items of a durable and hands them back.
func handBack(t *testing.T, r *worker.Returns, durable string, n int, after time.Duration) *settled {
	t.Helper()
	s := &settled{}
	items := make([]loop.Item, n)
	for i := range items {
		items[i].Settle = s
	}
	r.Took(durable, n, items)
	for _, it := range items {
		if err := it.Settle.Again(t.Context(), after); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestWorkThatWasHandedBackIsTakenWhenItIsDeliverableAgainAndNotBefore(t *testing.T) {
	t.Parallel()
	env, r := process.Env{Clock: process.RealClock()}, &worker.Returns{}
	if s := handBack(t, r, "d", 2, time.Hour); len(s.again) != 2 || s.again[0] != time.Hour {
		t.Fatalf("the server was asked for %v", s.again)
	}
	waits := func(durable string, b bus.Backlog) int { return r.Available(env, durable, b) }
	if n := waits("d", bus.Backlog{Unsettled: 2}); n != 0 {
		t.Errorf("%d are taken an hour early", n)
	}
	handBack(t, r, "d", 3, past)
	if n := waits("d", bus.Backlog{Pending: 4, Unsettled: 5}); n != 7 {
		t.Errorf("%d may be taken, want 4 that are new and 3 that are back", n)
	}
	if n := waits("d", bus.Backlog{Pending: 4, Unsettled: 1}); n != 5 {
		t.Errorf("%d may be taken, want 4 and the one that is not settled", n)
	}
	if n := waits("other", bus.Backlog{Unsettled: 5}); n != 0 {
		t.Errorf("another durable gets %d", n)
	}
	r.Took("d", 2, make([]loop.Item, 2))
	if n := waits("d", bus.Backlog{Unsettled: 5}); n != 1 {
		t.Errorf("%d are left of 3 after 2 came", n)
	}
}

func TestATakeThatBringsNothingIsRepeatedLaterAndGivenUpInTheEnd(t *testing.T) {
	t.Parallel()
	env, r := process.Env{Clock: process.RealClock()}, &worker.Returns{}
	handBack(t, r, "d", 1, past)
	r.Took("d", 1, nil) // another worker may have it
	if n := r.Available(env, "d", bus.Backlog{Unsettled: 1}); n != 0 {
		t.Errorf("%d are taken again at once", n)
	}
	for end := time.Now().Add(20 * time.Second); r.Available(env, "d", bus.Backlog{Unsettled: 1}) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it is never taken again")
		}
	}
}

func TestWorkWhoseWorkerDiedIsLookedForEveryMinute(t *testing.T) {
	t.Parallel()
	orphans := bus.Backlog{Unsettled: 3}
	r := &worker.Returns{}
	slow := process.Env{Clock: process.RealClock()}
	for range 3 {
		if n := r.Available(slow, "d", orphans); n != 0 {
			t.Fatalf("%d are looked for within a minute: they are in a living worker's hand", n)
		}
	}
	fast := process.Env{Clock: process.NewClock(time.Now(), 1e9)} // a minute has passed at once
	if n := r.Available(fast, "d", orphans); n != 3 {
		t.Errorf("%d are looked for after a minute, want 3", n)
	}
	if n := r.Available(slow, "d", orphans); n != 0 {
		t.Errorf("%d are looked for at once again", n)
	}
	if n := r.Available(fast, "d", bus.Backlog{}); n != 0 {
		t.Errorf("%d are looked for where nothing is unsettled", n)
	}
}

func TestTheCircuitBreakerOpensForLongerWithEveryFailureAndClosesWithASuccess(t *testing.T) {
	t.Parallel()
	env, fast := process.Env{Clock: process.RealClock()}, process.Env{Clock: process.NewClock(time.Now(), 1e12)}
	var f worker.Breaker
	if f.Open() || f.HalfOpen() {
		t.Error("it is open before the first call")
	}
	for i, want := range []time.Duration{10, 20, 40, 80, 160, 320} {
		if got := f.Failed(fast); got != want*time.Second {
			t.Errorf("failure %d: open for %s, want %d s", i+1, got, want)
		}
		if f.Open() || !f.HalfOpen() {
			t.Errorf("failure %d: after that time a small call may go out, and it is a trial", i+1)
		}
	}
	if got := f.Failed(env); got != 320*time.Second || !f.Open() || !f.HalfOpen() {
		t.Errorf("the last failure: open for %s, want 320 s", got)
	}
	f.Succeeded()
	if f.Open() || f.HalfOpen() {
		t.Error("it is open after a success")
	}
	if got := f.Failed(env); got != 10*time.Second {
		t.Errorf("the first failure after a success: %s, want 10 s", got)
	}
}

func TestCallsThatFailInOneOutageOpenTheCircuitBreakerOnce(t *testing.T) {
	t.Parallel()
	env, fast := process.Env{Clock: process.RealClock()}, process.Env{Clock: process.NewClock(time.Now(), 1e12)}
	var f worker.Breaker
	for i := range 4 { // workers were in flight
		if got := f.Failed(env); got > 10*time.Second || got < 5*time.Second {
			t.Errorf("call %d: open for %s, want the rest of 10 s", i+1, got)
		}
	}
	var g worker.Breaker
	g.Failed(fast)
	for i := range 4 { // the first is the trial
		if got := g.Failed(env); got > 20*time.Second || got < 15*time.Second {
			t.Errorf("after the trial, call %d: open for %s, want the rest of 20 s", i+1, got)
		}
	}
}

func TestWorkThatFailedTogetherIsRedeliveredApart(t *testing.T) {
	t.Parallel()
	postpone := func(c process.Clock) time.Duration {
		env := process.Env{Clock: c, Log: slog.New(slog.DiscardHandler)}
		p := worker.NewStatus(env)
		d := worker.Postpone(env, p)(worker.Unit{}, worker.ErrOrdered)
		if p.Beat().Counters["again_ordered"] != 1 {
			t.Error("the status does not count it")
		}
		return d
	}
	least, most := time.Hour, time.Duration(0)
	for range 200 {
		d := postpone(process.RealClock())
		least, most = min(least, d), max(most, d)
	}
	if least < 30*time.Second || most >= 2*time.Minute || most-least < 45*time.Second {
		t.Errorf("between %s and %s, want spread from 30 s to 120 s", least, most)
	}
	if d := postpone(process.NewClock(time.Now(), 1e6)); d != 50*time.Millisecond {
		t.Errorf("%s of machine time, want at least 50 ms", d)
	}
}
