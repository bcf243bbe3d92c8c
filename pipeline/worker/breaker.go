package worker

import (
	"sync"
	"time"

	"ratchet/pipeline/platform/process"
)

// Breaker is a circuit breaker: it blocks calls after failures, 10 s of pipeline
// time after the first, doubled each time, at most 320 s. Workers may share it: calls that
// were in flight together and fail together count once.
type Breaker struct {
	mu     sync.Mutex
	broken int
	until  time.Time // machine time
}

// Open reports whether calls are blocked.
func (f *Breaker) Open() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return process.MachineNow().Before(f.until)
}

// Until returns when an open circuit breaker permits a call again, machine time; in the past if it is not open.
func (f *Breaker) Until() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.until
}

// HalfOpen reports whether no call has succeeded since one failed, even while the circuit breaker is still open: the
// next call should be a small one.
func (f *Breaker) HalfOpen() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken > 0
}

// Failed opens the circuit breaker, if it is not open, and returns for how long, pipeline time.
func (f *Breaker) Failed(env process.Env) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if rest := -process.MachineSince(f.until); rest > 0 {
		return env.Clock.Pipeline(rest)
	}
	wait := time.Duration(1<<min(f.broken, 5)) * 10 * time.Second
	f.broken++
	f.until = process.MachineNow().Add(env.Clock.Machine(wait))
	return wait
}

// Succeeded closes the circuit breaker.
func (f *Breaker) Succeeded() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken, f.until = 0, time.Time{}
}
