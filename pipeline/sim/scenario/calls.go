package scenario

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
)

// affords is a balance with which there is always something to buy: more than the dearest call.
const affords = 40

// calls follows Keepa's balance on the machine's clock, without NATS: it must go on while that is down.
type calls struct {
	sim   *keepasim.Sim
	clock process.Clock
	stop  chan struct{}
	done  sync.WaitGroup

	mu      sync.Mutex
	samples []sample
}

func follow(sim *keepasim.Sim, clock process.Clock) *calls {
	c := &calls{sim: sim, clock: clock, stop: make(chan struct{})}
	c.done.Go(c.run)
	return c
}

func (c *calls) run() {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
		}
		_, balance, _, _ := c.sim.Bucket()
		c.mu.Lock()
		c.samples = append(c.samples, sample{at: time.Now(), waits: balance >= affords, balance: balance})
		c.mu.Unlock()
	}
}

func (c *calls) end() {
	close(c.stop)
	c.done.Wait()
}

// reset forgets the samples so far.
func (c *calls) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.samples = nil
}

// paid are the times of the paid calls.
func (c *calls) paid() []time.Time {
	var out []time.Time
	for _, p := range c.sim.Books().Paid {
		out = append(out, c.clock.Start.Add(c.clock.Machine(p.At.Sub(c.clock.Epoch))))
	}
	return out
}

// await waits for a paid call after an instant.
func (c *calls) await(ctx context.Context, after time.Time, within time.Duration) error {
	for {
		if all := c.paid(); len(all) > 0 && all[len(all)-1].After(after) {
			return nil
		}
		if time.Since(after) > within {
			return fmt.Errorf("no paid call within %s", within)
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// longest returns the longest times since the reset without a decision, and without a paid call, while tokens were
// left.
func (c *calls) longest(decided []time.Time) (decision, paid time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return longestStall(c.samples, decided), longestStall(c.samples, c.paid())
}
