package worker

import (
	"context"
	"errors"

	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/spend/gateway"
)

// CallFailed ends a claim whose call failed and opens the circuit breaker. The cause is
// logged here, once. The unknown cost of a call without an answer is left to drift.
func CallFailed(ctx context.Context, env process.Env, status *Status, breaker *Breaker, c *claims.Claim, cause error) error {
	wait := breaker.Failed(env)
	status.Failed(cause)
	env.Log.Warn("call to keepa failed, calls pause", "err", cause, "wait", wait)
	var e *gateway.Error
	if !errors.As(cause, &e) {
		return c.Close(ctx, 0, nil)
	}
	if e.MayHaveCost() {
		return c.CloseUnknown(ctx, string(e.Kind))
	}
	return c.CloseFailed(ctx, e.Consumed, e.Reading, string(e.Kind))
}
