package tokend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/token"
)

// takeOver raises the epoch in the balance and then in every grant; from then on
// a slower tokend's swaps fail. Nothing that this process believed from an
// earlier turn in office survives: the balance is unknown until Keepa is asked.
func (t *tokend) takeOver(ctx context.Context) error {
	// No epoch is used twice, not even where the bucket was made anew beside an old LEDGER: the ids of its lines bear it, and
	// a line under an id that was recorded would not be recorded again.
	least := uint64(max(0, t.env.Now().Unix())) //nolint:gosec // not negative
	if _, err := t.recall(ctx); err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	s, err := bus.Change(ctx, bus.NewCell(t.kv, pipeline.KeyBalance), func(s State) (State, bool, error) {
		s.Epoch = max(s.Epoch+1, least)
		return s, true, nil
	})
	if err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	grants := map[pipeline.Stage]token.Grant{}
	t.reopen = false
	for _, stage := range pipeline.Stages() {
		if err := t.mend(ctx, stage, 0); err != nil {
			return fmt.Errorf("take over the grant of %s: %w", stage, err)
		}
		g, err := bus.Change(ctx, t.cell(stage), func(g token.Grant) (token.Grant, bool, error) {
			g, err := g.Adopt(s.Epoch)
			return g, true, err
		})
		if err != nil {
			return fmt.Errorf("take over the grant of %s: %w", stage, err)
		}
		grants[stage] = g
	}
	t.epoch, t.grants, t.state, t.forced, t.untold = s.Epoch, grants, s, true, true
	t.books, t.phase, t.note = s.Books, s.Phase, ""
	t.wish, t.rules = s.Wish, s.Rules
	if t.wish == "" {
		t.wish = token.Run
	}
	if t.reopen {
		t.books.Reading = nil
	}
	t.seen, t.probe = map[string]time.Time{}, probe{silent: daemon.MachineNow()}
	t.pos = token.Position{
		Grants: grants, Base: map[pipeline.Stage]int{}, Opened: s.Books.Opened, Start: s.Books.Start, Listed: s.Books.Listed, Issued: s.Books.Issued,
	}
	for stage, g := range grants {
		t.pos.Base[stage] = token.Used(g)
	}
	t.env.Log.Info("leads", "epoch", s.Epoch)
	// The predecessor may have died between storing its lines and writing them.
	if err := t.writeLines(ctx); err != nil {
		return err
	}
	if err := t.tellMode(ctx); err != nil {
		return err
	}
	return t.entry(ctx, pipeline.Entry{Event: pipeline.EventMode, Note: "tokend leads"}, fmt.Sprintf("mode:lead:%d", s.Epoch))
}

// fenced steps down when another tokend owns the grants: contend again, never
// wait in place.
func (t *tokend) fenced(err error) error {
	if errors.Is(err, token.ErrEpoch) {
		t.epoch = 0
		t.lease.Drop()
	}
	return err
}

func (t *tokend) cell(s pipeline.Stage) bus.Cell { return bus.NewCell(t.kv, pipeline.KeyGrant(s)) }

// readGrants takes the grants as they are and the readings that workers left in
// them since the last turn.
func (t *tokend) readGrants(ctx context.Context) error {
	now := t.env.Now()
	for _, stage := range pipeline.Stages() {
		g, err := t.readGrant(ctx, stage)
		if badCell(err) {
			if err = t.mend(ctx, stage, t.epoch); err == nil {
				g, err = t.readGrant(ctx, stage)
			}
		}
		if err != nil {
			return err
		}
		t.hear(t.grants[stage], g, now)
		t.grants[stage] = g
	}
	t.pos.Grants = t.grants
	return nil
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
	if g.Epoch != t.epoch {
		return g, fmt.Errorf("read the grant of %s: %w", stage, token.ErrEpoch)
	}
	return g, nil
}

// hear learns from the way a grant went between two turns. What was there at the
// take-over is old news: before the first answer of our own, nothing is known.
func (t *tokend) hear(before, after token.Grant, now time.Time) {
	if after.Settled != before.Settled || after.Claimed != before.Claimed {
		t.tell(func(h *pipeline.Heartbeat) { h.LastPaid = now })
	}
	owed := after.Unsure - before.Unsure
	if r := after.API; r != nil && (before.API == nil || *before.API != *r) && t.pos.Bucket.Known {
		if token.WentBack(t.pos.Bucket.Reading, *r) {
			owed += after.Settled - before.Settled
		} else {
			t.pos.Bucket = t.pos.Bucket.Heard(*r, now)
		}
	}
	if owed > 0 {
		t.pos.Bucket = t.pos.Bucket.Owe(owed, now)
		t.probe.wanted = true
	}
}

// issue publishes what the plan gives, and takes back credit that has no use or
// no balance behind it. It returns the stage that must wait and the head it needs.
func (t *tokend) issue(ctx context.Context, wish token.Wish, now time.Time) (pipeline.Stage, int, error) {
	shares := t.rules.Over(t.cfg.shares())
	before := t.phase
	t.phase = t.rules.Choose().Next(t.phase, token.View{Bucket: t.pos.Bucket, Claimed: t.claimed(), Waiting: t.pos.Waiting()}, now)
	if before.Mode == token.Recharge && t.phase.EndedBy == "deadline" && t.phase.Mode == token.Burst {
		t.probe.wanted = true // the balance did not come as projected
	}
	spend := wish == token.Run && t.phase.Mode == token.Burst
	for _, stage := range pipeline.Stages() {
		keep := shares.Keep(t.pos, stage, spend, now)
		if t.grants[stage].Credit() <= keep {
			continue
		}
		if err := t.change(ctx, stage, func(g token.Grant) (token.Grant, error) { return g.Revoke(t.epoch, keep) }); err != nil {
			return "", 0, err
		}
	}
	if !spend {
		return "", 0, nil
	}
	for _, stage := range pipeline.Stages() {
		if t.pos.Demand[stage].Tokens == 0 && t.grants[stage].Held() == 0 {
			t.pos.Base[stage] = shares.Forgive(t.pos, stage)
		}
	}
	plan, wait, need := shares.Plan(t.pos, now)
	t.pos.Saving = wait
	for stage, q := range plan {
		if err := t.grant(ctx, stage, q, now); err != nil {
			return "", 0, err
		}
	}
	return wait, need, nil
}

func (t *tokend) grant(ctx context.Context, stage pipeline.Stage, q int, now time.Time) error {
	before := t.grants[stage].Issued
	if err := t.change(ctx, stage, func(g token.Grant) (token.Grant, error) { return g.Issue(t.epoch, q) }); err != nil {
		return err
	}
	if t.grants[stage].Issued == before {
		return nil
	}
	t.pos.Issued, t.books.Issued = now, now
	t.tell(func(h *pipeline.Heartbeat) { h.LastProgress = now; h.Counters = counted(h.Counters, "issues") })
	return t.entry(ctx, pipeline.Entry{Event: pipeline.EventIssue, Stage: stage, Tokens: q},
		fmt.Sprintf("issue:%d:%s:%d", t.epoch, stage, t.grants[stage].Issued))
}

// change swaps one grant. A worker may have claimed or closed since the plan was
// made, which only lowers what is outstanding; where the credit was issued anew
// (our own write, whose answer was lost) the plan is void and the grant stays.
func (t *tokend) change(ctx context.Context, stage pipeline.Stage, f func(token.Grant) (token.Grant, error)) error {
	before := t.grants[stage]
	g, err := bus.Change(ctx, t.cell(stage), func(g token.Grant) (token.Grant, bool, error) {
		if g.Epoch == t.epoch && g.Issued != before.Issued {
			return g, false, nil
		}
		next, err := f(g)
		return next, err == nil && next.Issued != g.Issued, err
	})
	if err != nil {
		return fmt.Errorf("change the grant of %s: %w", stage, err)
	}
	t.hear(before, g, t.env.Now())
	t.grants[stage] = g
	return nil
}

func (t *tokend) claimed() int {
	n := 0
	for _, g := range t.grants {
		n += g.Claimed
	}
	return n
}

// entry writes a line of the ledger under an id that its repeat shares.
func (t *tokend) entry(ctx context.Context, e pipeline.Entry, id string) error {
	if e.At.IsZero() {
		e.At = t.env.Now()
	}
	if e.Stage == "" {
		e.Stage = "tokend"
	}
	m, err := bus.Encode(pipeline.SubjectLedger(e.Stage, e.Event), pipeline.SchemaLedger, id, "", e)
	if err != nil {
		return err
	}
	_, err = t.bus.Publish(ctx, m)
	return err
}
