package process

import (
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is the pause before a retry: First, and after each failure in a row twice as long, up to Most. Up to half
// of a pause is left out at random (jitter), so that those who failed together do not retry together.
type Backoff struct {
	First, Most time.Duration

	failures int // in a row
}

// Next returns the pause after another failure.
func (b *Backoff) Next() time.Duration {
	pause := b.First
	for n := 0; n < b.failures && pause < b.Most; n++ {
		pause *= 2
	}
	b.failures++
	pause = min(pause, b.Most)
	return pause - rand.N(pause/2+1) //nolint:gosec // no secret
}

// Sleep waits for the next pause, or until ctx ends, and then returns its error.
func (b *Backoff) Sleep(ctx context.Context) error { return Sleep(ctx, b.Next()) }

// Reset begins again at First, after a success.
func (b *Backoff) Reset() { b.failures = 0 }
