package cli

import (
	"context"
	"fmt"
	"slices"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
)

// PlanStatus is the budget of a plan beside the first one.
type PlanStatus struct {
	Plan    pipeline.Plan  `json:"plan"`
	Serves  string         `json:"serves"` // marketplaces
	Domains []keepa.Domain `json:"-"`      // the same, by number
	Balance *token.Balance `json:"balance"`
	Wish    string         `json:"wish"`
	Missing []string       `json:"missing,omitempty"` // daemons without a heartbeat
}

// readPlans reads the budgets of the plans beside the first one.
func (s *Status) readPlans(ctx context.Context, b *bus.Bus) error {
	plans, err := b.Plans(ctx)
	if err != nil {
		return err
	}
	for _, p := range plans.Named() {
		one := PlanStatus{Plan: p, Serves: plans.Describe(p), Domains: plans[p], Wish: string(token.Run)}
		kv, err := b.Store(ctx, p.Own(pipeline.BucketTokens))
		if err != nil {
			return err
		}
		one.Balance = s.readBudget(ctx, kv, p)
		if e, err := kv.Get(ctx, pipeline.KeyMode); err == nil {
			one.Wish = s.readWish(kv.Bucket(), e.Value(), one.Balance)
		}
		s.Plans = append(s.Plans, one)
	}
	return nil
}

// runs reports whether a daemon of a plan has a heartbeat.
func (s *Status) runs(daemon string, p pipeline.Plan) bool {
	return slices.ContainsFunc(s.Daemons, func(h pipeline.Heartbeat) bool { return h.Daemon == daemon && h.Plan == p })
}

// missing adds which daemons each further plan lacks.
func (s *Status) missing() {
	for i := range s.Plans {
		for _, name := range spenders() {
			if !s.runs(name, s.Plans[i].Plan) {
				s.Plans[i].Missing = append(s.Plans[i].Missing, name)
			}
		}
	}
}

// spenders are the daemons that each plan has for itself.
func spenders() []string { return []string{"tokend", "watermarker", "peeker", "committer"} }

// Budgets are the balances of all plans, a sentence or two each; with a single key its own.
func (s Status) Budgets() []string {
	if len(s.Plans) == 0 {
		return []string{s.Budget()}
	}
	out := []string{"Plan " + pipeline.MainPlan + ": " + s.Budget()}
	for _, p := range s.Plans {
		says := "Balance unknown: tokend has not written it yet. Requested: " + p.Wish + "."
		if p.Balance != nil {
			says = budget(s.At, p.Balance, p.Wish)
		}
		out = append(out, fmt.Sprintf("Plan %s (%s): %s", p.Plan, p.Serves, says))
	}
	return out
}

// balanceOf is the balance of a plan; nil where tokend has not written it.
func (s Status) balanceOf(p pipeline.Plan) *token.Balance {
	if p == "" {
		return s.Balance
	}
	for _, one := range s.Plans {
		if one.Plan == p {
			return one.Balance
		}
	}
	return nil
}

// Reads reports whether the deal list of a key is to be read now: the plan that serves its marketplace is neither
// stopped nor recharges.
func (s Status) Reads(list string) bool {
	wish, balance := s.Wish, s.Balance
	domain := keepa.Domain(pipeline.DomainOf(list))
	for _, p := range s.Plans {
		if slices.Contains(p.Domains, domain) {
			wish, balance = p.Wish, p.Balance
		}
	}
	return wish == string(token.Run) && balance != nil && balance.State == string(token.Burst)
}

// rate is what all plans pay in, tokens a minute; 0 where one is not known.
func (s Status) rate() int {
	if s.Balance == nil {
		return 0
	}
	rate := s.Balance.Rate
	for _, p := range s.Plans {
		if p.Balance == nil || p.Balance.Rate == 0 {
			return 0
		}
		rate += p.Balance.Rate
	}
	return rate
}
