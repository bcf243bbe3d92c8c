package bus

import "time"

// SetClock gives a lease a machine clock of its own.
func (l *Lease) SetClock(now func() time.Time) { l.now = now }

// Deafen ends the lease's subscription, so that no question reaches it.
func (l *Lease) Deafen() error { return l.sub.Unsubscribe() }

// SetStuckAfter is how long a write may fail before that is logged.
func (b *Bus) SetStuckAfter(d time.Duration) { b.stuck.after = d }

// NotReady is what the probes answer about a daemon.
var NotReady = notReady
