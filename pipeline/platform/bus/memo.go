package bus

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"ratchet/pipeline/platform/process"
)

// Memo keeps what was read from the server for as long as it cannot have changed: until it is forgotten, which is
// what a hint does, and for one Fallback. Every reader shares the value and must not change it.
type Memo[T any] struct {
	clock  process.Clock
	read   func(context.Context) (T, error)
	stands time.Duration // how old a value may be that stands in for one that cannot be read

	forgotten atomic.Uint64 // how often

	mu    sync.Mutex
	value T
	at    uint64    // forgotten when value was read
	asked time.Time // when value was read, machine time; zero before
	until time.Time // and until when it is kept
}

// NewMemo returns a memo of what read returns.
func NewMemo[T any](c process.Clock, read func(context.Context) (T, error)) *Memo[T] {
	return &Memo[T]{clock: c, read: read}
}

// StandsIn lets the last value stand in, for so long, for one that cannot be read: its reader must go on meanwhile. It
// returns the memo.
func (m *Memo[T]) StandsIn(atMost time.Duration) *Memo[T] {
	m.stands = atMost
	return m
}

// Forget makes the next Read ask the server.
func (m *Memo[T]) Forget() { m.forgotten.Add(1) }

// Read returns the value, from the server if it may have changed. An error is not kept.
func (m *Memo[T]) Read(ctx context.Context) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.forgotten.Load() // before the read: what is forgotten meanwhile is read again
	if at == m.at && process.MachineNow().Before(m.until) {
		return m.value, nil
	}
	value, err := m.read(ctx)
	switch {
	case err == nil:
		m.value, m.at, m.asked = value, at, process.MachineNow()
		m.until = m.asked.Add(Fallback(m.clock))
	case ctx.Err() == nil && process.MachineSince(m.asked) < m.stands:
		return m.value, nil
	}
	return value, err
}
