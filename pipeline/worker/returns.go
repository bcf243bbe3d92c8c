package worker

import (
	"context"
	"sync"
	"time"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
)

// Returns knows when work that was handed back comes again. A durable counts such
// work as delivered, not as pending, so a loop that looked at what is pending
// alone would leave the last of it where it is.
type Returns struct {
	mu     sync.Mutex
	due    map[string][]comeback // by durable
	probed map[string]time.Time  // machine time
}

// comeback is one item that was handed back.
type comeback struct {
	at    time.Time // machine time from which on it is deliverable
	tries int       // takes that should have brought it and did not
}

const (
	// lateness is how much later than asked for the server may deliver.
	lateness = 30 * time.Millisecond
	// missedAgain is the wait after a take that brought nothing; somebody else may
	// have what we wait for.
	missedAgain = 500 * time.Millisecond
	maxMissed   = 3
	// orphanProbe is how often, in pipeline time, a loop looks for work whose worker
	// died: nobody handed that back.
	orphanProbe = time.Minute
)

// Waits is how many items of a durable a take may bring now.
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

// Took says that up to n items were asked for and these came. It watches how they
// are settled.
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
			n-- // redeliveries come before what is pending
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
}

// watched tells Returns what is handed back.
type watched struct {
	loop.Settler
	r       *Returns
	durable string
}

// Again hands the item back and remembers when it comes again.
func (w *watched) Again(ctx context.Context, after time.Duration) error {
	w.r.handedBack(w.durable, after)
	return w.Settler.Again(ctx, after)
}
