package bus_test

import (
	"encoding/json"
	"testing"
	"time"

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
	s, err := b.JS.Stream(t.Context(), "KV_"+pipeline.BucketLeaders)
	if err != nil {
		t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(t.Context(), "$KV."+pipeline.BucketLeaders+"."+pipeline.KeyLeader)
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

// TestAHolderThatNamesNoSubjectKeepsItsLease is about a holder of an older build, and an asker that cannot reach
// itself.
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

// TestAHolderThatIsDeposedContendsBeforeItsRenewalIsDue is about one that was frozen while another took over: it would
// lead beside that one for a third of the TTL.
func TestAHolderThatIsDeposedContendsBeforeItsRenewalIsDue(t *testing.T) {
	t.Parallel()
	b := open(t)
	kv, err := b.Store(t.Context(), pipeline.BucketLeaders)
	if err != nil {
		t.Fatal(err)
	}
	frozen, err := b.NC.SubscribeSync("svc.frozen") // it receives, and does not answer
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), pipeline.KeyLeader, []byte(`{"id":"frozen","asks":"svc.frozen"}`)); err != nil {
		t.Fatal(err)
	}
	l := bus.NewLease(b, pipeline.KeyLeader)
	now := time.Now()
	l.SetClock(func() time.Time { return now })
	hold(t, l, false, false)
	now = now.Add(4 * time.Second)
	hold(t, l, true, true)
	said := ""
	for said == "" {
		m, err := frozen.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatalf("the former holder is not notified: %v", err)
		}
		said = string(m.Data)
	}
	mine, err := kv.Get(t.Context(), pipeline.KeyLeader)
	if err != nil {
		t.Fatal(err)
	}
	var holder struct{ Asks string }
	if err := json.Unmarshal(mine.Value(), &holder); err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), pipeline.KeyLeader, []byte(`{"id":"another"}`)); err != nil {
		t.Fatal(err)
	}
	hold(t, l, true, false) // it cannot know
	if _, err := b.NC.Request(holder.Asks, nil, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	hold(t, l, true, false) // it was only asked
	if _, err := b.NC.Request(holder.Asks, []byte(said), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	hold(t, l, false, false)
}
