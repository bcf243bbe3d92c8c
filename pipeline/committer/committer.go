// Package committer fetches the full record of survivors, offers included, and
// decides whether they are deals.
//
//	SURVIVORS ─commit-TIER─▶ claim ─▶ stored answer or one call ─▶ judge
//	                                     │ RESPONSES                 ├─▶ deal.*.PRICETYPE.ASIN
//	                                     └─ sellers of accepted      └─▶ verdict.*.commit.*
//
// One claim pays for one ASIN and for its sellers.
package committer

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/metric"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/spend/gateway"
	"ratchet/pipeline/worker"
)

// committer is the state that its workers share.
type committer struct {
	cfg     Config
	env     process.Env
	bus     *bus.Bus
	rules   *worker.Rules
	keepa   *gateway.Gateway
	spender *claims.Spender
	status  *worker.Status
	inlets  map[pipeline.Tier]*bus.Inlet
	tiers   tiers
	breaker worker.Breaker
	waiter  *worker.Waiter

	// taking lets only one worker wait for work and tokens, because all would see the same. It is released once that
	// worker has its survivor. After a failed call it is held until the step has ended, so that one call at a time
	// tests whether Keepa answers again.
	taking sync.Mutex
}

// tiers counts how often better tiers were served, so that the others are
// not starved: every agingth step takes from the last tier that has work.
type tiers struct {
	mu    sync.Mutex
	turns int
}

// aging is how often the worst tier is served: every aging-th commit comes from the worst tier that has work.
const aging = 10

// Run commits survivors until ctx ends.
func Run(ctx context.Context, env process.Env) error {
	cfg, err := process.Load[Config](ctx, env.Lookup)
	if err != nil {
		return err
	}
	judge, err := worker.LoadRules(ctx, cfg.Rules)
	if err != nil {
		return process.Usagef("RULES: %w", err)
	}
	b, err := bus.OpenFor(ctx, cfg.NATS, env, "committer", cfg.Keepa.Plan)
	if err != nil {
		return err
	}
	defer b.Close()
	c, err := open(ctx, cfg, env, b, judge)
	if err != nil {
		return err
	}
	stop, err := bus.StartService(ctx, b, env, "committer", c.status.Beat)
	if err != nil {
		return err
	}
	defer stop()
	env.AnnounceReady()
	env.Log.Info("commits", "rule_set", c.rules.Judge().Version(), "workers", cfg.Workers)
	workers, ctx := errgroup.WithContext(ctx)
	workers.Go(func() error { return c.renewAtStart(ctx) })
	for range cfg.Workers {
		workers.Go(func() error { return c.work(ctx) })
	}
	return workers.Wait()
}

func open(ctx context.Context, cfg Config, env process.Env, b *bus.Bus, judge *verdict.Judge) (*committer, error) {
	c := &committer{
		cfg: cfg, env: env, bus: b, status: worker.NewStatus(env), inlets: map[pipeline.Tier]*bus.Inlet{},
	}
	// Starts the series at 0: Prometheus sees no increase in a series that first appears with the first deal.
	env.Health.Metrics().Count(metric.Decisions, 0, string(pipeline.LookCommit), string(pipeline.Accept), verdict.ReasonOK)
	var err error
	if c.rules, err = worker.Follow(ctx, b, env, judge, c.status, nil); err != nil {
		return nil, err
	}
	if c.keepa, err = gateway.New(cfg.Keepa, env); err != nil {
		return nil, err
	}
	for _, t := range pipeline.Tiers() {
		if c.inlets[t], err = b.Inlet(ctx, pipeline.StreamSurvivors, c.durable(t)); err != nil {
			return nil, err
		}
	}
	if c.spender, err = claims.Open(ctx, b, env, pipeline.StageCommitter); err != nil {
		return nil, fmt.Errorf("open the grant: %w", err)
	}
	c.waiter, err = worker.NewWaiter(b, env, c.status, c.spender, &c.breaker, fmt.Sprintf("survivor.*.%s.>", pipeline.LookPeek))
	return c, err
}

// durable returns the plan's durable for a tier.
func (c *committer) durable(t pipeline.Tier) string { return c.bus.Own(pipeline.DurableCommit(t)) }

// next returns the tier to take from: the best one with work, and from time to time the worst.
func (t *tiers) next(waits func(pipeline.Tier) bool) (pipeline.Tier, bool) {
	var waiting []pipeline.Tier
	for _, tier := range pipeline.Tiers() {
		if waits(tier) {
			waiting = append(waiting, tier)
		}
	}
	if len(waiting) == 0 {
		return "", false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.turns++
	if t.turns%aging == 0 {
		return waiting[len(waiting)-1], true
	}
	return waiting[0], true
}
