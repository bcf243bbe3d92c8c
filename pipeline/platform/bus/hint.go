package bus

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline/platform/process"
)

// Fallback is how long to wait for a hint before looking without one: 30 to 60 s of pipeline time, and at least 50
// ms of machine time. A hint is lost only if a server loses the message that causes it.
func Fallback(c process.Clock) time.Duration {
	const least = 30 * time.Second
	d := max(50*time.Millisecond, c.Machine(least))
	return d + time.Duration(rand.Int64N(int64(d)))
}

// echoes are the delays after a publish at which its hint is repeated: a subscriber sees a write before
// the stream has stored it, which takes milliseconds on one server and may take seconds on several.
func echoes() []time.Duration {
	return []time.Duration{3 * time.Millisecond, 30 * time.Millisecond, 300 * time.Millisecond, 3 * time.Second}
}

// Hint calls f for every publish to a subject, at once and again some moments later, when the stream has stored it,
// and after every reconnection, because what was published meanwhile was not seen. It subscribes to the publishes
// themselves: a watcher of a bucket misses seconds after a restart of the server. f must not block. A hint may be
// lost, so a caller must also look after a Fallback.
func (b *Bus) Hint(subject string, f func()) (stop func(), err error) {
	return b.hintIf(subject, func(*nats.Msg) bool { return true }, f)
}

// hintIf is Hint for those publishes alone that are wanted.
func (b *Bus) hintIf(subject string, wanted func(*nats.Msg) bool, f func()) (stop func(), err error) {
	h := &hint{f: f}
	for _, d := range echoes() {
		t := time.AfterFunc(d, f)
		t.Stop()
		h.echoes = append(h.echoes, t)
	}
	s, err := b.NC.Subscribe(subject, func(m *nats.Msg) {
		if wanted(m) {
			h.fire()
		}
	})
	if err != nil {
		return func() {}, err
	}
	b.hints.add(h)
	return func() {
		_ = s.Unsubscribe() // the connection ends it too
		b.hints.remove(h)
	}, nil
}

// hint is one subscription's callback.
type hint struct {
	f      func()
	echoes []*time.Timer
}

// fire calls f now and restarts the echoes. If another publish restarts them, they cover both.
func (h *hint) fire() {
	h.f()
	for i, d := range echoes() {
		h.echoes[i].Reset(d)
	}
}

// hints are those of one connection.
type hints struct {
	mu  sync.Mutex
	all map[*hint]struct{}
}

func (s *hints) add(h *hint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[*hint]struct{}{}
	}
	s.all[h] = struct{}{}
}

func (s *hints) remove(h *hint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, h)
	for _, t := range h.echoes {
		t.Stop()
	}
}

// fire fires every hint: publishes may have been missed.
func (s *hints) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.all {
		h.fire()
	}
}
