package tokend

import (
	"context"
	"errors"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/metric"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/gateway"
)

// shown is the state of the leader's last turn, for a scrape. It is immutable.
type shown struct {
	balance token.Balance
	known   bool
	claims  map[pipeline.Stage]int
	lanes   map[string]token.Backlog // by durable
}

// modes are the possible modes of a balance.
var modes = []string{string(token.Burst), string(token.Recharge), string(token.Paused), string(token.Nospend), "unknown"}

// show publishes the state of this turn to the metrics.
func (t *tokend) show(b token.Balance) {
	claims := map[pipeline.Stage]int{}
	for stage, g := range t.issuer.Grants {
		claims[stage] = len(g.Open)
	}
	t.shown.Store(&shown{balance: b, known: t.issuer.Bucket.Known, claims: claims, lanes: t.waits})
}

// metrics puts the leader's metrics; a standby has none.
func (t *tokend) metrics(put metric.Put) {
	s := t.shown.Load()
	if s == nil {
		return
	}
	b := s.balance
	put(metric.BalanceKnown, metric.Truth(s.known))
	put(metric.KeyRefused, metric.Truth(t.refused.Load()))
	put(metric.WishRefused, metric.Truth(b.Refused != ""))
	put(metric.Drift, float64(b.Drift))
	put(metric.Expired, float64(b.Expired))
	metric.OneOf(put, metric.Mode, b.State, modes)
	metric.Age(put, metric.BalanceAge, t.env.Now(), b.Received)
	if s.known {
		put(metric.Balance, float64(b.Est))
		put(metric.Capacity, float64(b.Cap))
		put(metric.Refill, float64(b.Rate)/60)
	}
	s.stages(put)
}

// stages puts what each stage holds and the work that waits for it.
func (s *shown) stages(put metric.Put) {
	waits := map[pipeline.Stage]int{}
	for durable, lane := range s.lanes {
		stage := stageOf(durable)
		_, name, _ := strings.Cut(durable, "-")
		put(metric.Waiting, float64(lane.Pending), string(stage), name)
		put(metric.InWork, float64(lane.Unsettled), string(stage), name)
		waits[stage] += lane.Pending + lane.Unsettled
	}
	for stage, in := range s.balance.Stages {
		put(metric.ClaimsOpen, float64(s.claims[stage]), string(stage))
		put(metric.ClaimsTokens, float64(in.Open), string(stage))
		put(metric.Credit, float64(in.Credit), string(stage))
		if in.Price > 0 {
			put(metric.Price, in.Price, string(stage))
		}
	}
	for stage, n := range waits {
		put(metric.Affordable, float64(s.balance.Affordable(stage, n)), string(stage))
	}
}

const (
	askEvery  = 5 * time.Second // machine time
	askWithin = 500 * time.Millisecond
)

// streams is the source for what only NATS knows: work that waits for a glance, and the number of dead letters.
func (t *tokend) streams() metric.Source {
	ask := metric.Cached(askEvery, askWithin, process.MachineNow, func(ctx context.Context, put metric.Put) error {
		pending, unsettled, err := t.bus.Waiting(ctx, pipeline.StreamCandidates, t.bus.Own(pipeline.DurableGlance))
		if err != nil {
			return err
		}
		put(metric.Waiting, float64(pending), string(pipeline.StagePeeker), pipeline.DurableGlance)
		put(metric.InWork, float64(unsettled), string(pipeline.StagePeeker), pipeline.DurableGlance)
		dead, err := t.bus.Held(ctx, pipeline.StreamDead)
		put(metric.DeadLetters, float64(dead))
		return err
	})
	return func(put metric.Put) {
		if t.shown.Load() != nil {
			ask(put)
		}
	}
}

// measure adds the sources to the process's metrics until end is called.
func (t *tokend) measure() (end func()) {
	budget := t.env.Health.Metrics().Add("budget", t.metrics)
	streams := t.env.Health.Metrics().Add("streams", t.streams())
	return func() { budget(); streams() }
}

// noteKey records whether Keepa accepts the key. Other failures carry no information about it.
func (t *tokend) noteKey(err error) {
	var e *gateway.Error
	switch {
	case err == nil:
		t.refused.Store(false)
	case errors.As(err, &e) && (e.Kind == gateway.BadKey || e.Kind == gateway.Payment):
		t.refused.Store(true)
	}
}
