package tokend

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/spend/claims"
)

// affordableWithin is the bar, machine time.
const affordableWithin = 250 * time.Millisecond

// BenchmarkAffordableToClaim measures the time from the refill that makes a waiting commit affordable to its
// claim, on the machine's clock: a real NATS, a tokend, one worker, and a Keepa whose minute lasts a second.
// A Keepa that really refilled every second would differ: its tick is known, and the engine relies on it.
func BenchmarkAffordableToClaim(b *testing.B) {
	const rate = 7 // a commit costs 6 to 13, so it waits for one refill or two
	const speed = 60
	w := newWorld(b, speed, keepasim.Options{Rate: rate, Balance: 1, StartEmpty: true})
	w.survivors(pipeline.LookPeek, "a", 100)
	ctx, cancel := context.WithCancel(b.Context())
	d := w.tokend()
	done := make(chan struct{})
	go func() { defer close(done); _ = d.run(ctx) }() // it ends with ctx
	defer func() { cancel(); <-done }()
	p, g := w.purse(pipeline.StageCommitter), w.gateway()
	var late []time.Duration
	for i := 0; b.Loop(); i++ {
		books := w.sim.Account()
		since := w.env.Now()
		missing := max(0, token.PriceCommit-books.Balance)
		due := books.Start.Add(since.Sub(books.Start).Truncate(keepasim.DefaultTick)) // the last refill
		due = due.Add(time.Duration((missing+rate-1)/rate) * keepasim.DefaultTick)
		c := claimWhenAffordable(b, p)
		if missing > 0 {
			late = append(late, w.env.Clock.Machine(w.env.Now().Sub(due)))
		}
		a, err := g.Products(ctx, c, 1, []string{w.asn[i%len(w.asn)]}, true)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Close(ctx, a.Consumed, a.Reading); err != nil {
			b.Fatal(err)
		}
	}
	if len(late) < 20 {
		return // the first, short rounds of the harness
	}
	slices.Sort(late)
	b.Logf("slowest: %v", late[max(0, len(late)-8):])
	p99 := late[len(late)*99/100]
	b.ReportMetric(float64(late[len(late)/2].Milliseconds()), "p50-ms")
	b.ReportMetric(float64(p99.Milliseconds()), "p99-ms")
	b.ReportMetric(float64(affordableWithin)/float64(max(p99, 1)), "bar/p99")
	if p99 > affordableWithin || late[0] < 0 {
		b.Errorf("from affordable to claim %v at p99 of %d, first %v; want 0 to %v", p99, len(late), late[0], affordableWithin)
	}
}

// claimWhenAffordable claims as a worker does: on a hint, or after worker.Nap.
func claimWhenAffordable(b *testing.B, p *claims.Spender) *claims.Claim {
	b.Helper()
	for {
		c, err := p.Claim(b.Context(), token.PriceCommit, pipeline.KindCommit, 1)
		if err == nil {
			return c
		}
		if !errors.Is(err, claims.ErrShort) {
			b.Fatal(err)
		}
		select {
		case <-p.Changed():
		case <-time.After(250 * time.Millisecond):
		}
	}
}
