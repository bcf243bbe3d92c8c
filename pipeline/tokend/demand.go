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
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/token"
)

// demand is what was last seen to wait.
type demand struct {
	dirty    atomic.Bool // something was published since
	read     time.Time   // machine time of the last look at the consumers
	polled   time.Time   // machine time of the last look at the watermarks
	peeks    lanes
	commits  lanes
	polls    map[string]time.Time // when each query wants its next page, pipeline time
	nextPoll time.Time            // the earliest of them that is not due
}

// lanes is what the durables of one stage hold.
type lanes struct {
	pending   int       // never delivered
	unsettled int       // delivered and not settled
	since     time.Time // machine time since when more is unsettled than the open claims explain
}

const (
	lookAgain = 25 * time.Millisecond // at the consumers, while nothing was published
	pollAgain = time.Second           // at the watermarks
	// orphaned is how long work may be unsettled without a claim before it counts as
	// waiting: between a claim's close and its acks this is the normal state.
	orphaned = time.Second
)

// readDemand is what waits: pending work and work whose worker is gone on the
// paid durables, and polls that are due. What open claims are for does not wait:
// they hold its tokens.
func (t *tokend) readDemand(ctx context.Context, now time.Time) error {
	d := &t.demand
	dirty := d.dirty.Swap(false)
	if dirty || daemon.MachineSince(d.read) >= lookAgain {
		if err := t.readLanes(ctx); err != nil {
			d.dirty.Store(true)
			return err
		}
	}
	if dirty || daemon.MachineSince(d.polled) >= pollAgain {
		if err := t.readPolls(ctx); err != nil {
			d.dirty.Store(true)
			return err
		}
	}
	peeks := d.peeks.waiting(t.items(pipeline.StagePeeker, pipeline.KindPeek))
	commits := d.commits.waiting(t.items(pipeline.StageCommitter, pipeline.KindCommit))
	polls := max(0, d.due(now)-len(t.grants[pipeline.StageWatermarker].Open))
	t.pos.Demand = map[pipeline.Stage]token.Demand{}
	for stage, steps := range map[pipeline.Stage]int{
		pipeline.StageWatermarker: polls, pipeline.StagePeeker: peeks, pipeline.StageCommitter: commits,
	} {
		g, kind := t.grants[stage], token.KindOf(stage)
		if g.Stopped(kind) {
			continue // what could overspend gets nothing; the others share its part
		}
		t.pos.Demand[stage] = token.Demand{Tokens: steps * g.Ceiling(kind), Step: g.Ceiling(kind)}
	}
	return nil
}

// items is how many products the open claims of a stage are for.
func (t *tokend) items(stage pipeline.Stage, kind pipeline.Kind) int {
	n := 0
	for _, h := range t.grants[stage].Open {
		if h.Kind == kind {
			n += max(1, h.Items)
		}
	}
	return n
}

// waiting is how many items no claim holds tokens for. An item that was delivered
// and is in no claim belongs to a worker between close and ack, or to one that
// died; only time tells.
func (l *lanes) waiting(claimed int) int {
	surplus := l.unsettled - claimed
	if surplus <= 0 {
		l.since = time.Time{}
		return max(0, l.pending+surplus)
	}
	if l.since.IsZero() {
		l.since = daemon.MachineNow()
	}
	if daemon.MachineSince(l.since) < orphaned {
		return l.pending
	}
	return l.pending + surplus
}

func (t *tokend) readLanes(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := t.bus.JS.Stream(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return fmt.Errorf("look at what waits: %w", err)
	}
	peeks, commits := lanes{since: t.demand.peeks.since}, lanes{since: t.demand.commits.since}
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		lane := &lanes{}
		switch {
		case strings.HasPrefix(info.Name, pipeline.DurablePeek("")):
			lane = &peeks
		case strings.HasPrefix(info.Name, pipeline.DurableCommit("")):
			lane = &commits
		}
		lane.pending += int(info.NumPending)
		lane.unsettled += info.NumAckPending
	}
	if err := list.Err(); err != nil {
		return fmt.Errorf("look at what waits: %w", err)
	}
	t.demand.peeks, t.demand.commits, t.demand.read = peeks, commits, daemon.MachineNow()
	return nil
}

func (t *tokend) readPolls(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	polls := map[string]time.Time{}
	keys, err := t.marks.ListKeys(ctx)
	if err != nil {
		return fmt.Errorf("look at the watermarks: %w", err)
	}
	defer func() { _ = keys.Stop() }() // it ended by itself
	for k := range keys.Keys() {
		e, err := t.marks.Get(ctx, k)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at the watermark of %s: %w", k, err)
		}
		var v struct {
			NextPoll time.Time `json:"next_poll"`
		}
		if json.Unmarshal(e.Value(), &v) == nil && !v.NextPoll.IsZero() {
			polls[k] = v.NextPoll
		}
	}
	t.demand.polls, t.demand.polled = polls, daemon.MachineNow()
	return nil
}

// due is how many queries want a page now; it also notes when the next one will.
func (d *demand) due(now time.Time) int {
	n := 0
	d.nextPoll = time.Time{}
	for _, at := range d.polls {
		switch {
		case !at.After(now):
			n++
		case d.nextPoll.IsZero() || at.Before(d.nextPoll):
			d.nextPoll = at
		}
	}
	return n
}
