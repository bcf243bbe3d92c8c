package tokend

import (
	"context"
	"fmt"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
)

// takeOver raises the epoch in the balance and then in every grant; from then on the swaps of a slower tokend fail.
func (t *tokend) takeOver(ctx context.Context) error {
	if err := t.recall(ctx); err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	b, err := bus.Change(ctx, bus.NewCell(t.kv, pipeline.KeyBalance), func(b token.Balance) (token.Balance, bool, error) {
		return token.Succession(b, t.env.Now()), true, nil
	})
	if err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	grants := map[pipeline.Stage]token.Grant{}
	for _, stage := range pipeline.Stages() {
		rebuilt, err := t.mend(ctx, stage, 0)
		if err != nil {
			return fmt.Errorf("take over the grant of %s: %w", stage, err)
		}
		if rebuilt {
			b.Books.Reading = nil // the accounts start afresh
		}
		g, err := bus.Change(ctx, t.cell(stage), func(g token.Grant) (token.Grant, bool, error) {
			g, err := g.Adopt(b.Epoch)
			return g, true, err
		})
		if err != nil {
			return fmt.Errorf("take over the grant of %s: %w", stage, err)
		}
		grants[stage] = g
	}
	setup := token.Setup{Shares: t.cfg.shares(), Reserve: t.cfg.Floor, Life: token.Life(t.env.Clock.Machine)}
	var effects []token.Effect
	t.issuer, effects = token.Succeed(setup, b, grants, t.now())
	t.leads = true
	t.forget()
	t.env.Log.Info("leads", "epoch", b.Epoch)
	return t.carried(t.issuer.CarryOut(effects, t.now, t.do(ctx)))
}
