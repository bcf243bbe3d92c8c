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
	clock process.Clock
	read  func(context.Context) (T, error)

	forgotten atomic.Uint64 // how often

	mu    sync.Mutex
	value T
	at    uint64    // forgotten when value was read
	until time.Time // machine time; zero before the first read
}

// NewMemo returns a memo of what read returns.
func NewMemo[T any](c process.Clock, read func(context.Context) (T, error)) *Memo[T] {
	return &Memo[T]{clock: c, read: read}
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
	if err != nil {
		return value, err
	}
	m.value, m.at, m.until = value, at, process.MachineNow().Add(Fallback(m.clock))
	return value, nil
}
