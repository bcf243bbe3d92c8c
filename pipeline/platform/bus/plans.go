package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token/plan"
	"ratchet/pipeline/platform/process"
)

// Several Keepa keys are several plans, each with a bucket TOKENS and durables of its own. Which
// marketplaces each serves is a part of the topology: it is in the metadata of the first plan's
// bucket, where only `topology apply` writes it, and every process reads it from there, so that no
// two processes can differ.
//
// A new plan takes its marketplaces from the first one in this order, and a crash in between is
// repaired by the next apply:
//
//	the map is written         a daemon that starts now waits for the rest, or ends; those that run continue
//	its durables are made      from where the first plan's stand: both have what waits or is in work there
//	the first's are narrowed   what both had is decided once: identity, ORDERS and answers are shared
const metaPlans = "ratchet.plans"

// subjects fills the tokens of marketplaces into a pattern.
func subjects(pattern string, tokens []string) []string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		out[i] = fmt.Sprintf(pattern, t)
	}
	return out
}

// OpenFor is Open for a daemon that spends with the key of a plan. A plan that does not exist is a usage error.
func OpenFor(ctx context.Context, cfg Config, env process.Env, name string, p pipeline.Plan) (*Bus, error) {
	b, err := Open(ctx, cfg, env, name)
	if err != nil {
		return nil, err
	}
	if err := b.For(ctx, p); err != nil {
		b.Close()
		return nil, err
	}
	if p != "" {
		env.Health.Metrics().Label("plan", string(p))
	}
	return b, nil
}

// For makes this the connection of a plan. It is called before anything else uses the connection.
func (b *Bus) For(ctx context.Context, p pipeline.Plan) error {
	plans, err := b.Plans(ctx)
	if err != nil {
		return err
	}
	if !plans.Has(p) {
		return process.Usagef("KEEPA_PLAN: there is no plan %s; the plans are %v: `ratchet topology apply --plans NAME=MARKETPLACE,…` adds one", p, plans.All())
	}
	b.plan, b.plans = p, plans
	return nil
}

// As is this connection in the part of another plan, for reading and writing what that plan has for itself. It ends
// with this one, and is not closed.
func (b *Bus) As(ctx context.Context, p pipeline.Plan) (*Bus, error) {
	as := &Bus{NC: b.NC, JS: b.JS, Log: b.Log, cfg: b.cfg, wait: b.wait, now: b.now, build: b.build, name: b.name, opts: b.opts, batches: b.batches, atomic: b.atomic, stuck: b.stuck}
	if err := as.For(ctx, p); err != nil {
		return nil, err
	}
	return as, nil
}

// Plans reads which plans there are.
func (b *Bus) Plans(ctx context.Context) (plan.Map, error) {
	s, err := b.JS.Stream(ctx, pipeline.BucketStream(pipeline.BucketTokens))
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return plan.Map{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the plans: %w", err)
	}
	return plansOf(s.CachedInfo())
}

// plansOf returns the plans that the first bucket's stream names.
func plansOf(i *jetstream.StreamInfo) (plan.Map, error) {
	m, err := plan.Parse(i.Config.Metadata[metaPlans])
	if err != nil {
		return nil, fmt.Errorf("read the plans, metadata %s of bucket %s: %w", metaPlans, pipeline.BucketTokens, err)
	}
	return m, nil
}

// Plan returns the plan of this connection.
func (b *Bus) Plan() pipeline.Plan { return b.plan }

// Own returns the plan's own name of what each plan has for itself.
func (b *Bus) Own(name string) string { return b.plan.Own(name) }

// Serves reports whether this connection's plan serves a marketplace.
func (b *Bus) Serves(domain int) bool { return b.plans.Serves(b.plan, domain) }

// Route returns an error for a marketplace that another plan serves, or none.
func (b *Bus) Route(domain int) error {
	if len(b.plans) == 0 {
		return nil
	}
	of, err := b.plans.Of(domain)
	if err == nil && of != b.plan {
		err = fmt.Errorf("domainId %d is served by plan %s and this process belongs to plan %s (KEEPA_PLAN), which serves %s", domain, of, b.plan, b.plans.Describe(b.plan))
	}
	return err
}

// CheckDomain returns an error if the number in a subject STREAM.DOMAIN.… is not a known marketplace, so that no plan's
// consumers deliver it. With a single key it returns nil: its consumers deliver everything.
func (b *Bus) CheckDomain(subject string) error {
	_, rest, _ := strings.Cut(subject, ".")
	_, err := b.plans.Of(pipeline.DomainOf(rest))
	return err
}

// FirstOfSeveral reports whether this is the first of several plans, which does what belongs to none.
func (b *Bus) FirstOfSeveral() bool { return b.plan == "" && len(b.plans) > 0 }

// Marketplaces returns the numbers of those that this connection's plan serves; nil with a single key: all.
func (b *Bus) Marketplaces() []int {
	if len(b.plans) == 0 {
		return nil
	}
	var all []int
	for _, d := range keepa.Domains() {
		if b.Serves(int(d)) {
			all = append(all, int(d))
		}
	}
	return all
}

// Subjects returns a pattern of subjects, with %s for the marketplace, as the plan's own subjects.
func (b *Bus) Subjects(pattern string) []string { return subjects(pattern, b.plans.Tokens(b.plan)) }

// grown returns the plans that an Apply is to bring about.
func (b *Bus) grown(ctx context.Context, want plan.Map) (plan.Map, error) {
	have, err := b.Plans(ctx)
	if err != nil || want == nil {
		return have, err
	}
	if err := have.Grow(want); err != nil {
		return nil, &process.UsageError{Err: fmt.Errorf("--plans: %w", err)}
	}
	return want, nil
}

// inherit makes a new durable begin after the last message that durable d.from has settled, because d takes over a
// part of its work.
func (b *Bus) inherit(ctx context.Context, d *durable) error {
	if d.from == "" {
		return nil
	}
	settled, _, err := b.Settled(ctx, d.stream, d.from)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil // nothing ran before
	}
	if err != nil {
		return err
	}
	d.cfg.DeliverPolicy, d.cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, settled+1
	return nil
}
