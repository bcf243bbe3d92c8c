package worker

import (
	"context"
	"errors"

	"ratchet/pipeline/domain/token"
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

// NoAnswer returns why work ends without an answer, for its dead letter.
func NoAnswer(u Unit, t token.Attempts) string {
	why := "paid for as often as is allowed, without a complete answer"
	if !t.Spent() {
		why = "keepa rejected the request for it alone as often as it is tried"
	}
	return why + " (`ratchet answer " + u.ID + "` prints what arrived)"
}
