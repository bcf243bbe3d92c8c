package worker

import (
	"context"
	"fmt"
	"time"

	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/claims"
)

// Waiter lets the loops of a stage wait until there may be something to do: for work that
// was published or redelivered, for tokens, for the end of a circuit breaker's pause.
type Waiter struct {
	Returns Returns

	env     process.Env
	status  *Status
	spender *claims.Spender
	breaker *Breaker
	work    process.Hint
}

// NewWaiter returns a waiter for work that is published to a subject of SURVIVORS, until the connection ends.
func NewWaiter(b *bus.Bus, env process.Env, status *Status, spender *claims.Spender, breaker *Breaker, subject string) (*Waiter, error) {
	w := &Waiter{env: env, status: status, spender: spender, breaker: breaker, work: process.NewHint()}
	if _, err := b.Hint(subject, w.work.Give); err != nil {
		return nil, fmt.Errorf("listen to %s: %w", subject, err)
	}
	return w, nil
}

// ForWork waits for work.
func (w *Waiter) ForWork(ctx context.Context) {
	at, changed := w.Returns.next()
	w.wait(ctx, "idle", at, nil, changed)
}

// ForTokens waits for tokens, or for more work, since some work costs none.
func (w *Waiter) ForTokens(ctx context.Context) {
	w.wait(ctx, "waiting_for_tokens", time.Time{}, w.spender.Changed(), nil)
}

// ForBreaker waits until the circuit breaker permits a call.
func (w *Waiter) ForBreaker(ctx context.Context) {
	w.wait(ctx, "circuit_open", w.breaker.Until(), nil, nil)
}

// wait sets the state and waits until one of the channels fires, until an instant of machine time, or for a
// Fallback, since work of dead workers and lost hints give no signal.
func (w *Waiter) wait(ctx context.Context, state string, until time.Time, granted, returned <-chan struct{}) {
	w.status.State(state)
	d := bus.Fallback(w.env.Clock)
	if !until.IsZero() {
		d = min(d, max(0, process.MachineUntil(until)))
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-w.work:
	case <-granted:
	case <-returned:
	case <-t.C:
	}
}
