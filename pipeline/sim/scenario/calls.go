package scenario

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
)

// affords is a balance with which any call can be paid for.
const affords = 25

// calls samples Keepa's balance on the machine's clock. It needs no NATS, so it continues while NATS is down; only
// whether work waits is the last report of NATS.
type calls struct {
	sim   *keepasim.Sim
	bus   *bus.Bus
	clock process.Clock
	stop  chan struct{}
	done  sync.WaitGroup
	work  atomic.Bool // waits in front of a paid look

	mu      sync.Mutex
	samples []sample
}

func follow(sim *keepasim.Sim, b *bus.Bus, clock process.Clock) *calls {
	c := &calls{sim: sim, bus: b, clock: clock, stop: make(chan struct{})}
	c.done.Go(c.run)
	c.done.Go(c.lookForWork)
	return c
}

// lookForWork asks every second whether work waits.
func (c *calls) lookForWork() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-c.stop:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		lanes, err := c.bus.Backlogs(ctx, pipeline.StreamSurvivors)
		cancel()
		if err != nil {
			continue // the last report stands
		}
		waits := false
		for _, l := range lanes {
			waits = waits || l.Pending > 0
		}
		c.work.Store(waits)
	}
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
		c.samples = append(c.samples, sample{at: time.Now(), waits: balance >= affords && c.work.Load(), balance: balance})
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
	for _, p := range c.sim.Account().Paid {
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
		if time.Since(after) > within && !c.work.Load() {
			return nil // everything is decided
		}
		if time.Since(after) > within {
			return fmt.Errorf("no paid call within %s", within)
		}
		if err := process.Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// longest returns the longest times since the reset without a decision, and without a paid call, while tokens were
// left and work waited.
func (c *calls) longest(decided []time.Time) (decision, paid time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return longestStall(c.samples, decided), longestStall(c.samples, c.paid())
}
