package worker

import (
	"context"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/spend/gateway"
)

// Step is the claim of one step and what ends it. A step serves one goroutine.
type Step struct {
	Claim *claims.Claim  // nil in nospend, and once it is closed
	Judge *verdict.Judge // by which the step decides

	env     process.Env
	status  *Status
	breaker *Breaker
	rules   *Rules
	decided func() // ends the use of the rules; nil before
}

// NewStep returns a step without a claim.
func NewStep(env process.Env, status *Status, breaker *Breaker, rules *Rules) Step {
	return Step{Judge: rules.Judge(), env: env, status: status, breaker: breaker, rules: rules}
}

// HoldRules keeps other rules from becoming current until the step ends. It is called once everything is gathered,
// which may take long. It reports whether the rules are those with which the step began; Judge is the current ones.
func (s *Step) HoldRules() (same bool) {
	began := s.Judge
	if s.decided != nil {
		s.decided()
	}
	s.Judge, s.decided = s.rules.Use()
	return s.Judge == began
}

// Release closes a claim under which no call was made, and lets other rules become current.
func (s *Step) Release(ctx context.Context) {
	if s.decided != nil {
		s.decided()
	}
	if err := s.Close(ctx, 0, nil); err != nil {
		s.env.Log.Debug("claim is left to tokend", "err", err)
	}
}

// Close closes the claim, if it is open, at a price in tokens.
func (s *Step) Close(ctx context.Context, consumed int, r *pipeline.Reading) error {
	c := s.ended()
	if c == nil {
		return nil
	}
	return c.Close(ctx, consumed, r)
}

// CloseUnknown closes the claim, if it is open, after a call whose cost no answer shows.
func (s *Step) CloseUnknown(ctx context.Context, note string) error {
	c := s.ended()
	if c == nil {
		return nil
	}
	return c.CloseUnknown(ctx, note)
}

// End closes the claim at the price of an answer.
func (s *Step) End(ctx context.Context, answer gateway.Answer) error {
	return End(ctx, s.env, s.status, s.breaker, s.ended(), answer)
}

// CallFailed closes the claim after a call that failed.
func (s *Step) CallFailed(ctx context.Context, cause error) error {
	return CallFailed(ctx, s.env, s.status, s.breaker, s.ended(), cause)
}

// ended returns the claim, which the step no longer holds.
func (s *Step) ended() *claims.Claim {
	c := s.Claim
	s.Claim = nil
	return c
}
