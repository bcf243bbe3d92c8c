package bus

import "time"

// SetClock gives a lease a machine clock of its own.
func (l *Lease) SetClock(now func() time.Time) { l.now = now }

// NotReady is what the probes answer about a daemon.
var NotReady = notReady
