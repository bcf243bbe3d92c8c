package bus

import (
	"sync"
	"time"
)

// stuckAfter is how long a write fails before that is logged, machine time: an election or a restart takes less.
const stuckAfter = 10 * time.Second

// stuck are the places, a stream's subjects or a bucket, of which it was logged that nothing is stored.
type stuck struct {
	after  time.Duration
	logged sync.Map
}

// write is a write that is repeated until it is stored.
type write struct {
	b     *Bus // nil: nothing is logged
	to    string
	since time.Time // the first failure on the present connection
}

// failed logs once for each place that a write keeps failing. A lost connection is logged where it is lost.
func (w *write) failed(err error) {
	if w.b == nil || !w.b.NC.IsConnected() {
		w.since = time.Time{}
		return
	}
	if w.since.IsZero() {
		w.since = time.Now()
	}
	if time.Since(w.since) < w.b.stuck.after {
		return
	}
	if _, known := w.b.stuck.logged.LoadOrStore(w.to, true); !known {
		w.b.Log.Warn("writes to nats keep failing, will retry", "to", w.to, "err", err)
	}
}

// end forgets that the write failed; err is nil if it was stored.
func (w *write) end(err error) {
	if w.b == nil {
		return
	}
	if _, known := w.b.stuck.logged.LoadAndDelete(w.to); known && err == nil {
		w.b.Log.Info("writes to nats succeed again", "to", w.to)
	}
}
