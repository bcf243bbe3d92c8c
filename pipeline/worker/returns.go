package worker

import (
	"context"
	"sync"
	"time"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
)

// Returns tracks when returned work is redelivered. A durable counts such work as delivered,
// not as pending, so a loop that only reads what is pending would never take the last of it.
type Returns struct {
	mu     sync.Mutex
	due    map[string][]redelivery // by durable
	added  process.Hint            // an item was returned
	probed map[string]time.Time    // machine time
}

// redelivery is one item that was returned.
type redelivery struct {
	at    time.Time // machine time from which on it can be delivered
	tries int       // takes that should have returned it and did not
}

const (
	// lateness is how much later than requested the server may deliver.
	lateness = 30 * time.Millisecond
	// missedAgain is the wait after a take that returned nothing; another worker may have the item.
	missedAgain = 500 * time.Millisecond
	maxMissed   = 3
	// orphanProbe is how often, in pipeline time, a loop checks for work of dead workers, which was not returned.
	orphanProbe = time.Minute
)

// Available returns how many items of a durable a take may return now. Work of a dead worker was not returned here,
// so if nothing else is available its unsettled work is probed for, once in every orphanProbe.
func (r *Returns) Available(env process.Env, durable string, b bus.Backlog) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := process.MachineNow()
	back := 0
	for _, c := range r.due[durable] {
		if !c.at.After(now) {
			back++
		}
	}
	back = min(back, b.Unsettled)
	switch {
	case b.Pending+back > 0:
		return b.Pending + back
	case b.Unsettled > 0 && r.probeDue(durable, now, env.Clock.Machine(orphanProbe)):
		return b.Unsettled
	}
	return 0
}

// probeDue reports whether the unsettled work of a durable is to be probed for. The first call only starts the
// interval.
func (r *Returns) probeDue(durable string, now time.Time, every time.Duration) bool {
	last, known := r.probed[durable]
	if known && now.Sub(last) < every {
		return false
	}
	if r.probed == nil {
		r.probed = map[string]time.Time{}
	}
	r.probed[durable] = now
	return known
}

// Took records that up to n items were requested and these arrived. It observes how they are settled.
func (r *Returns) Took(durable string, n int, items []loop.Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := process.MachineNow()
	var keep []redelivery
	for _, c := range r.due[durable] {
		switch {
		case c.at.After(now) || n == 0:
			keep = append(keep, c)
		case len(items) > 0:
			n-- // redeliveries come before pending messages
		case c.tries < maxMissed:
			n--
			keep = append(keep, redelivery{at: now.Add(missedAgain), tries: c.tries + 1})
		default:
			n--
		}
	}
	if r.due == nil {
		r.due = map[string][]redelivery{}
	}
	r.due[durable] = keep
	for i := range items {
		items[i].Settle = &watched{Settler: items[i].Settle, r: r, durable: durable}
	}
}

func (r *Returns) handedBack(durable string, after time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due[durable] = append(r.due[durable], redelivery{at: process.MachineNow().Add(after + lateness)})
	r.changed().Give()
}

// next returns the machine time from which on the next of what was returned can be delivered, zero without one.
// The channel fires when more is returned.
func (r *Returns) next() (at time.Time, changed <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := process.MachineNow()
	for _, all := range r.due {
		for _, c := range all {
			if c.at.After(now) && (at.IsZero() || c.at.Before(at)) {
				at = c.at
			}
		}
	}
	return at, r.changed()
}

// changed returns the channel; r.mu is held.
func (r *Returns) changed() process.Hint {
	if r.added == nil {
		r.added = process.NewHint()
	}
	return r.added
}

// watched reports to Returns which items are returned.
type watched struct {
	loop.Settler
	r       *Returns
	durable string
}

// Again returns the item and records when it will be redelivered.
func (w *watched) Again(ctx context.Context, after time.Duration) error {
	w.r.handedBack(w.durable, after)
	return w.Settler.Again(ctx, after)
}
