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
	due    map[string][]comeback // by durable
	added  process.Hint          // an item was returned
	probed map[string]time.Time  // machine time
}

// comeback is one item that was returned.
type comeback struct {
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

// Waits returns how many items of a durable a take may return now.
func (r *Returns) Waits(env process.Env, durable string, b bus.Backlog) int {
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
	if b.Pending+back > 0 || b.Unsettled == 0 {
		return b.Pending + back
	}
	if r.probed == nil {
		r.probed = map[string]time.Time{}
	}
	if last, ok := r.probed[durable]; !ok || process.MachineSince(last) < env.Clock.Machine(orphanProbe) {
		if !ok {
			r.probed[durable] = now
		}
		return 0
	}
	r.probed[durable] = now
	return b.Unsettled
}

// Took records that up to n items were requested and these arrived. It observes how they are settled.
func (r *Returns) Took(durable string, n int, items []loop.Item) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := process.MachineNow()
	var keep []comeback
	for _, c := range r.due[durable] {
		switch {
		case c.at.After(now) || n == 0:
			keep = append(keep, c)
		case len(items) > 0:
			n-- // redeliveries come before pending messages
		case c.tries < maxMissed:
			n--
			keep = append(keep, comeback{at: now.Add(missedAgain), tries: c.tries + 1})
		default:
			n--
		}
	}
	if r.due == nil {
		r.due = map[string][]comeback{}
	}
	r.due[durable] = keep
	for i := range items {
		items[i].Settle = &watched{Settler: items[i].Settle, r: r, durable: durable}
	}
}

func (r *Returns) handedBack(durable string, after time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due[durable] = append(r.due[durable], comeback{at: process.MachineNow().Add(after + lateness)})
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
