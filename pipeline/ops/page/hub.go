package page

import (
	"slices"
	"sync"
	"sync/atomic"

	"ratchet/pipeline/platform/process"
)

// The topics that open pages wait for: a topic changes when something that its views show does.
const (
	aboutDeals   = "deals"
	aboutMachine = "machine"
	aboutOdds    = "odds"
)

// aboutASIN is the topic of one product.
func aboutASIN(asin string) string { return "asin " + asin }

// mostOpen bounds the pages that are kept live; a further one has to retry.
const mostOpen = 100

// hub wakes open pages. It holds no data: a page renders what it shows when it is woken.
type hub struct {
	done <-chan struct{} // closed at the end

	mu   sync.Mutex
	open map[*subscriber]bool
}

// subscriber is an open page.
type subscriber struct {
	topics []string    // of what its view shows
	stale  atomic.Bool // one of them changed
	wake   process.Hint
}

// join adds an open page; false if too many are open. leave removes it. Every page is also woken after each reading
// of the state, which its header shows.
func (h *hub) join(topics ...string) (s *subscriber, leave func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.open) >= mostOpen {
		return nil, nil, false
	}
	if h.open == nil {
		h.open = map[*subscriber]bool{}
	}
	s = &subscriber{topics: topics, wake: process.NewHint()}
	h.open[s] = true
	return s, func() { h.mu.Lock(); delete(h.open, s); h.mu.Unlock() }, true
}

// wake wakes the pages that wait for one of the topics; all if the machine's state was read.
func (h *hub) wake(topics ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.open {
		if slices.ContainsFunc(s.topics, func(t string) bool { return slices.Contains(topics, t) }) {
			s.stale.Store(true)
		} else if !slices.Contains(topics, aboutMachine) {
			continue
		}
		s.wake.Give()
	}
}

// shows reports whether an open page shows something of a topic.
func (h *hub) shows(topic string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for s := range h.open {
		if slices.Contains(s.topics, topic) {
			return true
		}
	}
	return false
}

// count returns how many pages are open.
func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open)
}
