package tokend

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

func (t *tokend) cell(s pipeline.Stage) bus.Cell { return bus.NewCell(t.kv, pipeline.KeyGrant(s)) }

// pollsStandIn is how long the last polls stand in: while WATERMARKS
// has no leader, tokens are issued for the work on products.
const pollsStandIn = 20 * time.Second

// memorize sets up what a turn reads: from the server only where it may have changed, as most turns find nothing new.
func (t *tokend) memorize() {
	t.grants = map[pipeline.Stage]*bus.Memo[token.Grant]{}
	for _, stage := range pipeline.Stages() {
		t.grants[stage] = bus.NewMemo(t.env.Clock, func(ctx context.Context) (token.Grant, error) { return t.readGrant(ctx, stage) })
	}
	t.wish = bus.NewMemo(t.env.Clock, t.readWish)
	t.lanes = bus.NewMemo(t.env.Clock, t.readLanes)
	t.polls = bus.NewMemo(t.env.Clock, t.readPolls).StandsIn(pollsStandIn)
}

// forget makes the next turn read everything.
func (t *tokend) forget() {
	for _, g := range t.grants {
		g.Forget()
	}
	t.wish.Forget()
	t.lanes.Forget()
	t.polls.Forget()
}

// readGrants reads the grants. An unreadable one is rebuilt.
func (t *tokend) readGrants(ctx context.Context) (grants map[pipeline.Stage]token.Grant, rebuilt bool, err error) {
	grants = map[pipeline.Stage]token.Grant{}
	for _, stage := range pipeline.Stages() {
		g, err := t.grants[stage].Read(ctx)
		if bus.IsBad(err) {
			var did bool
			if did, err = t.mend(ctx, stage, t.issuer.Epoch); err == nil {
				rebuilt = rebuilt || did
				g, err = t.grants[stage].Read(ctx)
			}
		}
		if err == nil && g.Epoch != t.issuer.Epoch {
			err = fmt.Errorf("read the grant of %s: %w", stage, token.ErrEpoch)
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
	return bus.Decode[token.Grant](t.cell(stage), raw)
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

// lanes is the work that waits for paid looks.
type lanes struct {
	stages    map[pipeline.Stage]token.Backlog
	durables  map[string]token.Backlog
	unsettled bool      // something is delivered and not settled
	read      time.Time // machine time
}

// While delivered work is unsettled the lanes are read again after a settlement, which frees tokens for other
// stages: at most once in settledAgain of pipeline time, and no faster than a store on the machine takes.
// Acknowledgements are not stored, so one may be missed; the lanes are read after unsettledAtMost in any case.
const (
	settledAgain    = time.Second
	unsettledAtMost = 10 * time.Second
)

// outdated reports whether less may be unsettled than when the lanes were read.
func (t *tokend) outdated(l lanes) bool {
	again, age := settledAgain, process.MachineSince(l.read)
	if !t.settled.Load() {
		again = unsettledAtMost
	}
	return l.unsettled && age >= max(25*time.Millisecond, t.env.Clock.Machine(again))
}

// readDemand reads the paid durables and the watermarks.
func (t *tokend) readDemand(ctx context.Context) (token.DemandRead, error) {
	l, err := t.lanes.Read(ctx)
	if err != nil {
		return token.DemandRead{}, err
	}
	if t.outdated(l) {
		t.lanes.Forget()
		if l, err = t.lanes.Read(ctx); err != nil {
			return token.DemandRead{}, err
		}
	}
	polls, err := t.polls.Read(ctx)
	t.waits = l.durables
	return token.DemandRead{Backlogs: l.stages, Polls: polls}, err
}

func (t *tokend) readLanes(ctx context.Context) (lanes, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out := lanes{
		stages:   map[pipeline.Stage]token.Backlog{pipeline.StagePeeker: {}, pipeline.StageCommitter: {}},
		durables: map[string]token.Backlog{}, read: process.MachineNow(),
	}
	t.settled.Store(false) // before the read: what is settled meanwhile is read again
	all, isNew, err := t.bus.RecentBacklogs(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return out, fmt.Errorf("read the work that waits: %w", err)
	}
	if !isNew {
		t.lanes.Forget()
	}
	for durable, b := range all {
		name, ours := t.bus.Plan().Base(durable)
		stage := stageOf(name)
		if !ours || stage == "" {
			continue
		}
		lane := out.stages[stage]
		out.stages[stage] = token.Backlog{Pending: lane.Pending + b.Pending, Unsettled: lane.Unsettled + b.Unsettled}
		out.durables[name] = token.Backlog{Pending: b.Pending, Unsettled: b.Unsettled}
		out.unsettled = out.unsettled || b.Unsettled > 0
	}
	return out, nil
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

func (t *tokend) readPolls(ctx context.Context) ([]time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var polls []time.Time
	keys, err := bus.Keys(ctx, t.marks)
	if err != nil {
		return nil, fmt.Errorf("read the watermarks: %w", err)
	}
	for _, k := range keys {
		if !t.bus.Serves(pipeline.DomainOf(k)) {
			continue // another plan's list
		}
		e, err := t.marks.Get(ctx, k)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the watermark of %s: %w", k, err)
		}
		var v watermark.State
		if json.Unmarshal(e.Value(), &v) == nil && !v.NextPoll.IsZero() {
			polls = append(polls, v.NextPoll)
		}
	}
	return polls, nil
}
