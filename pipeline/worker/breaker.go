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
func (b *Breaker) Open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return process.MachineNow().Before(b.until)
}

// Until returns when an open circuit breaker permits a call again, machine time; in the past if it is not open.
func (b *Breaker) Until() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until
}

// HalfOpen reports whether no call has succeeded since one failed, even while the circuit breaker is still open: the
// next call should be a small one.
func (b *Breaker) HalfOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken > 0
}

// Failed opens the circuit breaker, if it is not open, and returns for how long, pipeline time.
func (b *Breaker) Failed(env process.Env) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if rest := process.MachineUntil(b.until); rest > 0 {
		return env.Clock.Pipeline(rest)
	}
	wait := time.Duration(1<<min(b.broken, 5)) * 10 * time.Second
	b.broken++
	b.until = process.MachineNow().Add(env.Clock.Machine(wait))
	return wait
}

// Succeeded closes the circuit breaker.
func (b *Breaker) Succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken, b.until = 0, time.Time{}
}
