package page

import (
	"context"
	"errors"
	"time"

	"ratchet/pipeline/ops/cli"
)

func reasonView() view {
	return view{
		name: "reason", title: func(a asked) string { return "Examples of " + a.query.Get("reason") },
		fragment: func(ctx context.Context, s *Server, a asked) (any, error) { return s.reason(ctx, a) },
	}
}

// reason are examples of what was decided for a reason.
type reason struct {
	Look, Reason string
	Examples     []cli.Decided
}

// examplesShown is how many examples of a reason are shown, the newest.
const examplesShown = 100

func (s *Server) reason(ctx context.Context, a asked) (reason, error) {
	out := reason{Look: a.query.Get("look"), Reason: a.query.Get("reason")}
	if out.Reason == "" {
		return out, notFound{errors.New("want a reason; the machine's page has them")}
	}
	h, err := cli.ReadHistory(ctx, s.b, func(now time.Time) time.Time { return now.Add(-7 * 24 * time.Hour) })
	if err != nil {
		return out, err
	}
	out.Examples = h.Examples(out.Look, out.Reason, examplesShown)
	return out, nil
}
