package tokend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

func (t *tokend) cell(s pipeline.Stage) bus.Cell { return bus.NewCell(t.kv, pipeline.KeyGrant(s)) }

// readGrants reads the grants. An unreadable one is rebuilt.
func (t *tokend) readGrants(ctx context.Context) (grants map[pipeline.Stage]token.Grant, rebuilt bool, err error) {
	grants = map[pipeline.Stage]token.Grant{}
	for _, stage := range pipeline.Stages() {
		g, err := t.readGrant(ctx, stage)
		if badCell(err) {
			var did bool
			if did, err = t.mend(ctx, stage, t.issuer.Epoch); err == nil {
				rebuilt = rebuilt || did
				g, err = t.readGrant(ctx, stage)
			}
		}
		if err != nil {
			return nil, false, err
		}
		grants[stage] = g
	}
	return grants, rebuilt, nil
}

func (t *tokend) readGrant(ctx context.Context, stage pipeline.Stage) (token.Grant, error) {
	raw, _, err := t.cell(stage).Read(ctx)
	if err != nil {
		return token.Grant{}, err
	}
	g, err := bus.Decode[token.Grant](t.cell(stage), raw)
	if err != nil {
		return g, err
	}
	if g.Epoch != t.issuer.Epoch {
		return g, fmt.Errorf("read the grant of %s: %w", stage, token.ErrEpoch)
	}
	return g, nil
}

// readWish reads the mode and policy that the operator wrote.
func (t *tokend) readWish(ctx context.Context) (token.WishRead, error) {
	mode, _, err := bus.NewCell(t.kv, pipeline.KeyMode).Read(ctx)
	if err != nil {
		return token.WishRead{}, err
	}
	policy, _, err := bus.NewCell(t.kv, pipeline.KeyPolicy).Read(ctx)
	return token.WishRead{Mode: mode, Policy: policy}, err
}

// waiting caches the demand that was last read.
type waiting struct {
	dirty    atomic.Bool // something has been published since
	lanes    map[pipeline.Stage]token.Lane
	durables map[string]token.Lane // the paid ones; replaced at every read
	read     time.Time             // machine time of the last read of the consumers
	polls    []time.Time
	polled   time.Time // machine time of the last read of the watermarks
}

const (
	lookAgain = 25 * time.Millisecond // for the consumers, while nothing is published
	pollAgain = time.Second           // for the watermarks
)

// readDemand reads the paid durables and the watermarks, each at its own interval.
func (t *tokend) readDemand(ctx context.Context) (token.DemandRead, error) {
	w := &t.waiting
	dirty := w.dirty.Swap(false)
	if dirty || process.MachineSince(w.read) >= lookAgain {
		if err := t.readLanes(ctx); err != nil {
			w.dirty.Store(true)
			return token.DemandRead{}, err
		}
	}
	if dirty || process.MachineSince(w.polled) >= pollAgain {
		if err := t.readPolls(ctx); err != nil {
			w.dirty.Store(true)
			return token.DemandRead{}, err
		}
	}
	return token.DemandRead{Lanes: w.lanes, Polls: w.polls}, nil
}

func (t *tokend) readLanes(ctx context.Context) error {
	backlogs, err := t.bus.Backlogs(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return fmt.Errorf("read the work that waits: %w", err)
	}
	lanes := map[pipeline.Stage]token.Lane{pipeline.StagePeeker: {}, pipeline.StageCommitter: {}}
	durables := map[string]token.Lane{}
	for name, b := range backlogs {
		stage := stageOf(name)
		lane := lanes[stage]
		lane.Pending += b.Pending
		lane.Unsettled += b.Unsettled
		if stage != "" {
			lanes[stage] = lane
			durables[name] = token.Lane{Pending: b.Pending, Unsettled: b.Unsettled}
		}
	}
	t.waiting.lanes, t.waiting.durables, t.waiting.read = lanes, durables, process.MachineNow()
	return nil
}

// stageOf returns the stage that pays for a durable's messages; "" if none does.
func stageOf(durable string) pipeline.Stage {
	switch {
	case strings.HasPrefix(durable, pipeline.DurablePeek("")):
		return pipeline.StagePeeker
	case strings.HasPrefix(durable, pipeline.DurableCommit("")):
		return pipeline.StageCommitter
	}
	return ""
}

func (t *tokend) readPolls(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var polls []time.Time
	keys, err := t.marks.ListKeys(ctx)
	if err != nil {
		return fmt.Errorf("read the watermarks: %w", err)
	}
	defer func() { _ = keys.Stop() }() // it has ended already
	for k := range keys.Keys() {
		e, err := t.marks.Get(ctx, k)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the watermark of %s: %w", k, err)
		}
		var v watermark.State
		if json.Unmarshal(e.Value(), &v) == nil && !v.NextPoll.IsZero() {
			polls = append(polls, v.NextPoll)
		}
	}
	t.waiting.polls, t.waiting.polled = polls, process.MachineNow()
	return nil
}
