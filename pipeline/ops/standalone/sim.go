package standalone

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
)

// simKey is what the daemons present to the simulated Keepa.
const simKey = "simulated"

// simServer is the simulated Keepa on a loopback port, and the clock it lives by.
type simServer struct {
	clock   process.Clock
	sim     *keepasim.Sim
	http    *http.Server
	url     string
	balance int

	next    time.Time     // its next refill, before it starts
	stop    chan struct{} // ends the saving of its place
	stopped chan struct{}
}

// A process that is killed saves nothing more, and simulated time must not go back behind what it has published. So
// the time that is saved while it runs lies ahead of the clock, by more than the interval of the saves. A restart
// begins at that time, as after a short outage. A clean stop saves the actual time.
//
// Each save writes a file, so there is at most one in a minute of simulated time, and at most one in 10 s.
func (s *simServer) saveEvery() time.Duration {
	return max(10*time.Second, s.clock.Machine(time.Minute))
}

// remember saves the place ahead of the clock until stop is closed.
func (s *simServer) remember(o Options) {
	defer close(s.stopped)
	tick := time.NewTicker(s.saveEvery())
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
			s.saveAhead(o)
		}
	}
}

func (s *simServer) saveAhead(o Options) {
	p := s.place()
	p.At = p.At.Add(time.Duration(2 * float64(s.saveEvery()) * o.Speed))
	if err := p.save(o.dir("place.json")); err != nil {
		o.Log.Warn("simulated time is not remembered", "err", err)
	}
}

// openKeepa prepares the simulated Keepa and the clock that goes with it. In the
// real world there is nothing to prepare.
func (b *Box) openKeepa() error {
	if b.o.World == Real {
		return nil
	}
	cat, epoch, err := b.catalogue()
	if err != nil {
		return err
	}
	p, found, err := loadPlace(b.o.dir("place.json"))
	if err != nil {
		return err
	}
	balance := b.o.Balance
	if found {
		epoch, balance = p.At, p.Balance
	}
	if balance == FullBucket {
		balance = 60 * b.o.Rate
	}
	s := &simServer{clock: process.NewClock(epoch, b.o.Speed), balance: balance, next: p.Next, stop: make(chan struct{}), stopped: make(chan struct{})}
	s.sim = keepasim.New(keepasim.Options{
		Now: func() time.Time { return s.clock.Now() }, After: func(d time.Duration) <-chan time.Time { return s.clock.After(d) },
		Seed: b.o.Seed, Key: simKey, Rate: b.o.Rate, Balance: balance, StartEmpty: true, Tick: b.o.Tick, Next: p.Next, Catalogue: cat, Faults: b.o.Faults, Log: b.o.Log,
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for the simulated Keepa: %w", err)
	}
	s.url = "http://" + l.Addr().String()
	s.http = s.sim.Serve(l, func(err error) { b.fatal <- err })
	b.sim, b.Sim = s, s.sim
	s.saveAhead(b.o)
	go s.remember(b.o) // close waits for it
	return nil
}

// fixedEpoch is where the time of a scenario begins, so that a seed repeats a run.
var fixedEpoch = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// catalogue is what the simulated Keepa lists, and the pipeline time at which
// its world begins.
func (b *Box) catalogue() (keepasim.Catalogue, time.Time, error) {
	now := time.Now().UTC().Truncate(time.Minute)
	switch b.o.World {
	case Captured:
		c, err := keepasim.Captured(b.o.CapturedDir)
		if err != nil {
			return nil, now, fmt.Errorf("read captured answers in %s: %w; --captured wants the directory that holds deal/ and product/", b.o.CapturedDir, err)
		}
		return c, c.Epoch(), nil
	case Backlog:
		return keepasim.Backlog400(b.o.Seed), fixedEpoch, nil
	case Given:
		return b.o.Catalogue, fixedEpoch, nil
	default:
		return keepasim.Living(b.o.Seed, keepasim.LivingOptions{}), now, nil
	}
}

func (b *Box) clock() process.Clock {
	if b.sim == nil {
		return process.RealClock()
	}
	return b.sim.clock
}

// close stops answering and remembers where simulated time stood.
func (s *simServer) close(o Options) {
	close(s.stop)
	<-s.stopped
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.http.Shutdown(ctx); err != nil {
		_ = s.http.Close() // a call still hangs; its answer is lost as with the real one
	}
	if err := s.place().save(o.dir("place.json")); err != nil {
		o.Log.Warn("simulated time is not remembered", "err", err)
	}
}

func (s *simServer) place() place {
	at, balance, next, started := s.sim.Bucket()
	if !started {
		return place{At: s.clock.Now(), Balance: s.balance, Next: s.next}
	}
	return place{At: at, Balance: balance, Next: next}
}

// AwaitRecorder waits until the recorder has nothing left, or for at most d of
// machine time.
func (b *Box) AwaitRecorder(ctx context.Context, d time.Duration) {
	b.awaitRecorder(ctx, d, func(ctx context.Context, stream, durable string) (bool, error) {
		settled, last, err := b.Bus.Settled(ctx, stream, durable)
		return settled < last, err
	})
}

// awaitTaken waits until the recorder holds what it has not recorded, which it does as it stops.
func (b *Box) awaitTaken(ctx context.Context, d time.Duration) {
	b.awaitRecorder(ctx, d, func(ctx context.Context, stream, durable string) (bool, error) {
		pending, _, err := b.Bus.Waiting(ctx, stream, durable)
		return pending > 0, err
	})
}

// awaitRecorder waits until nothing is left of any stream, at most d of machine time.
func (b *Box) awaitRecorder(ctx context.Context, d time.Duration, left func(ctx context.Context, stream, durable string) (bool, error)) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	for ctx.Err() == nil {
		some := false
		for _, stream := range pipeline.RecordedStreams() {
			of, err := left(ctx, stream, pipeline.DurableRecorder(stream))
			if err != nil {
				return
			}
			some = some || of
		}
		if !some {
			return
		}
		_ = process.Sleep(ctx, 50*time.Millisecond) // after the end of ctx the next request fails
	}
}
