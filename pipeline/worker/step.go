package worker

import (
	"context"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/spend/gateway"
)

// Step is the claim of one step and what ends it. A step serves one goroutine.
type Step struct {
	Claim *claims.Claim // nil in nospend, and once it is closed

	env     process.Env
	pulse   *Pulse
	breaker *Breaker
}

// NewStep returns a step without a claim.
func NewStep(env process.Env, pulse *Pulse, breaker *Breaker) Step {
	return Step{env: env, pulse: pulse, breaker: breaker}
}

// Release closes a claim under which no call was made.
func (s *Step) Release(ctx context.Context) {
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

// End closes the claim at the price of an answer.
func (s *Step) End(ctx context.Context, answer gateway.Answer) error {
	return End(ctx, s.env, s.pulse, s.breaker, s.ended(), answer)
}

// Refused closes the claim after a call that failed.
func (s *Step) Refused(ctx context.Context, cause error) error {
	return Refused(ctx, s.env, s.pulse, s.breaker, s.ended(), cause)
}

// ended returns the claim, which the step no longer holds.
func (s *Step) ended() *claims.Claim {
	c := s.Claim
	s.Claim = nil
	return c
}
