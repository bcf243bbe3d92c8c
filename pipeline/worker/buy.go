package worker

import (
	"context"
	"errors"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/trace"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/spend/gateway"
	"ratchet/pipeline/store/responses"
)

// Purchase is the answer to one paid call, before it is stored.
type Purchase struct {
	gateway.Answer
	Call   string // the claim's id
	Domain int
	Kind   pipeline.Kind
	// Odd reports that a part of the answer cannot be split off or
	// read, or is missing: then all of its bytes are stored too.
	Odd bool
}

// Bought returns the purchase that a claim paid for.
func Bought(c *claims.Claim, domain int, kind pipeline.Kind, a gateway.Answer) *Purchase {
	return &Purchase{Answer: a, Call: c.ID(), Domain: domain, Kind: kind}
}

// Part returns the share of one key, for the work that needs it.
func (p *Purchase) Part(key, workID string, e keepa.Element, cost int) responses.Answer {
	if _, fits := responses.Fit(e.Body); !fits {
		p.Odd = true
	}
	return responses.Answer{
		Domain: p.Domain, Kind: p.Kind, Key: key, Body: e.Body, Request: p.Request, Position: e.Position,
		RequestID: p.Call, WorkID: workID, Cost: cost, AnsweredAt: p.AnsweredAt,
	}
}

// Keep stores the whole answer if a part of it is odd, and then its parts.
func (p *Purchase) Keep(ctx context.Context, b *bus.Bus, parts []responses.Answer) ([]responses.Answer, error) {
	defer trace.Begin(ctx, "store").End()
	if p.Odd && (p.Consumed > 0 || !p.ConsumedKnown) {
		if err := p.keepWhole(ctx, b, p.Body); err != nil {
			return nil, err
		}
	}
	return responses.Put(ctx, b, parts)
}

func (p *Purchase) keepWhole(ctx context.Context, b *bus.Bus, body []byte) error {
	return responses.PutWhole(ctx, b, responses.Answer{
		Domain: p.Domain, Kind: p.Kind, Body: body, Request: p.Request, RequestID: p.Call, Cost: p.Consumed, AnsweredAt: p.AnsweredAt,
	})
}

// KeepFailed stores the bytes of a call without a usable answer, if it may have cost something.
func KeepFailed(ctx context.Context, b *bus.Bus, p *Purchase, cause error) error {
	var e *gateway.Error
	if !errors.As(cause, &e) || len(e.Body) == 0 || e.Consumed == 0 && !e.MayHaveCost() {
		return nil
	}
	return p.keepWhole(ctx, b, e.Body)
}

// End closes the claim of a call that was answered. If the answer lacks its price, tokend asks Keepa for the
// balance. An unreadable answer is not a failed call, but an answer that was cut off in transit is.
func End(ctx context.Context, env process.Env, status *Status, breaker *Breaker, c *claims.Claim, a gateway.Answer) error {
	if cut, ok := errors.AsType[*gateway.Error](a.Part); ok {
		status.Failed(cut)
		env.Log.Warn("answer of keepa was cut off, calls pause", "err", cut, "wait", breaker.Failed(env))
	} else {
		breaker.Succeeded()
	}
	if !a.ConsumedKnown {
		return c.CloseUnknown(ctx, "the answer does not contain its cost")
	}
	return c.Close(ctx, a.Consumed, a.Reading)
}

// Dead adds a dead letter to a decision, with its verdict's reason.
func Dead(d loop.Decision[Effect], reason, cause string) loop.Decision[Effect] {
	d.Never, d.Cause = reason, cause
	return d
}
