package tokend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/gateway"
	"ratchet/pipeline/token"
)

// probe is the state of our questions for the balance; all instants are machine
// time.
type probe struct {
	wanted bool
	silent time.Time     // since when Keepa does not answer; the take-over, before the first answer
	last   time.Time     // of the last question
	wait   time.Duration // until the next one, after a failure
}

// When /token is asked.
const (
	probeFirst = 250 * time.Millisecond // between questions after a success, and after the first failure
	probeMost  = 10 * time.Second       // between questions while Keepa is silent
	// outage is how long /token may be silent before the projection stands in for it.
	outage = 30 * time.Second
	// probeIdle and probeWaiting are how old a reading may grow, pipeline time,
	// while nothing waits and while something does.
	probeIdle    = time.Hour
	probeWaiting = 5 * time.Minute
	// refillGuard is how long after a refill it is asked for, pipeline time.
	refillGuard = 20 * time.Millisecond
)

func (p probe) outage() bool { return !p.silent.IsZero() && daemon.MachineSince(p.silent) > outage }

// ask puts the free question where an answer is needed. Its failure is no error:
// the projection stands.
func (t *tokend) ask(ctx context.Context, now time.Time) {
	b := t.pos.Bucket
	age := now.Sub(b.At)
	// Who waits for more than one refill is told of each of them: the question is
	// free, and what others took shows at once.
	refilled := t.short && now.After(b.Announced().Add(refillGuard))
	if b.Known && !t.probe.wanted && !refilled && age < probeIdle && (age < probeWaiting || !t.pos.Waiting()) {
		return
	}
	if daemon.MachineSince(t.probe.last) < max(probeFirst, t.probe.wait) {
		return
	}
	t.question(ctx)
	if !t.pos.Bucket.Known && t.probe.outage() {
		t.standIn()
	}
}

// question asks /token now and reports whether it answered.
func (t *tokend) question(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := t.keepa.Token(ctx)
	t.probe.last = daemon.MachineNow()
	if err != nil {
		t.refused(err)
		return false
	}
	t.probe = probe{last: t.probe.last}
	now := t.env.Now()
	first := !t.pos.Bucket.Known
	t.pos.Bucket = t.pos.Bucket.Probed(r, now)
	t.note = ""
	t.tell(func(h *pipeline.Heartbeat) { h.LastError = "" })
	if first && t.pos.Opened.IsZero() {
		t.openDiscovery(r.Left, now)
	}
	t.openBooks()
	return true
}

func (t *tokend) refused(err error) {
	if t.probe.silent.IsZero() {
		t.probe.silent = t.probe.last
	}
	t.probe.wait = min(max(probeFirst, 2*t.probe.wait), probeMost)
	if t.note != err.Error() {
		t.note = err.Error()
		t.env.Log.Warn("balance not told", "err", err)
	}
	var e *gateway.Error
	if errors.As(err, &e) && !e.Temporary() {
		t.probe.wait = probeMost // the operator must act first
	}
	t.tell(func(h *pipeline.Heartbeat) { h.LastError = err.Error() })
}

// openDiscovery begins the books of discovery's part: it may use the balance that
// was found, and its percentage of the income from now on.
func (t *tokend) openDiscovery(left int, now time.Time) {
	t.pos.Opened, t.pos.Start, t.pos.Listed = now, left, token.Used(t.grants[pipeline.StageWatermarker])
	t.books.Opened, t.books.Start, t.books.Listed = t.pos.Opened, t.pos.Start, t.pos.Listed
}

// standIn makes a balance from what the last tokend and the workers left, when
// Keepa stays silent after a take-over: the newest reading as if it had just been
// heard, so that no refill is counted that we did not live through, less all that
// may be owed.
func (t *tokend) standIn() {
	newest, owed := t.state.API, t.state.Owed
	for _, g := range t.grants {
		newest = token.Newer(newest, g.API)
	}
	if newest == nil {
		return // nothing was ever heard: nothing may be issued
	}
	now, r := t.env.Now(), *newest
	if t.state.Rate > 0 {
		r.Rate = min(r.Rate, t.state.Rate) // a slip of one answer is not believed now either
	}
	t.pos.Bucket = token.Bucket{}.Probed(r, now).Owe(owed, now)
	t.probe.wanted = true
	t.env.Log.Warn("keepa is silent, the last known balance stands in", "balance", r.Left, "owed", owed)
}

// reap gives up claims that have outlived their life, counted from when this
// process first saw them: no two clocks are compared. A free question first tells
// what the balance really is; while Keepa is silent for long, their tokens count
// as spent.
func (t *tokend) reap(ctx context.Context, now time.Time) error {
	life := max(t.env.Clock.Machine(token.ClaimLife), token.ClaimLifeMachine)
	seen := make(map[string]time.Time, len(t.seen))
	told := false
	for stage, g := range t.grants {
		for id, h := range g.Open {
			at, known := t.seen[id]
			if !known {
				at = daemon.MachineNow()
			}
			seen[id] = at
			if daemon.MachineSince(at) <= life {
				continue
			}
			told = told || t.due() && t.question(ctx)
			if !told && !t.probe.outage() {
				continue
			}
			if err := t.giveUp(ctx, stage, id, h); err != nil {
				return err
			}
			if !told {
				t.pos.Bucket = t.pos.Bucket.Owe(h.N, now)
				t.probe.wanted = true
			}
			delete(seen, id)
		}
	}
	t.seen = seen
	return nil
}

func (t *tokend) due() bool { return daemon.MachineSince(t.probe.last) >= t.probe.wait }

func (t *tokend) giveUp(ctx context.Context, stage pipeline.Stage, id string, h token.Hold) error {
	e := pipeline.Entry{
		Event: pipeline.EventLost, Stage: stage, Tokens: h.N, PriceKind: h.Kind, Items: h.Items, Claim: id,
		Note: "its worker did not close it",
	}
	if err := t.entry(ctx, e, "lost:"+id); err != nil {
		return err
	}
	g, err := bus.Change(ctx, t.cell(stage), func(g token.Grant) (token.Grant, bool, error) {
		g, err := g.Reap(t.epoch, id)
		return g, true, err
	})
	if err != nil {
		return fmt.Errorf("give up claim %s: %w", id, err)
	}
	t.hear(t.grants[stage], g, t.env.Now())
	t.grants[stage] = g
	t.tell(func(b *pipeline.Heartbeat) { b.Counters = counted(b.Counters, "claims_lost") })
	t.env.Log.Warn("claim given up", "claim", id, "tokens", h.N)
	return nil
}
