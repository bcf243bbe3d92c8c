// Package peeker looks at candidates, first for free and then for a token,
// and lets the good ones through.
//
//	CANDIDATES ─glance─▶ survivor.*.glance.SOURCE ─peek-SOURCE─▶ survivor.*.peek.TIER
//	     │  0 tokens: the row, and SEEN            │ claim, stored answers, one call
//	     └──────▶ verdict.*.glance.*               └──────▶ verdict.*.peek.*
//
// The glance loop takes no claim and never waits for tokens. The peek loop claims first and takes at
// most what the claim pays for; in nospend, and to shed, it takes work without a claim.
package peeker

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/spend/gateway"
	"ratchet/pipeline/worker"
)

// peeker is the state that both loops share.
type peeker struct {
	cfg    Config
	env    process.Env
	bus    *bus.Bus
	rules  *worker.Rules
	status *worker.Status
}

// Run looks at candidates until ctx ends.
func Run(ctx context.Context, env process.Env) error {
	cfg, err := process.Load[Config](ctx, env.Lookup)
	if err != nil {
		return err
	}
	judge, err := worker.LoadRules(ctx, cfg.Rules)
	if err != nil {
		return process.Usagef("RULES: %w", err)
	}
	b, err := bus.OpenFor(ctx, cfg.NATS, env, "peeker", cfg.Keepa.Plan)
	if err != nil {
		return err
	}
	defer b.Close()
	p := &peeker{cfg: cfg, env: env, bus: b, status: worker.NewStatus(env)}
	if p.rules, err = worker.Follow(ctx, b, env, judge, p.status, nil); err != nil {
		return err
	}
	stop, err := bus.StartService(ctx, b, env, "peeker", p.status.Beat)
	if err != nil {
		return err
	}
	defer stop()
	glance, err := p.glanceLoop(ctx)
	if err != nil {
		return err
	}
	peek, err := p.peekLoop(ctx)
	if err != nil {
		return err
	}
	strays, err := p.strayLoops(ctx)
	if err != nil {
		return err
	}
	env.AnnounceReady()
	env.Log.Info("looks", "rule_set", p.rules.Judge().Version(), "skip", cfg.Skip)
	loops, ctx := errgroup.WithContext(ctx)
	loops.Go(func() error { return glance.Run(ctx) })
	loops.Go(func() error { return peek.Run(ctx) })
	for _, l := range strays {
		loops.Go(func() error { return l.Run(ctx) })
	}
	return loops.Wait()
}

// durable returns the plan's durable for a source.
func (p *peeker) durable(s pipeline.Source) string { return p.bus.Own(pipeline.DurablePeek(s)) }

func (p *peeker) peekLoop(ctx context.Context) (*peekLoop, error) {
	g, err := gateway.New(p.cfg.Keepa, p.env)
	if err != nil {
		return nil, err
	}
	l := &peekLoop{peeker: p, keepa: g, inlets: map[pipeline.Source]*bus.Inlet{}}
	for _, s := range pipeline.Sources() {
		if l.inlets[s], err = p.bus.Inlet(ctx, pipeline.StreamSurvivors, p.durable(s)); err != nil {
			return nil, err
		}
	}
	if l.shedder, err = p.newShedder(ctx); err != nil {
		return nil, err
	}
	if l.spender, err = claims.Open(ctx, p.bus, p.env, pipeline.StagePeeker); err != nil {
		return nil, fmt.Errorf("open the grant: %w", err)
	}
	l.waiter, err = worker.NewWaiter(p.bus, p.env, p.status, l.spender, &l.breaker, fmt.Sprintf("survivor.*.%s.>", pipeline.LookGlance))
	return l, err
}
