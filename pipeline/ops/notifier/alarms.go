package notifier

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/notify"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

const (
	// lookEvery is how often the notifier looks for alarms, machine time.
	lookEvery = 10 * time.Second
	// listLate is how long the deal list may be due before that is an alarm, pipeline time.
	listLate = time.Hour
)

// alarms are what every sender reconciles its target with. Of several notifiers the leader's senders do.
type alarms struct {
	now atomic.Pointer[map[string]string] // nil: this notifier does not lead, or has not looked for long enough
}

// watch looks for what is wrong until ctx ends.
func (n *notifier) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery / 3) // a lease is renewed more often than that
	defer tick.Stop()
	for w := n.watcher(); ; {
		w.turn(ctx, process.MachineNow())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// watcher looks while its notifier leads.
type watcher struct {
	n      *notifier
	lease  *bus.Lease
	seen   notify.Watch // since this notifier leads
	looked time.Time    // machine time
}

func (n *notifier) watcher() *watcher {
	return &watcher{n: n, lease: bus.NewLease(n.b, pipeline.KeyNotifierLeader)}
}

// turn looks if that is due and this notifier leads. After another has led, it begins again: what that one sent is not
// known to be over.
func (w *watcher) turn(ctx context.Context, now time.Time) {
	leads, fresh, err := w.lease.Hold(ctx)
	if fresh {
		w.seen = notify.Watch{}
	}
	switch {
	case err != nil || !leads:
		w.n.follow()
	case now.Sub(w.looked) >= lookEvery:
		w.looked = now
		w.seen = w.n.look(ctx, w.seen, now)
		w.n.count(ctx)
	}
}

// follow leaves to the leader what it alone reports.
func (n *notifier) follow() {
	n.alarms.now.Store(nil)
	for _, l := range n.senders {
		l.note(func(s *targetStatus) { s.Waiting = 0 })
	}
}

// look looks once for what is wrong, and tells the senders what has been wrong for long enough.
func (n *notifier) look(ctx context.Context, w notify.Watch, at time.Time) notify.Watch {
	s, err := cli.Health(ctx, n.b)
	if err != nil {
		return w
	}
	w = w.Observe(wrongs(s), at)
	if now, known := w.Alarms(at); known {
		n.alarms.now.Store(&now)
	}
	return w
}

// count looks at how much waits for each target.
func (n *notifier) count(ctx context.Context) {
	for _, l := range n.senders {
		pending, unsettled, err := n.b.Waiting(ctx, pipeline.StreamDeals, pipeline.DurableNotify(l.target.hash))
		if err == nil {
			l.note(func(s *targetStatus) { s.Waiting = pending + unsettled })
		}
	}
}

// wrongs is what is wrong in a pipeline, by name.
func wrongs(s cli.Status) map[string]string {
	out := map[string]string{}
	for _, h := range s.Daemons {
		if away, _ := h.Detail["clickhouse"].(string); h.Daemon == "recorder" && strings.HasPrefix(away, "unreachable") {
			out["engine"] = "ClickHouse is " + away + "; deals are still found, reports and SQL wait"
		}
	}
	for _, st := range s.Stuck {
		if st.Daemon != "recorder" || out["engine"] == "" { // which says why
			name := "stuck:" + st.Daemon
			out[name] = strings.TrimPrefix(out[name]+"; "+st.String(), "; ")
		}
	}
	if _, err, runs := s.Keepa(); runs && err != nil {
		out["keepa"] = "Keepa: " + err.Error()
	}
	for name, w := range s.Watermarks {
		if s.Reads(name) && !w.NextPoll.IsZero() && s.At.Sub(w.NextPoll) > listLate {
			out["list:"+name] = fmt.Sprintf("the deal list %s should have been read at %s; what leaves it unread is lost", name, w.NextPoll.UTC().Format("2006-01-02 15:04 UTC"))
		}
	}
	return out
}
