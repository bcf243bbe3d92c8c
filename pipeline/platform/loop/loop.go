// Package loop is the one loop of the daemons that work on messages:
//
//	take ─▶ gather ─▶ decide (pure) ─▶ apply ─▶ settle
//
// Work is settled last, in one of three ways: done, again, never. Work that fails between take and settle is settled
// as again, and every effect is safe to repeat. A body that cannot be decoded becomes a dead letter with the reason.
package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/lmittmann/tint"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/trace"
)

// Item is one delivery of a message.
type Item struct {
	Subject    string
	Header     map[string][]string
	Body       []byte
	Stream     string
	Sequence   uint64
	StoredAt   time.Time // machine time of the server
	Deliveries uint64    // 1 for the first delivery
	Settle     Settler
}

// Head returns a header's first value; "" if it is absent.
func (i Item) Head(name string) string {
	if v := i.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Stored returns the message in the form that decoders use.
func (i Item) Stored() pipeline.Stored {
	return pipeline.Stored{Subject: i.Subject, Sequence: i.Sequence, StoredAt: i.StoredAt, Header: i.Header, Body: i.Body}
}

// Delivery returns the message in the form that a tracer uses.
func (i Item) Delivery() trace.Delivery {
	return trace.Delivery{Header: i.Header, Subject: i.Subject, Stream: i.Stream, Sequence: i.Sequence, StoredAt: i.StoredAt, Deliveries: i.Deliveries}
}

// Settler ends a delivery. Each call may be lost, or succeed although it returned
// an error; a redelivered item meets the effects of its earlier deliveries.
type Settler interface {
	Done(ctx context.Context) error                       // do not deliver it again
	Again(ctx context.Context, after time.Duration) error // deliver it again after this time, machine time
	Never(ctx context.Context, why string) error          // it is a dead letter; do not deliver it again
}

// Batch is the work of one step and what the step holds for it, such as a claim on tokens, which ends with the step.
type Batch[In, Fact any] struct {
	Items []Item
	// Gather returns one fact for each input, in order.
	Gather func(ctx context.Context, in []In) ([]Fact, error)
	// Release gives back what the step still holds at its end; may be nil.
	Release func(ctx context.Context)
}

// Decision is what to do with one item, as plain data.
type Decision[Out any] struct {
	Out   []Out         // applied, in order, before the item is settled
	Again error         // deliver it again, for this reason
	After time.Duration // > 0: deliver it again after this time, machine time
	Never string        // not empty: make it a dead letter; a reason code
	Cause string        // of Never, as text for people
}

// Returns reports whether the item will be delivered again.
func (d Decision[Out]) Returns() bool { return d.Again != nil || d.After > 0 }

// Loop is a stage: functions with I/O around a pure Decide.
type Loop[In, Fact, Out any] struct {
	// Take returns work, or none after a bounded wait. A stop interrupts only Take; work that was taken is finished.
	Take func(ctx context.Context) (Batch[In, Fact], error)
	// Read decodes an item; after an error the item becomes a dead letter.
	Read func(Item) (In, error)
	// Decide is pure.
	Decide func(in In, fact Fact, now time.Time) Decision[Out]
	// Apply returns after every effect has been stored.
	Apply func(ctx context.Context, out []Out) error
	// Postpone records that an input is returned for redelivery, and returns the delay, machine time.
	Postpone func(in In, why error) time.Duration
	// DeadLetter stores a dead letter.
	DeadLetter func(ctx context.Context, item Item, reason string, cause error) error

	// Progress is called after a step that settled at least one item as done or never; may be nil.
	Progress func()

	// Trace makes a span, named Name, for each item; nil makes none.
	Trace *trace.Tracer
	Name  string

	Now   func() time.Time
	Log   *slog.Logger
	Grace time.Duration // how long a step may continue after a stop
	Retry time.Duration // after a step that failed, machine time
}

// Run steps until ctx ends.
func (l Loop[In, Fact, Out]) Run(ctx context.Context) error {
	failures := Failures{Retry: l.Retry}
	for ctx.Err() == nil {
		_, err := l.Step(ctx)
		if err == nil {
			failures.Over()
			continue
		}
		if ctx.Err() != nil {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(failures.Add(l.Log, err)): //nolint:forbidigo // machine time: NATS or another service failed
		}
	}
	return ctx.Err()
}

// Step runs one step and returns how many items it settled.
func (l Loop[In, Fact, Out]) Step(ctx context.Context) (int, error) {
	ctx, spans := l.Trace.Begin(ctx, l.Name)
	defer spans.End()
	batch, err := l.Take(ctx)
	// From here on a stop waits for the step, at most for the grace period.
	ctx, cancel := Graceful(ctx, l.Grace)
	defer cancel()
	if batch.Release != nil {
		defer batch.Release(ctx)
	}
	if err != nil || len(batch.Items) == 0 {
		return 0, err
	}
	for _, item := range batch.Items {
		spans.Take(item.Delivery())
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

// read decodes the items and makes dead letters of those that cannot be decoded. If a letter cannot be stored, that
// item and the rest are handed back, so that they need not wait until AckWait is over.
func (l Loop[In, Fact, Out]) read(ctx context.Context, items []Item) ([]Item, []In, error) {
	var kept []Item
	var ins []In
	for i, item := range items {
		in, err := l.Read(item)
		if err == nil {
			kept, ins = append(kept, item), append(ins, in)
			continue
		}
		if err := l.deadLetter(ctx, item, "unreadable", err); err != nil {
			back := append(kept, items[i:]...)
			return back, nil, l.handBack(ctx, back, err)
		}
	}
	return kept, ins, nil
}

// conclude decides about all items, applies every effect, and only then settles.
func (l Loop[In, Fact, Out]) conclude(ctx context.Context, items []Item, ins []In, facts []Fact) (int, error) {
	span := trace.Begin(ctx, "decide")
	now := l.Now()
	decisions := make([]Decision[Out], len(ins))
	var out []Out
	for i := range ins {
		decisions[i] = l.decide(ins[i], facts[i], now)
		out = append(out, decisions[i].Out...)
	}
	span.End()
	span = trace.Begin(ctx, "publish")
	err := l.Apply(ctx, out)
	span.End()
	if err != nil {
		return 0, l.handBack(ctx, items, fmt.Errorf("apply: %w", err))
	}
	// If the process dies here, everything is redelivered and the effects are dropped as duplicates.
	defer trace.Begin(ctx, "settle").End()
	errs, ended := l.settleAll(ctx, items, ins, decisions), false
	for i, d := range decisions {
		ended = ended || errs[i] == nil && !d.Returns()
	}
	if ended && l.Progress != nil {
		l.Progress()
	}
	failed := slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	return len(items) - len(failed), errors.Join(failed...)
}

// Done acknowledges deliveries, all at once, and returns the error of each. Each waits for the server's confirmation
// or a timeout: in sequence, a lost server would hold the stage for minutes.
func Done(ctx context.Context, items []Item) []error {
	errs := make([]error, len(items))
	var confirmed sync.WaitGroup
	for i, item := range items {
		confirmed.Go(func() { errs[i] = item.Settle.Done(ctx) })
	}
	confirmed.Wait()
	return errs
}

// settleAll settles every item and returns the error of each. One that cannot be settled now is redelivered after
// AckWait.
func (l Loop[In, Fact, Out]) settleAll(ctx context.Context, items []Item, ins []In, decisions []Decision[Out]) []error {
	errs := make([]error, len(decisions))
	var done []Item
	var at []int // where in errs
	for i, d := range decisions {
		if d.Never == "" && !d.Returns() {
			done, at = append(done, items[i]), append(at, i)
			continue
		}
		errs[i] = l.settle(ctx, items[i], ins[i], d)
	}
	for n, err := range Done(ctx, done) {
		errs[at[n]] = err
	}
	for i, err := range errs {
		if err != nil {
			errs[i] = fmt.Errorf("settle %s #%d: %w", items[i].Stream, items[i].Sequence, err)
		}
	}
	return errs
}

// decide guards the pure function: a panic would repeat at every delivery, so the item becomes a dead letter.
func (l Loop[In, Fact, Out]) decide(in In, fact Fact, now time.Time) (d Decision[Out]) {
	defer func() {
		if p := recover(); p != nil {
			d = Decision[Out]{Never: "panic", Cause: fmt.Sprintf("the decision panicked: %v", p)}
		}
	}()
	return l.Decide(in, fact, now)
}

// settle settles an item that is not done.
func (l Loop[In, Fact, Out]) settle(ctx context.Context, item Item, in In, d Decision[Out]) error {
	switch {
	case d.Never != "":
		var cause error
		if d.Cause != "" {
			cause = errors.New(d.Cause)
		}
		return l.deadLetter(ctx, item, d.Never, cause)
	case d.Again != nil:
		trace.Again(ctx, item.Head(pipeline.HeaderWorkID), d.Again)
		return item.Settle.Again(ctx, l.Postpone(in, d.Again))
	default:
		return item.Settle.Again(ctx, d.After)
	}
}

// deadLetter stores the dead letter first: after a crash in between the item
// is delivered again, and its dead letter is dropped as a duplicate.
func (l Loop[In, Fact, Out]) deadLetter(ctx context.Context, item Item, reason string, cause error) error {
	if err := l.DeadLetter(ctx, item, reason, cause); err != nil {
		return fmt.Errorf("store the dead letter: %w", err)
	}
	trace.Never(ctx, item.Head(pipeline.HeaderWorkID), reason)
	l.Log.Warn("ended as a dead letter", "reason", reason, "subject", item.Subject, "sequence", item.Sequence, tint.Err(cause))
	return item.Settle.Never(ctx, reason)
}

// handBack settles all items as again after a failure and returns the cause.
func (l Loop[In, Fact, Out]) handBack(ctx context.Context, items []Item, cause error) error {
	trace.Fail(ctx, cause)
	for _, item := range items {
		if err := item.Settle.Again(ctx, l.Retry); err != nil {
			l.Log.Debug("hand back", tint.Err(err)) // it is redelivered after AckWait
		}
	}
	return cause
}

// Graceful returns a context that outlives a stop by at most grace.
func Graceful(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(grace, cancel)
		context.AfterFunc(out, func() { t.Stop() })
	})
	return out, func() { stop(); cancel() }
}
