// Package loop is the one loop of the daemons that work on messages:
//
//	take ─▶ gather ─▶ decide (pure) ─▶ apply ─▶ settle
//
// Work is settled last, in one of three ways: done, again, never. What fails
// between take and settle is settled again, and every effect is safe to repeat.
// A body that cannot be read is buried with the reason: poison is a decision.
package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/lmittmann/tint"

	"ratchet/pipeline"
)

// Item is one piece of work as it was delivered.
type Item struct {
	Subject    string
	Header     map[string][]string
	Body       []byte
	Stream     string
	Sequence   uint64
	StoredAt   time.Time // machine time of the server
	Deliveries uint64    // 1 the first time
	Settle     Settler
}

// Head is a header's first value; "" when it is absent.
func (i Item) Head(name string) string {
	if v := i.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Stored is the message for those who read what it says.
func (i Item) Stored() pipeline.Stored {
	return pipeline.Stored{Subject: i.Subject, Sequence: i.Sequence, StoredAt: i.StoredAt, Header: i.Header, Body: i.Body}
}

// Settler ends a delivery. Each may be lost or land although we are told that it
// failed; work that comes again meets effects that it has made before.
type Settler interface {
	Done(ctx context.Context) error                       // never deliver it again
	Again(ctx context.Context, after time.Duration) error // deliver it after this long, machine time
	Never(ctx context.Context, why string) error          // it is buried; do not deliver it again
}

// Batch is the work of one step and what the step holds for it, such as a claim on
// tokens: that belongs to this value and ends with it.
type Batch[In, Fact any] struct {
	Items []Item
	// Gather returns one fact for each input, in order.
	Gather func(ctx context.Context, in []In) ([]Fact, error)
	// Release gives back what the step still holds at its end; may be nil.
	Release func(ctx context.Context)
}

// Decision is what to do about one item. It is plain data.
type Decision[Out any] struct {
	Out   []Out         // applied, in order, before the item is settled
	Again error         // bring it back, for this reason
	After time.Duration // > 0: bring it back after this long, machine time
	Never string        // != "": bury it, for this reason, a code
	Cause string        // of Never, for people
}

// Returns reports whether the item is delivered again.
func (d Decision[Out]) Returns() bool { return d.Again != nil || d.After > 0 }

// Loop is a stage: functions that touch the world around one that does not.
type Loop[In, Fact, Out any] struct {
	// Take returns work, or none after a bounded wait. It is the only verb that a
	// stop interrupts; what was taken is finished.
	Take func(ctx context.Context) (Batch[In, Fact], error)
	// Read decodes an item; an error buries it.
	Read func(Item) (In, error)
	// Decide is pure.
	Decide func(in In, fact Fact, now time.Time) Decision[Out]
	// Apply returns when every effect has landed.
	Apply func(ctx context.Context, out []Out) error
	// Postpone reports that an input comes back and says after how long, machine time.
	Postpone func(in In, why error) time.Duration
	// Bury stores a dead letter.
	Bury func(ctx context.Context, item Item, reason string, cause error) error

	// Progress is called after a step that ended at least one item for good; may be nil.
	Progress func()

	Now   func() time.Time
	Log   *slog.Logger
	Grace time.Duration // how long a step may finish after a stop
	Retry time.Duration // after a step that failed, machine time
}

// Run steps until ctx ends.
func (l Loop[In, Fact, Out]) Run(ctx context.Context) error {
	pause := l.Retry
	for ctx.Err() == nil {
		_, err := l.Step(ctx)
		if err == nil {
			pause = l.Retry
			continue
		}
		if ctx.Err() != nil {
			break
		}
		l.Log.Warn("step failed, will retry", "pause", pause, tint.Err(err))
		select {
		case <-ctx.Done():
		case <-time.After(pause): //nolint:forbidigo // a door failed: machine time
			pause = min(2*pause, 30*time.Second)
		}
	}
	return ctx.Err()
}

// Step is one turn; it returns how many items it settled.
func (l Loop[In, Fact, Out]) Step(ctx context.Context) (int, error) {
	batch, err := l.Take(ctx)
	// From here on a stop waits for us, for as long as the grace lasts.
	ctx, cancel := Graceful(ctx, l.Grace)
	defer cancel()
	if batch.Release != nil {
		defer batch.Release(ctx)
	}
	if err != nil || len(batch.Items) == 0 {
		return 0, err
	}
	kept, ins, err := l.read(ctx, batch.Items)
	if err != nil || len(ins) == 0 {
		return len(batch.Items) - len(kept), err
	}
	facts, err := batch.Gather(ctx, ins)
	if err == nil && len(facts) != len(ins) {
		err = fmt.Errorf("gathered %d facts for %d items", len(facts), len(ins))
	}
	if err != nil {
		return 0, l.handBack(ctx, kept, fmt.Errorf("gather: %w", err))
	}
	return l.conclude(ctx, kept, ins, facts)
}

// read decodes what can be decoded and buries the rest.
func (l Loop[In, Fact, Out]) read(ctx context.Context, items []Item) ([]Item, []In, error) {
	var kept []Item
	var ins []In
	for _, item := range items {
		in, err := l.Read(item)
		if err == nil {
			kept, ins = append(kept, item), append(ins, in)
			continue
		}
		if err := l.bury(ctx, item, "unreadable", err); err != nil {
			return kept, ins, err
		}
	}
	return kept, ins, nil
}

// conclude decides about all, applies everything, and only then settles.
func (l Loop[In, Fact, Out]) conclude(ctx context.Context, items []Item, ins []In, facts []Fact) (int, error) {
	now := l.Now()
	decisions := make([]Decision[Out], len(ins))
	var out []Out
	for i := range ins {
		decisions[i] = l.decide(ins[i], facts[i], now)
		out = append(out, decisions[i].Out...)
	}
	if err := l.Apply(ctx, out); err != nil {
		return 0, l.handBack(ctx, items, fmt.Errorf("apply: %w", err))
	}
	// If we crash here, everything comes again and its effects are dropped as
	// repeats.
	// One that cannot be settled now comes again by itself; the rest is not kept
	// waiting for it.
	var errs []error
	ended := false
	for i, d := range decisions {
		if err := l.settle(ctx, items[i], ins[i], d); err != nil {
			errs = append(errs, fmt.Errorf("settle %s #%d: %w", items[i].Stream, items[i].Sequence, err))
			continue
		}
		ended = ended || !d.Returns()
	}
	if ended && l.Progress != nil {
		l.Progress()
	}
	return len(items) - len(errs), errors.Join(errs...)
}

// decide guards the pure function: one that panics would do so at every delivery,
// so its item is poison and not a reason to stop.
func (l Loop[In, Fact, Out]) decide(in In, fact Fact, now time.Time) (d Decision[Out]) {
	defer func() {
		if p := recover(); p != nil {
			d = Decision[Out]{Never: "panic", Cause: fmt.Sprintf("the decision panicked: %v", p)}
		}
	}()
	return l.Decide(in, fact, now)
}

func (l Loop[In, Fact, Out]) settle(ctx context.Context, item Item, in In, d Decision[Out]) error {
	switch {
	case d.Never != "":
		var cause error
		if d.Cause != "" {
			cause = errors.New(d.Cause)
		}
		return l.bury(ctx, item, d.Never, cause)
	case d.Again != nil:
		return item.Settle.Again(ctx, l.Postpone(in, d.Again))
	case d.After > 0:
		return item.Settle.Again(ctx, d.After)
	default:
		return item.Settle.Done(ctx)
	}
}

// bury stores the dead letter first: dying in between delivers the item again,
// and its letter is dropped as a repeat.
func (l Loop[In, Fact, Out]) bury(ctx context.Context, item Item, reason string, cause error) error {
	if err := l.Bury(ctx, item, reason, cause); err != nil {
		return fmt.Errorf("bury: %w", err)
	}
	l.Log.Warn("settled never", "reason", reason, "subject", item.Subject, "sequence", item.Sequence, tint.Err(cause))
	return item.Settle.Never(ctx, reason)
}

// handBack settles everything again after a failure and returns its cause.
func (l Loop[In, Fact, Out]) handBack(ctx context.Context, items []Item, cause error) error {
	for _, item := range items {
		if err := item.Settle.Again(ctx, l.Retry); err != nil {
			l.Log.Debug("hand back", tint.Err(err)) // it comes again by itself after AckWait
		}
	}
	return cause
}

// Graceful is a context that outlives a stop by at most grace.
func Graceful(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(grace, cancel)
		context.AfterFunc(out, func() { t.Stop() })
	})
	return out, func() { stop(); cancel() }
}
