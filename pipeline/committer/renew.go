package committer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/store/seen"
	"ratchet/pipeline/worker"
)

// stored is a visible deal of an earlier extraction.
type stored struct {
	deal   decide.Found
	origin string
	verdicts
}

// verdicts are the newest for and against a deal, by their sequences; 0 without one.
type verdicts struct {
	accepted, confirmed, rejected uint64

	found json.RawMessage // the deal as its commit found it
}

func (v *verdicts) add(m bus.Read, d pipeline.Verdict) {
	switch {
	case d.Outcome == pipeline.Reject:
		v.rejected = max(v.rejected, m.Sequence)
	case d.Outcome == pipeline.Accept && m.Sequence > v.accepted:
		v.accepted, v.found = m.Sequence, d.Deal
	case d.Outcome == pipeline.Confirm:
		v.confirmed = max(v.confirmed, m.Sequence)
	}
}

// hidden reports whether a later verdict rejects the deal.
func (v verdicts) hidden() bool { return v.rejected > max(v.accepted, v.confirmed) }

// generation identifies decisions under this build's extraction.
func generation() pipeline.Generation {
	return pipeline.Generation(fmt.Sprintf("estimate-%d", deal.Extraction))
}

// renew decides visible deals of an earlier extraction again, from their stored answers, for no token. A deal whose
// answers are deleted is left to its refresh. After a crash the next start repeats it; message ids drop the
// repeats.
func (c *committer) renew(ctx context.Context) error {
	old, err := c.oldDeals(ctx)
	if err != nil || len(old) == 0 {
		return err
	}
	outcomes := map[pipeline.Outcome]int{}
	decided := 0
	for part := range slices.Chunk(old, renewAtOnce) {
		shown, err := c.visible(ctx, slices.Clone(part)) // with verdicts, which are large
		if err != nil {
			return err
		}
		for _, s := range shown {
			outcome, err := c.renewOne(ctx, s)
			if err != nil {
				return fmt.Errorf("decide %s again: %w", s.deal.ASIN, err)
			}
			outcomes[outcome]++
		}
		decided += len(shown)
	}
	if decided == 0 {
		return nil
	}
	c.env.Log.Info("deals of an earlier estimate decided again", "deals", decided, "accepted", outcomes[pipeline.Accept],
		"rejected", outcomes[pipeline.Reject], "without_answer", outcomes[""])
	return nil
}

// renewAtStart renews once, beside the workers. After a failure the next start tries again.
func (c *committer) renewAtStart(ctx context.Context) error {
	if err := c.renew(ctx); err != nil && ctx.Err() == nil {
		c.env.Log.Warn("deals of an earlier estimate are decided again at the next start", "err", err)
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

// renewAtOnce bounds the deals whose verdicts are in memory at once. Tests have few.
var renewAtOnce = 250

// visible returns the deals that no later verdict rejects. The answers of the others are out of date: deciding on them
// would show a deal that is gone.
func (c *committer) visible(ctx context.Context, old []stored) ([]stored, error) {
	ids := make([]pipeline.Identity, len(old))
	for i, s := range old {
		ids[i] = s.deal.Identity()
	}
	newest, err := messages.LastVerdicts(ctx, c.bus, ids)
	if err != nil {
		return nil, err
	}
	of := map[visibility.DealKey]verdicts{}
	for _, m := range newest {
		var d pipeline.Verdict
		if json.Unmarshal(m.Body, &d) == nil {
			v := of[visibility.DealKeyOf(d.Identity)]
			v.add(m, d)
			of[visibility.DealKeyOf(d.Identity)] = v
		}
	}
	for i, id := range ids {
		old[i].verdicts = of[visibility.DealKeyOf(id)]
	}
	return slices.DeleteFunc(old, func(s stored) bool { return s.hidden() }), nil
}

// renewOne decides one deal again; "" if its answers are deleted.
func (c *committer) renewOne(ctx context.Context, s stored) (pipeline.Outcome, error) {
	e, err := c.evidence(ctx, s.deal.ResponseIDs)
	if err != nil {
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
	var r decide.Decision
	switch {
	case e.commit != nil:
		r = decide.Commit(judge, u.Work, *e.commit, e.sellers, 0, s.deal.DecidedAt)
	case e.peek != nil && s.confirmed > s.accepted:
		u.Survivor.ResponseIDs = s.deal.ResponseIDs
		r = decide.Held(judge, u.Work, *e.peek, s.byCommit(), s.deal.DecidedAt)
	default:
		return "", nil
	}
	return r.Verdict.Outcome, worker.Apply(c.bus)(ctx, []worker.Effect{u.Conclude(r.Verdict, "")})
}

// byCommit returns the deal as its commit found it, or else as it was confirmed last.
func (s stored) byCommit() *deal.Deal {
	var f decide.Found
	if json.Unmarshal(s.found, &f) == nil && f.Deal != nil {
		return f.Deal
	}
	return s.deal.Deal
}

// evidence are the stored answers on which a deal was decided; nil for one that is deleted.
type evidence struct {
	peek, commit *decide.Answer
	sellers      []decide.Answer
}

func (c *committer) evidence(ctx context.Context, ids []string) (e evidence, err error) {
	for _, id := range ids {
		a, err := responses.Load(ctx, c.bus, id)
		if err != nil {
			return e, err
		}
		if a == nil {
			continue
		}
		answer := a.Evidence()
		switch a.Kind {
		case pipeline.KindPeek:
			e.peek = &answer
		case pipeline.KindCommit:
			e.commit = &answer
		case pipeline.KindSeller:
			e.sellers = append(e.sellers, answer)
		case pipeline.KindDeals, pipeline.KindToken:
		}
	}
	return e, nil
}
