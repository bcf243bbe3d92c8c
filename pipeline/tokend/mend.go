package tokend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/token"
)

// Sane reports what cannot be in a balance, whoever wrote it.
func (s State) Sane() error {
	b := s.Books
	return errors.Join(token.SaneEpoch(s.Epoch), token.SaneFigures(s.Est, s.Rate, s.Cap, s.Drift, s.Expired, s.Owed,
		b.Settled, b.Drift, b.Expired, b.Count, b.Start, b.Listed))
}

// recall is what a successor starts from: the balance as it was left. One that is not there, or
// cannot be read, is made from the ledger.
func (t *tokend) recall(ctx context.Context) (State, error) {
	cell := bus.NewCell(t.kv, pipeline.KeyBalance)
	raw, rev, err := cell.Read(ctx)
	if err != nil {
		return State{}, err
	}
	s, err := bus.Decode[State](cell, raw)
	if raw != nil && err == nil {
		return s, nil
	}
	a, accountErr := t.account(ctx)
	if accountErr != nil {
		return State{}, accountErr
	}
	s = State{Wish: a.Wish, Books: Books{Drift: a.Drift, Expired: a.Expired}}
	return s, errors.Join(t.replace(ctx, cell, rev, s, err), t.keepPaused(ctx, a.Wish))
}

// keepPaused writes the mode again that went with the balance: who paused spending must not find it
// running after a disk lost a file.
func (t *tokend) keepPaused(ctx context.Context, wish token.Wish) error {
	if wish != token.Paused && wish != token.Nospend {
		return nil
	}
	cell := bus.NewCell(t.kv, pipeline.KeyMode)
	raw, rev, err := cell.Read(ctx)
	if err != nil || raw != nil {
		return err
	}
	t.env.Log.Warn("the mode was lost with the balance, it is again what the ledger says", "mode", string(wish))
	_, err = cell.Swap(ctx, rev, []byte(wish))
	return err
}

// mend makes the grant of a stage from the ledger where it is not there or cannot be read. Closed
// calls of which the ledger has lost the line are nobody's to explain, so the books begin again.
func (t *tokend) mend(ctx context.Context, stage pipeline.Stage, epoch uint64) error {
	cell := t.cell(stage)
	raw, rev, err := cell.Read(ctx)
	if err != nil {
		return err
	}
	g, err := bus.Decode[token.Grant](cell, raw)
	if raw != nil && err == nil && (g.Epoch > 0 || g.Claimed > 0) {
		return nil
	}
	a, accountErr := t.account(ctx)
	if accountErr != nil {
		return accountErr
	}
	next := a.Grant(stage)
	next.Epoch = epoch
	t.books.Reading, t.reopen = nil, true
	return t.replace(ctx, cell, rev, next, err)
}

// replace swaps a cell of ours; bad is why what was there could not be read, nil for an absent one.
func (t *tokend) replace(ctx context.Context, cell bus.Cell, rev uint64, v any, bad error) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := cell.Swap(ctx, rev, body); err != nil {
		return fmt.Errorf("replace %s: %w", cell.Key(), err)
	}
	if bad != nil {
		t.tell(func(h *pipeline.Heartbeat) { h.Counters = counted(h.Counters, "cells_rebuilt") })
		t.env.Log.Warn("a cell could not be read, it was rebuilt from the ledger", "key", cell.Key(), "err", bad)
	}
	return nil
}

// account reads the whole ledger.
func (t *tokend) account(ctx context.Context) (token.Account, error) {
	var a token.Account
	err := bus.ScanJSON(ctx, t.bus, pipeline.StreamLedger, bus.From{}, func(_ bus.Read, e pipeline.Entry) error {
		a.Add(e)
		return nil
	})
	if err != nil {
		return a, fmt.Errorf("read the ledger: %w", err)
	}
	return a, nil
}

// badCell reports whether an error is a value that cannot be read.
func badCell(err error) bool {
	var bad *bus.BadCell
	return errors.As(err, &bad)
}

// readWish reads what the operator wants: the mode, and the policy's values. What cannot be is
// refused as a whole: the last that could be holds, and the status says why.
func (t *tokend) readWish(ctx context.Context) (token.Wish, error) {
	mode, _, err := bus.NewCell(t.kv, pipeline.KeyMode).Read(ctx)
	if err != nil {
		return token.Paused, err
	}
	policy, _, err := bus.NewCell(t.kv, pipeline.KeyPolicy).Read(ctx)
	if err != nil {
		return token.Paused, err
	}
	var refused []string
	if t.wish, err = lastGood(mode, token.ParseWish, t.wish); err != nil {
		refused = append(refused, fmt.Sprintf("%s; %s holds", err, t.wish))
	}
	rules, err := lastGood(policy, t.parseRules, t.rules)
	if err != nil {
		refused = append(refused, err.Error())
		if rules.Check(t.pos.Bucket) != nil {
			rules = token.Rules{} // the plan has changed: not even the last ones can be
		}
	}
	t.refuse(strings.Join(refused, "; "))
	t.rules = rules
	t.pos.Floor = t.cfg.Floor
	if rules.Floor != nil {
		t.pos.Floor = *rules.Floor
	}
	return t.wish, nil
}

// lastGood reads what the operator wrote; where it cannot be, the last that could be holds.
func lastGood[T any](raw []byte, parse func([]byte) (T, error), last T) (T, error) {
	v, err := parse(raw)
	if err != nil {
		return last, err
	}
	return v, nil
}

func (t *tokend) parseRules(raw []byte) (token.Rules, error) {
	r, err := token.ParseRules(raw)
	if err == nil {
		err = r.Check(t.pos.Bucket)
	}
	return r, err
}

// refuse notes why the operator's words do not hold, and warns of it once.
func (t *tokend) refuse(why string) {
	if why != "" && why != t.denied {
		t.env.Log.Warn("what the operator wrote is refused, the last good value holds", "err", why)
	}
	t.denied = why
}
