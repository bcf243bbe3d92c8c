package bus_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/test/streams"
)

func TestAMemoAsksAgainOnlyAfterItWasForgottenOrFailedOrIsOld(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until it is old")
	}
	t.Parallel()
	asked, fails := 0, false
	m := bus.NewMemo(process.NewClock(time.Now(), 10), func(context.Context) (int, error) { // it is old after 3 to 6 s
		if asked++; fails {
			return 0, errors.New("no answer")
		}
		return asked, nil
	})
	read := func(want int) {
		t.Helper()
		if got, err := m.Read(t.Context()); err != nil || got != want {
			t.Errorf("read %d, %v; want %d", got, err, want)
		}
	}
	read(1)
	read(1)
	m.Forget()
	read(2)
	m.Forget()
	fails = true
	if _, err := m.Read(t.Context()); err == nil {
		t.Error("an error of the server is lost")
	}
	fails = false
	read(4)
	for end := time.Now().Add(20 * time.Second); asked == 4; time.Sleep(10 * time.Millisecond) {
		if _, err := m.Read(t.Context()); err != nil || time.Now().After(end) {
			t.Fatalf("it is kept although a hint may have been lost: %v", err)
		}
	}
}

func TestAForgettingDuringAReadIsNotLost(t *testing.T) {
	t.Parallel()
	var m *bus.Memo[int]
	asked := 0
	m = bus.NewMemo(process.RealClock(), func(context.Context) (int, error) {
		if asked++; asked == 1 {
			m.Forget() // written after the server has read, before it has answered
		}
		return asked, nil
	})
	for want := 1; want <= 2; want++ {
		if got, err := m.Read(t.Context()); err != nil || got != want {
			t.Errorf("read %d, %v; want %d", got, err, want)
		}
	}
}

func TestAHintComesWithThePublishAgainOnceItIsStoredAndAfterAReconnection(t *testing.T) {
	t.Parallel()
	env, srv := streams.Start(t, "127.0.0.1:0")
	env.NATSOptions = nil
	b := dial(t, env, srv)
	if err := b.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	var hints atomic.Int64
	stop, err := b.Hint(pipeline.KeySubject(pipeline.BucketConfig, ">"), func() { hints.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	await := func(what string, n int64) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); hints.Load() < n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %d hints, want %d", what, hints.Load(), n)
			}
		}
	}
	kv, err := b.Store(t.Context(), pipeline.BucketConfig)
	if err == nil {
		_, err = kv.Put(t.Context(), "key", []byte("{}"))
	}
	if err != nil {
		t.Fatal(err)
	}
	await("a publish and its echoes", 5)
	if err := b.NC.ForceReconnect(); err != nil {
		t.Fatal(err)
	}
	await("a reconnection", 6)
	stop()
}

func TestTheLastValueOfAMemoStandsInForAWhileWhereThatIsAllowed(t *testing.T) {
	t.Parallel()
	for atMost, stands := range map[time.Duration]bool{0: false, time.Nanosecond: false, time.Hour: true} {
		fails := true
		m := bus.NewMemo(process.RealClock(), func(context.Context) (int, error) {
			if fails {
				return 0, errors.New("no answer")
			}
			return 7, nil
		}).StandsIn(atMost)
		if _, err := m.Read(t.Context()); err == nil {
			t.Errorf("%s: a value stands in that was never read", atMost)
		}
		fails = false
		if n, err := m.Read(t.Context()); n != 7 || err != nil {
			t.Errorf("%s: %d, %v", atMost, n, err)
		}
		fails = true
		m.Forget()
		if n, err := m.Read(t.Context()); (err == nil) != stands || stands && n != 7 {
			t.Errorf("%s: %d, %v", atMost, n, err)
		}
		stopped, stop := context.WithCancel(t.Context())
		stop()
		if _, err := m.Read(stopped); err == nil {
			t.Errorf("%s: a value stands in for a reader that was stopped", atMost)
		}
	}
}
