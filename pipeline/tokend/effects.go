package tokend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/spend/gateway"
	"ratchet/pipeline/store/messages"
)

// step passes an event to the issuer and carries out the resulting effects.
func (t *tokend) step(ctx context.Context, e token.Event) error {
	return t.carried(t.issuer.Run(e, t.now, t.do(ctx)))
}

func (t *tokend) do(ctx context.Context) token.Do {
	return func(e token.Effect) (token.Event, error) { return t.effect(ctx, e) }
}

// carried stores the issuer's state after its effects.
func (t *tokend) carried(next token.Issuer, err error) error {
	t.paid(t.issuer.Grants, next.Grants)
	t.issuer = next
	return err
}

// effect carries out one effect and returns the event that answers it.
func (t *tokend) effect(ctx context.Context, effect token.Effect) (token.Event, error) {
	switch effect := effect.(type) {
	case token.Ask:
		return t.ask(ctx), nil
	case token.Reread:
		for _, g := range t.grants {
			g.Forget()
		}
		grants, rebuilt, err := t.readGrants(ctx)
		return token.GrantsRead{Grants: grants, Again: true, Rebuilt: rebuilt}, err
	case token.Append:
		return token.Appended(effect), t.append(ctx, effect.Line)
	case token.Swap:
		return t.swap(ctx, effect)
	case token.Write:
		return token.Written(effect), t.write(ctx, effect.Balance)
	case token.Warn:
		t.warn(effect)
	}
	return nil, nil //nolint:nilnil // a warning has no answer
}

// ask calls Keepa's free token status. A failure is an event
// for the issuer, not an error: the projected balance remains.
func (t *tokend) ask(ctx context.Context) token.Event {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := t.keepa.Token(ctx)
	t.noteKey(err)
	if err != nil {
		t.report(func(h *pipeline.Heartbeat) { h.LastError = err.Error() })
		var e *gateway.Error
		return token.Unanswered{Note: err.Error(), Final: errors.As(err, &e) && !e.Temporary()}
	}
	t.report(func(h *pipeline.Heartbeat) { h.LastError = "" })
	return token.Answered{Reading: r}
}

// append adds a line to the ledger.
func (t *tokend) append(ctx context.Context, l token.Line) error {
	if l.Entry.At.IsZero() {
		l.Entry.At = t.env.Now()
	}
	return messages.AppendLine(ctx, t.bus, l)
}

// swap changes a grant. A worker may have claimed or closed since
// the issuer decided, which only lowers what is outstanding.
func (t *tokend) swap(ctx context.Context, s token.Swap) (token.Event, error) {
	g, err := bus.Change(ctx, t.cell(s.Stage), s.Change.Apply)
	t.grants[s.Stage].Forget() // the hint of this write may come after the next turn
	if err != nil {
		return nil, fmt.Errorf("change the grant of %s: %w", s.Stage, err)
	}
	switch c := s.Change.(type) {
	case token.Issue:
		t.report(func(h *pipeline.Heartbeat) { h.LastProgress = t.env.Now(); h.Counters = counted(h.Counters, "issues") })
	case token.Reap:
		t.report(func(h *pipeline.Heartbeat) { h.Counters = counted(h.Counters, "claims_lost") })
		t.env.Log.Warn("claim given up", "claim", c.Claim)
	}
	return token.Swapped{Swap: s, Grant: g}, nil
}

// write stores the balance, unless a later epoch has stored one.
func (t *tokend) write(ctx context.Context, b token.Balance) error {
	_, err := bus.ChangeOwn(ctx, bus.NewCell(t.kv, pipeline.KeyBalance), func(s token.Balance) (token.Balance, bool, error) {
		if s.Epoch > b.Epoch {
			return s, false, token.ErrEpoch
		}
		return b, true, nil
	})
	if err != nil {
		return fmt.Errorf("write the balance: %w", err)
	}
	return nil
}

func (t *tokend) warn(w token.Warn) {
	log := t.env.Log.Warn
	if w.Error {
		log = t.env.Log.Error
	}
	if w.Err == "" {
		log(w.Text)
		return
	}
	log(w.Text, "err", w.Err)
}

// publish writes what is new: ledger lines, the balance, and the lines that depend on the stored balance.
func (t *tokend) publish(ctx context.Context) error {
	b := t.issuer.Balance(t.env.Now())
	t.show(b)
	t.report(func(h *pipeline.Heartbeat) {
		h.State = activity(b)
		h.Detail = map[string]any{
			"balance": b.Est, "rate": b.Rate, "state": b.State, "epoch": b.Epoch, "drift": b.Drift, "note": b.Note, "refused": b.Refused,
			"simulated": t.cfg.Keepa.Key == gateway.Simulated,
		}
	})
	return t.carried(t.issuer.Flush(t.now, t.do(ctx)))
}

// activity is the heartbeat's state for a balance.
func activity(b token.Balance) string {
	state := "idle"
	for _, stage := range b.Stages {
		switch {
		case stage.Open > 0 || stage.Credit > 0:
			return "working"
		case stage.Demand > 0:
			state = "waiting_for_tokens"
		}
	}
	return state
}

// paid records in the heartbeat that a stage has claimed or settled.
func (t *tokend) paid(before, after map[pipeline.Stage]token.Grant) {
	for stage, g := range after {
		if b := before[stage]; g.Settled != b.Settled || g.Claimed != b.Claimed {
			t.report(func(h *pipeline.Heartbeat) { h.LastPaid = t.env.Now() })
			return
		}
	}
}
