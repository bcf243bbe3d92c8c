package kill_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/child"
	"ratchet/test/desk"
)

// hook is a target that kills the notifier around a message.
type hook struct {
	mu   sync.Mutex
	took []struct{ key, text string }
	kill func() // at the next message; nil: nobody dies
	dies when
}

// when is at which instant of a message the notifier dies.
type when int

const (
	beforeTaken  when = iota // it is on its way: the target has not taken it
	beforeAnswer             // the target has taken it and not answered
	afterAnswer
)

func (h *hook) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var body struct{ Text string }
	if json.NewDecoder(r.Body).Decode(&body) != nil || strings.HasPrefix(r.Header.Get("Idempotency-Key"), "alarm.") {
		return // no daemon runs beside it, which it reports after half a minute
	}
	h.mu.Lock()
	kill, dies := h.kill, h.dies
	if h.kill = nil; kill == nil || dies != beforeTaken {
		h.took = append(h.took, struct{ key, text string }{r.Header.Get("Idempotency-Key"), body.Text})
	}
	h.mu.Unlock()
	switch {
	case kill == nil:
	case dies == afterAnswer:
		go kill()
	default:
		kill()
	}
}

// times is how often each key arrived.
func (h *hook) times() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]int{}
	for _, m := range h.took {
		out[m.key]++
	}
	return out
}

// notify starts the notifier; it is ready when its consumers are there.
func notify(t *testing.T, d *desk.Desk, nats, targets string) *child.Child {
	t.Helper()
	env := append(d.Env.Clock.Environ(), "NATS_URL="+nats, "NOTIFY_TARGETS="+targets, "NOTIFY_SINCE=24h", "LOG_LEVEL=error")
	return child.Start(t, child.Command(t, env, binaries.Path(t, "notifier")))
}

// redeliver ends what only time would end: the deliveries in the hands of a dead notifier.
func redeliver(t *testing.T, d *desk.Desk) {
	t.Helper()
	stream, err := d.Bus.JS.Stream(t.Context(), pipeline.StreamDeals)
	if err != nil {
		t.Fatal(err)
	}
	for c := range stream.ListConsumers(t.Context()).Info() {
		if strings.HasPrefix(c.Name, pipeline.DurableNotify("")) && c.NumAckPending > 0 {
			if _, err := stream.ResetConsumer(t.Context(), c.Name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestAKilledNotifierLosesNoDealAndRepeatsAtMostOneMessageWithItsKey(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and kills a process")
	}
	t.Parallel()
	d, address := desk.Listening(t, 1)
	good := d.ASINs(keepasim.Good)
	kills := min(4, len(good)-1)
	if all {
		kills = len(good) - 1
	}
	first, second := &hook{}, &hook{}
	var targets []string
	for _, h := range []*hook{first, second} {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		targets = append(targets, server.URL)
	}
	for i := range kills {
		notifier := notify(t, d, address, strings.Join(targets, " "))
		first.mu.Lock()
		first.dies = when(i % 3)
		first.kill = func() { time.Sleep(time.Duration(i/3) * time.Millisecond); notifier.Kill() } // ever later behind the answer
		first.mu.Unlock()
		d.Accepted(t, good[i])
		desk.Await(t, "its death", notifier.HasEnded)
		redeliver(t, d)
	}
	notify(t, d, address, strings.Join(targets, " "))
	d.Accepted(t, good[kills])
	for name, h := range map[string]*hook{"the target at which it dies": first, "the other": second} {
		desk.Await(t, "all deals at "+name, func() bool { return len(h.times()) >= kills+1 })
		repeats := 0
		for _, n := range h.times() {
			repeats += n - 1 // one that is killed again and again is sent again and again
		}
		if len(h.times()) != kills+1 || repeats > kills {
			t.Errorf("%s was sent %d messages of %d deals, %d of them again, over %d kills", name, len(h.times()), kills+1, repeats, kills)
		}
		t.Logf("%s: %d deals, %d kills, %d repeats", name, kills+1, kills, repeats)
	}
}
