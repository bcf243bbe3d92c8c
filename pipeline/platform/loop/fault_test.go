package loop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline/platform/loop"
)

var errFault = errors.New("fault")

// world is an inlet and an outlet in memory. Items are redelivered until they
// are done, and effects carry their item's identity, as everywhere in Ratchet.
type world struct {
	settling sync.Mutex // what is done is settled at once

	held    int // steps that have not released what they hold
	waiting []string
	done    map[string]int
	dead    map[string]string
	effects map[string]int // by identity: the effects that were stored, without duplicates
	fault   map[string]*fault
}

// fault makes the next n calls of a verb fail, with or without effect.
type fault struct {
	n      int
	landed bool
}

// trip reports whether this call fails, and whether it has its effect all the same.
func (w *world) trip(verb string) (fails, landed bool) {
	f := w.fault[verb]
	if f == nil || f.n == 0 {
		return false, true
	}
	f.n--
	return true, f.landed
}

type delivery struct {
	w  *world
	id string
}

func (d delivery) Done(context.Context) error {
	d.w.settling.Lock()
	defer d.w.settling.Unlock()
	fails, landed := d.w.trip("settle")
	if landed {
		d.w.done[d.id]++
	}
	if !landed {
		d.w.waiting = append(d.w.waiting, d.id) // the acknowledgement was lost
	}
	if fails {
		return errFault
	}
	return nil
}

func (d delivery) Again(context.Context, time.Duration) error {
	d.w.waiting = append(d.w.waiting, d.id)
	return nil
}

func (d delivery) Never(_ context.Context, why string) error {
	d.w.dead[d.id] = why
	return nil
}

func (w *world) gather(_ context.Context, in []string) ([]string, error) {
	if fails, _ := w.trip("gather"); fails {
		return nil, errFault
	}
	return in, nil
}

func (w *world) loop() loop.Loop[string, string, string] {
	return loop.Loop[string, string, string]{
		Take: func(context.Context) (loop.Batch[string, string], error) {
			w.held++
			batch := loop.Batch[string, string]{Gather: w.gather, Release: func(context.Context) { w.held-- }}
			if fails, _ := w.trip("take"); fails {
				return batch, errFault // as of a claim that was made before the inlet failed
			}
			for _, id := range w.waiting {
				batch.Items = append(batch.Items, loop.Item{Body: []byte(id), Settle: delivery{w, id}})
			}
			w.waiting = nil
			return batch, nil
		},
		Read: func(it loop.Item) (string, error) {
			if string(it.Body) == "poison" {
				return "", errFault
			}
			return string(it.Body), nil
		},
		Decide: func(in, fact string, _ time.Time) loop.Decision[string] {
			if in == "panics" {
				panic("a decision that cannot be made")
			}
			return loop.Decision[string]{Out: []string{fact}}
		},
		Apply: func(_ context.Context, out []string) error {
			fails, landed := w.trip("apply")
			if landed {
				for _, o := range out {
					w.effects[o] = 1 // a repeat is dropped by its identity
				}
			}
			if fails {
				return errFault
			}
			return nil
		},
		DeadLetter: func(_ context.Context, it loop.Item, reason string, _ error) error {
			w.dead[string(it.Body)] = reason
			return nil
		},
		Now: time.Now, Log: slog.New(slog.DiscardHandler), Grace: time.Second, Retry: time.Millisecond,
	}
}

func newWorld(ids ...string) *world {
	return &world{waiting: ids, done: map[string]int{}, dead: map[string]string{}, effects: map[string]int{}, fault: map[string]*fault{}}
}

// settleAll steps until nothing waits, within a bound.
func settleAll(t *testing.T, w *world) {
	t.Helper()
	l := w.loop()
	for range 20 {
		_, _ = l.Step(t.Context()) // the failure is intended; the final state is what counts
		if w.held != 0 {
			t.Fatalf("%d steps ended and gave nothing back", w.held)
		}
		if len(w.waiting) == 0 {
			return
		}
	}
	t.Fatalf("%v still waits", w.waiting)
}

func TestWhateverFailsOnceOrTwiceNothingIsLostOrHeldAndEveryEffectLandsOnce(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"take", "gather", "apply", "settle"} {
		for _, landed := range []bool{false, true} {
			for _, times := range []int{1, 2} {
				t.Run(fmt.Sprintf("%s fails %d× landed=%t", verb, times, landed), func(t *testing.T) {
					t.Parallel()
					w := newWorld("a", "b", "c")
					w.fault[verb] = &fault{n: times, landed: landed}
					settleAll(t, w)
					for _, id := range []string{"a", "b", "c"} {
						if w.effects[id] != 1 || w.done[id] == 0 {
							t.Errorf("%s: effect %d, settled %d", id, w.effects[id], w.done[id])
						}
					}
					if len(w.dead) != 0 {
						t.Errorf("dead-lettered %v", w.dead)
					}
				})
			}
		}
	}
}

func TestPoisonIsDeadLetteredWithItsReasonAndTheRestIsDone(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "poison", "panics", "b")
	settleAll(t, w)
	if w.dead["poison"] != "unreadable" || w.dead["panics"] == "" {
		t.Errorf("dead-lettered %v", w.dead)
	}
	if w.done["a"] != 1 || w.done["b"] != 1 {
		t.Errorf("settled %v", w.done)
	}
}

func TestFactsThatDoNotMatchTheItemsSettleNothing(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "b")
	l := w.loop()
	take := l.Take
	l.Take = func(ctx context.Context) (loop.Batch[string, string], error) {
		b, err := take(ctx)
		b.Gather = func(context.Context, []string) ([]string, error) { return []string{"a"}, nil }
		return b, err
	}
	if _, err := l.Step(t.Context()); err == nil || len(w.done) != 0 || len(w.waiting) != 2 {
		t.Errorf("err %v, done %v, waiting %v", err, w.done, w.waiting)
	}
}

// TestALoopResumesSoonAfterAnOutageAndLogsItOnce fails often enough that a pause that doubles would last for days.
func TestALoopResumesSoonAfterAnOutageAndLogsItOnce(t *testing.T) {
	t.Parallel()
	w := newWorld("a")
	w.fault["gather"] = &fault{n: 30}
	var log bytes.Buffer
	l := w.loop()
	l.Log = slog.New(slog.NewTextHandler(&log, nil))
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	l.Progress = stop
	if err := l.Run(ctx); !errors.Is(err, context.Canceled) || w.done["a"] != 1 {
		t.Errorf("done %v (%v), want one item", w.done, err)
	}
	if n := strings.Count(log.String(), "step failed"); n != 1 {
		t.Errorf("logged %d failures of one outage, want 1:\n%s", n, log.String())
	}
}

func TestAStopWaitsForTheStepInHand(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	graceful, cancel := loop.Graceful(ctx, time.Minute)
	defer cancel()
	if graceful.Err() != nil {
		t.Error("the step in hand was interrupted")
	}
}

func TestWhatCannotBeDeadLetteredYetIsNotSettled(t *testing.T) {
	t.Parallel()
	for id, reason := range map[string]string{"poison": "unreadable", "panics": "panic"} {
		w := newWorld(id)
		l := w.loop()
		left, stored := 2, 0
		l.DeadLetter = func(_ context.Context, it loop.Item, _ string, _ error) error {
			if left--; left >= 0 {
				if reason == "panic" {
					w.waiting = append(w.waiting, string(it.Body)) // unsettled, it is delivered again after AckWait
				}
				return errFault
			}
			stored++
			return nil
		}
		for range 2 {
			if _, err := l.Step(t.Context()); err == nil || len(w.dead) != 0 {
				t.Errorf("%s: its letter is not stored, and it is settled: %v, %v", id, w.dead, err)
			}
		}
		if _, err := l.Step(t.Context()); err != nil || w.dead[id] != reason || stored != 1 {
			t.Errorf("%s: settled %v, %d letters, %v", id, w.dead, stored, err)
		}
	}
}

func TestWhatWasTakenWithAnUnreadableItemDoesNotWaitForItsLetter(t *testing.T) {
	t.Parallel()
	w := newWorld("a", "poison", "b")
	l := w.loop()
	store := l.DeadLetter
	l.DeadLetter = func(context.Context, loop.Item, string, error) error { return errFault }
	if n, err := l.Step(t.Context()); n != 0 || err == nil || fmt.Sprint(w.waiting) != "[a poison b]" {
		t.Fatalf("%d settled (%v), handed back %v", n, err, w.waiting)
	}
	l.DeadLetter = store
	if n, err := l.Step(t.Context()); n != 2 || err != nil || w.dead["poison"] != "unreadable" || w.done["a"] != 1 || w.done["b"] != 1 {
		t.Errorf("%d settled (%v): dead-lettered %v, done %v", n, err, w.dead, w.done)
	}
}

func TestADecisionIsSettledAsDecided(t *testing.T) {
	t.Parallel()
	w := newWorld("again", "never", "done")
	l := w.loop()
	l.Decide = func(in, fact string, _ time.Time) loop.Decision[string] {
		switch in {
		case "again":
			return loop.Decision[string]{Again: errFault}
		case "never":
			return loop.Decision[string]{Never: "no_answer", Out: []string{fact}}
		}
		return loop.Decision[string]{Out: []string{fact}}
	}
	postponed := ""
	l.Postpone = func(in string, why error) time.Duration {
		if errors.Is(why, errFault) {
			postponed = in
		}
		return time.Minute
	}
	progress := 0
	l.Progress = func() { progress++ }
	n, err := l.Step(t.Context())
	if n != 3 || err != nil || len(w.waiting) != 1 || w.waiting[0] != "again" || w.dead["never"] != "no_answer" || w.done["done"] != 1 || w.effects["never"] != 1 || progress != 1 || postponed != "again" {
		t.Errorf("%d settled (%v): waiting %v, dead-lettered %v, done %v, effects %v, progress %d", n, err, w.waiting, w.dead, w.done, w.effects, progress)
	}
	w.fault["apply"] = &fault{n: 1}
	if _, err := l.Step(t.Context()); err == nil || len(w.waiting) != 1 || progress != 1 {
		t.Errorf("effects did not land: %v, waiting %v, progress %d", err, w.waiting, progress)
	}
	if _, err := l.Step(t.Context()); err != nil || progress != 1 {
		t.Errorf("what only comes back counts as progress: %v, %d", err, progress)
	}
}

// unconfirmed is a delivery of a batch of which no acknowledgement is confirmed before the last one is asked for.
type unconfirmed struct {
	delivery
	asked *sync.WaitGroup
}

func (u unconfirmed) Done(ctx context.Context) error {
	u.asked.Done()
	all := make(chan struct{})
	go func() { u.asked.Wait(); close(all) }()
	select {
	case <-all:
		return u.delivery.Done(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestABatchWaitsForItsAcknowledgementsTogether: where a server is gone each waits for seconds, and of a batch that was
// acknowledged one after the other two hundred candidates waited for minutes.
func TestABatchWaitsForItsAcknowledgementsTogether(t *testing.T) {
	t.Parallel()
	const many = 200
	w := newWorld()
	for i := range many {
		w.waiting = append(w.waiting, fmt.Sprint(i))
	}
	var asked sync.WaitGroup
	asked.Add(many)
	l := w.loop()
	take := l.Take
	l.Take = func(ctx context.Context) (loop.Batch[string, string], error) {
		b, err := take(ctx)
		for i := range b.Items {
			b.Items[i].Settle = unconfirmed{delivery{w, string(b.Items[i].Body)}, &asked}
		}
		return b, err
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if n, err := l.Step(ctx); err != nil || n != many || len(w.done) != many {
		t.Errorf("settled %d and %d of %d: %v", n, len(w.done), many, err)
	}
}
