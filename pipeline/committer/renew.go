package committer

import (
	"context"
	"encoding/json"
	"fmt"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/store/seen"
	"ratchet/pipeline/worker"
)

// stored is a deal of an earlier extraction.
type stored struct {
	deal   decide.Found
	origin string
}

// generation identifies decisions under this build's extraction.
func generation() pipeline.Generation {
	return pipeline.Generation(fmt.Sprintf("estimate-%d", deal.Extraction))
}

// renew decides deals of an earlier extraction again, from their stored answers, without tokens. A deal whose answers
// are deleted stays hidden as an old estimate. After a crash the rest is repeated: every message has an identity.
func (c *committer) renew(ctx context.Context) error {
	old, err := c.oldDeals(ctx)
	if err != nil || len(old) == 0 {
		return err
	}
	outcomes := map[pipeline.Outcome]int{}
	for _, s := range old {
		outcome, err := c.renewOne(ctx, s)
		if err != nil {
			return fmt.Errorf("decide %s again: %w", s.deal.ASIN, err)
		}
		outcomes[outcome]++
	}
	c.env.Log.Info("deals of an earlier estimate decided again", "deals", len(old), "accepted", outcomes[pipeline.Accept],
		"rejected", outcomes[pipeline.Reject], "without_answer", outcomes[""])
	return nil
}

// renewed renews once, beside the workers. Failures are left for the next start.
func (c *committer) renewed(ctx context.Context) error {
	if err := c.renew(ctx); err != nil && ctx.Err() == nil {
		c.env.Log.Warn("deals of an earlier estimate stay hidden until the next start", "err", err)
	}
	return nil
}

// oldDeals returns the newest versions of deals of earlier extractions that these rules have not decided yet.
func (c *committer) oldDeals(ctx context.Context) ([]stored, error) {
	var old []stored
	var ids []pipeline.Identity
	err := c.bus.Scan(ctx, pipeline.StreamDeals, bus.From{Newest: true}, func(r bus.Read) error {
		var f decide.Found
		if json.Unmarshal(r.Body, &f) != nil || f.Deal == nil || f.Extraction >= deal.Extraction || !c.bus.Serves(f.Deal.Domain) {
			return nil
		}
		old = append(old, stored{deal: f, origin: fmt.Sprintf("%s/%d", pipeline.StreamDeals, r.Sequence)})
		ids = append(ids, f.Identity())
		return nil
	})
	if err != nil || len(old) == 0 {
		return nil, err
	}
	known, err := seen.Read(ctx, c.bus, ids)
	if err != nil {
		return nil, err
	}
	var left []stored
	for i, s := range old {
		if m, ok := known[ids[i]]; !ok || m.RuleSet != c.rules.Judge().Version() {
			left = append(left, s)
		}
	}
	return left, nil
}

// renewOne decides one deal again; "" if its answer is deleted.
func (c *committer) renewOne(ctx context.Context, s stored) (pipeline.Outcome, error) {
	product, sellers, err := c.evidence(ctx, s.deal.ResponseIDs)
	if err != nil || product == nil {
		return "", err
	}
	id := s.deal.Identity()
	u := worker.Unit{Origin: s.origin, Work: decide.Work{
		ID: id.WorkID(generation()),
		Row: keepa.DealRow{
			ASIN: id.ASIN, Title: s.deal.Title, RootCategory: s.deal.RootCategory, CreationDate: keepa.Minute(id.CreationDate),
		},
		Survivor: pipeline.Survivor{
			Candidate: pipeline.Candidate{Identity: id, Queries: s.deal.Queries, Source: s.deal.Source, ListSeenAt: s.deal.ListedAt},
			Look:      pipeline.LookPeek, TokensSpent: s.deal.Tokens,
		},
	}}
	judge, done := c.rules.Use()
	defer done()
	r := decide.Commit(judge, u.Work, *product, sellers, 0, s.deal.DecidedAt)
	return r.Verdict.Outcome, worker.Apply(c.bus)(ctx, []worker.Effect{u.Conclude(r.Verdict, "")})
}

// evidence returns the stored answers on which a deal was decided:
// the full record, nil if it is deleted, and the sellers.
func (c *committer) evidence(ctx context.Context, ids []string) (*decide.Answer, []decide.Answer, error) {
	var product *decide.Answer
	var sellers []decide.Answer
	for _, id := range ids {
		a, err := responses.Load(ctx, c.bus, id)
		switch {
		case err != nil:
			return nil, nil, err
		case a == nil:
		case a.Kind == pipeline.KindCommit:
			e := a.Evidence()
			product = &e
		case a.Kind == pipeline.KindSeller:
			sellers = append(sellers, a.Evidence())
		}
	}
	return product, sellers, nil
}
