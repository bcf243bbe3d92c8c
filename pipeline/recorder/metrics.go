package recorder

import (
	"context"
	"errors"
	"time"

	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/metric"
	"ratchet/pipeline/platform/process"
)

const (
	countEvery  = time.Minute // machine time
	countWithin = 2 * time.Second
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
		n, err := w.Counts(ctx)
		if err != nil {
			return err
		}
		put(metric.Deals, float64(n.Visible), "visible")
		put(metric.Deals, float64(n.Stale), "stale")
		put(metric.Deals, float64(n.Expired), "expired")
		put(metric.Deals, float64(n.Invalid), "invalid")
		return nil
	})
}

// measure adds the sources to the process's metrics until end is called.
func (r *recorder) measure() (end func()) {
	lines := r.env.Health.Metrics().Add("lines", r.pulse.metrics)
	deals := r.env.Health.Metrics().Add("deals", r.deals())
	return func() { lines(); deals() }
}
