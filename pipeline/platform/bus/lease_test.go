package bus_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/test/streams"
)

func hold(t *testing.T, l *bus.Lease, wantLeads, wantFresh bool) {
	t.Helper()
	leads, fresh, err := l.Hold(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if leads != wantLeads || fresh != wantFresh {
		t.Errorf("leads %t, fresh %t; want %t, %t", leads, fresh, wantLeads, wantFresh)
	}
}

func TestOneHoldsTheLeaseAndItsReleaseLetsTheNextHaveIt(t *testing.T) {
	t.Parallel()
	b := open(t)
	a, c := bus.NewLease(b, pipeline.KeyLeader), bus.NewLease(b, pipeline.KeyLeader)
	hold(t, a, true, true)
	hold(t, c, false, false)
	hold(t, a, true, false)
	a.Release()
	hold(t, c, true, true)
	hold(t, a, false, false)
}

func TestARenewedLeaseStillHasItsTTL(t *testing.T) {
	t.Parallel()
	b := open(t)
	l := bus.NewLease(b, pipeline.KeyLeader)
	hold(t, l, true, true)
	l.Drop() // the next Hold finds its own key and renews it
	hold(t, l, true, true)
	s, err := b.JS.Stream(t.Context(), pipeline.BucketStream(pipeline.BucketLeaders))
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(t.Context(), pipeline.KeySubject(pipeline.BucketLeaders, pipeline.KeyLeader))
	if err != nil {
		t.Fatal(err)
	}
	ttl, err := time.ParseDuration(m.Header.Get("Nats-TTL"))
	if err != nil || ttl != bus.LeaseTTL || m.Sequence < 2 {
		t.Errorf("message %d has TTL %s (%v), want a renewal with %s", m.Sequence, ttl, err, bus.LeaseTTL)
	}
}

func TestALeaseTakenByAnotherIsLost(t *testing.T) {
	t.Parallel()
	b := open(t)
	l := bus.NewLease(b, pipeline.KeyLeader)
	hold(t, l, true, true)
	kv, err := b.Store(t.Context(), pipeline.BucketLeaders)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), pipeline.KeyLeader, []byte(`{"id":"another"}`)); err != nil {
		t.Fatal(err)
	}
	l.Drop()
	hold(t, l, false, false)
}

// TestAHolderThatDoesNotAnswerLosesItsLease also shows that one that answers keeps it, however long another asks.
func TestAHolderThatDoesNotAnswerLosesItsLease(t *testing.T) {
	t.Parallel()
	env, _ := streams.Start(t, "")
	first, second := streams.Connect(t, env), streams.Connect(t, env)
	a, c := bus.NewLease(first, pipeline.KeyLeader), bus.NewLease(second, pipeline.KeyLeader)
	hold(t, a, true, true)
	now := time.Now()
	c.SetClock(func() time.Time { return now })
	for range 3 {
		hold(t, c, false, false)
		now = now.Add(bus.LeaseTTL / 3)
	}
	first.NC.Close() // as SIGKILL does
	hold(t, c, false, false)
	now = now.Add(2 * time.Second)
	hold(t, c, false, false)
	now = now.Add(2 * time.Second)
	hold(t, c, true, true)
}

// TestAHolderKeepsItsLeaseFromAnInstanceThatCannotReachItself is about an instance whose own requests are lost, so that
// every holder seems silent to it.
func TestAHolderKeepsItsLeaseFromAnInstanceThatCannotReachItself(t *testing.T) {
	t.Parallel()
	b := open(t)
	kv, err := b.Store(t.Context(), pipeline.BucketLeaders)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), pipeline.KeyLeader, []byte(`{"id":"another","asks":"svc.cut-off"}`)); err != nil {
		t.Fatal(err)
	}
	l := bus.NewLease(b, pipeline.KeyLeader)
	now := time.Now()
	l.SetClock(func() time.Time { return now })
	hold(t, l, false, false)
	if err := l.Deafen(); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		hold(t, l, false, false)
		now = now.Add(bus.LeaseTTL / 2)
	}
}

// TestAHolderThatNamesNoSubjectKeepsItsLease is about a holder of an older build.
func TestAHolderThatNamesNoSubjectKeepsItsLease(t *testing.T) {
	t.Parallel()
	b := open(t)
	kv, err := b.Store(t.Context(), pipeline.BucketLeaders)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), pipeline.KeyLeader, []byte(`{"id":"another"}`)); err != nil {
		t.Fatal(err)
	}
	l := bus.NewLease(b, pipeline.KeyLeader)
	now := time.Now()
	l.SetClock(func() time.Time { return now })
	for range 4 {
		hold(t, l, false, false)
		now = now.Add(bus.LeaseTTL / 2)
	}
}

// TestAHolderLooksAtItsKeyAsSoonAsSomebodyElseWroteIt is about an instance that was frozen while another took over, and
// about what a hand wrote: the first would lead beside the second for a third of the TTL, and the value would stay.
func TestAHolderLooksAtItsKeyAsSoonAsSomebodyElseWroteIt(t *testing.T) {
	t.Parallel()
	b := open(t)
	kv, err := b.Store(t.Context(), pipeline.BucketLeaders)
	if err != nil {
		t.Fatal(err)
	}
	l := bus.NewLease(b, pipeline.KeyLeader)
	now := time.Now()
	l.SetClock(func() time.Time { return now }) // no renewal is due
	hold(t, l, true, true)
	written := func(value string) jetstream.KeyValueEntry {
		t.Helper()
		if value != "" {
			if _, err := kv.Put(t.Context(), pipeline.KeyLeader, []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
		e, err := kv.Get(t.Context(), pipeline.KeyLeader)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	within := func(what string, done func(leads bool) bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
			leads, _, err := l.Hold(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if done(leads) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("not within 30 s: %s", what)
			}
		}
	}
	mine := string(written("").Value())
	for _, wrong := range []string{`{"id":`, "[]", "{}", "\x00"} {
		written(wrong)
		within("what a hand wrote is replaced", func(leads bool) bool { return leads && string(written("").Value()) == mine })
	}
	written(`{"id":"another"}`)
	within("another instance took over", func(leads bool) bool { return !leads })
	if got := string(written("").Value()); got != `{"id":"another"}` {
		t.Errorf("the former holder wrote %q", got)
	}
}

// TestAHolderDoesNotRenewBecauseOfItsOwnRenewal would be a loop of one write after another.
func TestAHolderDoesNotRenewBecauseOfItsOwnRenewal(t *testing.T) {
	t.Parallel()
	b := open(t)
	l := bus.NewLease(b, pipeline.KeyLeader)
	now := time.Now()
	l.SetClock(func() time.Time { return now })
	hold(t, l, true, true)
	seen, err := b.NC.SubscribeSync(pipeline.KeySubject(pipeline.BucketLeaders, pipeline.KeyLeader))
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(bus.LeaseTTL / 2)
	hold(t, l, true, false)
	if _, err := seen.NextMsg(10 * time.Second); err != nil {
		t.Fatalf("it is not renewed: %v", err)
	}
	for range 20 { // what the subscription of the lease receives, it has received before this
		hold(t, l, true, false)
		if err := b.NC.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	if n, _, err := seen.Pending(); err != nil || n > 0 {
		t.Errorf("%d more renewals, %v", n, err)
	}
}
