package tokend

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/token"
)

// readDemand is what waits: pending and unsettled work on the paid durables, and
// polls that are due.
func (t *tokend) readDemand(ctx context.Context, now time.Time) error {
	peeks, commits := 0, 0
	s, err := t.bus.JS.Stream(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return err
	}
	list := s.ListConsumers(ctx)
	peek, commit := map[string]bool{}, map[string]bool{}
	for _, src := range pipeline.Sources() {
		peek[pipeline.DurablePeek(src)] = true
	}
	for _, tier := range pipeline.Tiers() {
		commit[pipeline.DurableCommit(tier)] = true
	}
	for info := range list.Info() {
		// What was delivered under an open claim is in work, not waiting; the claim
		// already holds its tokens.
		switch {
		case peek[info.Name]:
			peeks += int(info.NumPending)
		case commit[info.Name]:
			commits += int(info.NumPending)
		}
	}
	if err := list.Err(); err != nil {
		return err
	}
	polls, err := t.duePolls(ctx, now)
	if err != nil {
		return err
	}
	t.pos.Demand = map[pipeline.Stage]token.Demand{
		pipeline.StageWatermarker: {Tokens: polls * token.PricePage, Step: token.PricePage},
		pipeline.StagePeeker:      {Tokens: peeks * token.PricePeek, Step: token.PricePeek},
		pipeline.StageCommitter:   {Tokens: commits * token.PriceCommit, Step: token.PriceCommit},
	}
	return nil
}

// duePolls is how many queries want a page now.
func (t *tokend) duePolls(ctx context.Context, now time.Time) (int, error) {
	keys, err := t.marks.ListKeys(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { _ = keys.Stop() }() // the lister ended by itself
	n := 0
	for k := range keys.Keys() {
		e, err := t.marks.Get(ctx, k)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return 0, err
		}
		var v struct {
			NextPoll time.Time `json:"next_poll"`
		}
		if json.Unmarshal(e.Value(), &v) == nil && !v.NextPoll.IsZero() && !v.NextPoll.After(now) {
			n++
		}
	}
	return n, nil
}
