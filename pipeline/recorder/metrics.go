package recorder

import (
	"context"
	"errors"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/metric"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/store/settled"
)

const (
	countEvery  = time.Minute // machine time
	countWithin = 5 * time.Second
)

// metrics puts how far each stream is recorded.
func (p *pulse) metrics(put metric.Put) {
	p.mu.Lock()
	defer p.mu.Unlock()
	put(metric.ClickHouseUp, metric.Truth(p.awaySince.IsZero()))
	if p.insert > 0 {
		put(metric.RecorderInsert, p.insert.Seconds())
	}
	for stream, l := range p.lines {
		l.LagS = p.lag(l)
		put(metric.RecorderLag, l.LagS, stream)
		put(metric.RecorderPending, float64(l.Pending)+float64(l.Held), stream)
		put(metric.RecorderRows, float64(l.Recorded), stream)
	}
}

// counter is a sink that can count the deals by state.
type counter interface {
	settled.Warehouse
	Counts(ctx context.Context) (visibility.Counts, error)
}

var errClosed = errors.New("ClickHouse is not open")

// deals is a source of the numbers of deals by state, as in ClickHouse.
func (r *recorder) deals() metric.Source {
	return metric.Cached(countEvery, countWithin, process.MachineNow, func(ctx context.Context, put metric.Put) error {
		w, ok := r.store.opened().(counter)
		if !ok {
			return errClosed
		}
		resume, err := r.pauseInserts(ctx)
		if err != nil {
			return err
		}
		defer resume()
		var n visibility.Counts
		at, err := settled.Ask(ctx, r.bus, w, func(ctx context.Context) (err error) { n, err = w.Counts(ctx); return err })
		if err != nil {
			return err
		}
		for state, deals := range map[string]int{
			"found": n.Found, "stored": n.Stored, "visible": n.Visible, "stale": n.Stale, "expired": n.Expired, "invalid": n.Invalid, "set_aside": n.SetAside,
		} {
			put(metric.Deals, float64(deals), state)
		}
		put(metric.DealsAsOf, float64(at.Deals), pipeline.StreamDeals)
		put(metric.DealsAsOf, float64(at.Verdicts), pipeline.StreamVerdicts)
		put(metric.DealsAsOf, float64(at.Actions), pipeline.StreamActions)
		return nil
	})
}

// pauseInserts waits for the inserts under way, and holds back others until ctx ends or resume is called.
func (r *recorder) pauseInserts(ctx context.Context) (resume func(), err error) {
	if err := r.inserts.Acquire(ctx, everyInsert); err != nil {
		return nil, err
	}
	return func() { r.inserts.Release(everyInsert) }, nil
}

// measure adds the sources to the process's metrics until end is called.
func (r *recorder) measure() (end func()) {
	lines := r.env.Health.Metrics().Add("lines", r.pulse.metrics)
	deals := r.env.Health.Metrics().Add("deals", r.deals())
	return func() { lines(); deals() }
}
