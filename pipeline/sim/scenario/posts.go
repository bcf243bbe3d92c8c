package scenario

import (
	"encoding/json"
	"maps"
	"net/http"
	"sync"
)

// posts is a user's webhook: it counts what the notifiers sent.
type posts struct {
	mu    sync.Mutex
	deals map[string]bool // ASINs
	keys  map[string]int  // Idempotency-Keys, of which each message has its own
}

func newPosts() *posts { return &posts{deals: map[string]bool{}, keys: map[string]int{}} }

// ServeHTTP takes a message; an alarm has no deal.
func (p *posts) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	type deal struct {
		ASIN string `json:"asin"`
	}
	var m struct {
		Deal  *deal  `json:"deal"`
		Deals []deal `json:"deals"`
	}
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[r.Header.Get("Idempotency-Key")]++
	if m.Deal != nil {
		m.Deals = append(m.Deals, *m.Deal)
	}
	for _, d := range m.Deals {
		p.deals[d.ASIN] = true
	}
}

// sent returns the ASINs that were sent.
func (p *posts) sent() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.deals)
}

// repeated returns how many messages came again.
func (p *posts) repeated() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, times := range p.keys {
		n += times - 1
	}
	return n
}
