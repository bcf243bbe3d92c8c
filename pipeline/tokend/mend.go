package tokend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
)

// recall ensures that there is a balance to start from. One that is missing or unreadable is rebuilt from the ledger.
func (t *tokend) recall(ctx context.Context) error {
	cell := bus.NewCell(t.kv, pipeline.KeyBalance)
	raw, rev, err := cell.Read(ctx)
	if err != nil {
		return err
	}
	_, err = bus.Decode[token.Balance](cell, raw)
	if raw != nil && err == nil {
		return nil
	}
	a, accountErr := t.account(ctx)
	if accountErr != nil {
		return accountErr
	}
	b := token.Balance{Wish: a.Wish, Books: token.Books{Drift: a.Drift, Expired: a.Expired}}
	return errors.Join(t.replace(ctx, cell, rev, b, err), t.keepPaused(ctx, a.Wish))
}

// keepPaused restores the mode that went with the lost balance:
// an operator's pause must survive a disk that lost a file.
func (t *tokend) keepPaused(ctx context.Context, wish token.Wish) error {
	if wish != token.Paused && wish != token.Nospend {
		return nil
	}
	cell := bus.NewCell(t.kv, pipeline.KeyMode)
	raw, rev, err := cell.Read(ctx)
	if err != nil || raw != nil {
		return err
	}
	t.env.Log.Warn("the mode was lost with the balance, it is restored from the ledger", "mode", string(wish))
	_, err = cell.Swap(ctx, rev, []byte(wish))
	return err
}

// mend rebuilds the grant of a stage from the ledger if it is missing or unreadable, and reports whether
// it did. Closed calls whose line the ledger has lost cannot be explained, so the accounts start afresh.
func (t *tokend) mend(ctx context.Context, stage pipeline.Stage, epoch uint64) (bool, error) {
	cell := t.cell(stage)
	raw, rev, err := cell.Read(ctx)
	if err != nil {
		return false, err
	}
	g, err := bus.Decode[token.Grant](cell, raw)
	if raw != nil && err == nil && (g.Epoch > 0 || g.Claimed > 0) {
		return false, nil
	}
	a, accountErr := t.account(ctx)
	if accountErr != nil {
		return false, accountErr
	}
	next := a.Grant(stage)
	next.Epoch = epoch
	return true, t.replace(ctx, cell, rev, next, err)
}

// replace swaps a cell that only tokend owns; bad is why the old value could not be read, nil for a missing one.
func (t *tokend) replace(ctx context.Context, cell bus.Cell, rev uint64, v any, bad error) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = cell.Swap(ctx, rev, body)
	t.forget()
	if err != nil {
		return fmt.Errorf("replace %s: %w", cell.Key(), err)
	}
	if bad != nil {
		t.report(func(h *pipeline.Heartbeat) { h.Counters = counted(h.Counters, "cells_rebuilt") })
		t.env.Log.Warn("a cell could not be read, it was rebuilt from the ledger", "key", cell.Key(), "err", bad)
	}
	return nil
}

// account reads the plan's lines of the whole ledger.
func (t *tokend) account(ctx context.Context) (token.Account, error) {
	var a token.Account
	err := bus.ScanJSON(ctx, t.bus, pipeline.StreamLedger, bus.From{}, func(_ bus.Read, e pipeline.Entry) error {
		if e.Plan == t.bus.Plan() {
			a.Add(e)
		}
		return nil
	})
	if err != nil {
		return a, fmt.Errorf("read the ledger: %w", err)
	}
	return a, nil
}
