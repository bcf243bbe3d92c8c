package cli

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/action"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// Live holds the visible deals: read once, then kept current from the streams, for a page that stays open.
//
//	Visible.List ─▶ deals ◀── current state ◀── touched ◀─ DEALS, VERDICTS, ACTIONS
//
// An undo may show deals that are not held here, so the list is read again after it. A message that neither touches a
// visible deal nor makes one visible causes no read.
type Live struct {
	b       *bus.Bus
	v       *Visible
	changed func([]visibility.DealKey) // called with the deals that changed; nil means all

	mu      sync.Mutex
	deals   map[visibility.DealKey]Deal
	sorted  []Deal // of deals, the most profitable first; nil after a change
	from    Source
	asOf    uint64 // every message of DEALS up to here counts
	read    bool
	err     error // of the last read of the list
	version uint64
}

// Snapshot is the visible deals at an instant. It is shared and must not be modified.
type Snapshot struct {
	Deals   []Deal // the most profitable first
	Source  Source // of the list; later changes come from the streams
	AsOf    uint64 // every message of DEALS up to here counts
	Version uint64 // equal if nothing changed
	Err     error  // why the deals are missing or not current
}

const (
	// together is how long a touched deal waits for others, machine time.
	together = 50 * time.Millisecond
	// againAfter is the pause before the list is read again after an error, machine time.
	againAfter = time.Second
)

var (
	errUndone  = errors.New("an action was undone")
	errNotRead = errors.New("the deals are being read")
)

// NewLive returns a Live, which is empty until Run reads the deals. No one else may use v. changed is called with the
// deals that changed, nil for all; it must not block.
func NewLive(b *bus.Bus, v *Visible, changed func([]visibility.DealKey)) *Live {
	return &Live{b: b, v: v, changed: changed, err: errNotRead}
}

// Snapshot returns the deals now.
func (l *Live) Snapshot() Snapshot {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.sorted == nil && l.read {
		l.sorted = slices.AppendSeq(make([]Deal, 0, len(l.deals)), maps.Values(l.deals)) // not nil
		By("").sort(l.sorted)
	}
	return Snapshot{Deals: l.sorted, Source: l.from, AsOf: l.asOf, Version: l.version, Err: l.err}
}

// Run keeps the deals current until ctx ends.
func (l *Live) Run(ctx context.Context) {
	for ctx.Err() == nil {
		err := l.run(ctx)
		if errors.Is(err, errUndone) {
			continue
		}
		l.failed(err)
		_ = process.Sleep(ctx, againAfter) // the loop checks ctx
	}
}

func (l *Live) failed(err error) {
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	l.changed(nil)
}

// run reads the list and applies later changes. It owns a goroutine for each stream and one that reads deals.
func (l *Live) run(ctx context.Context) error {
	list, from, err := l.v.List(ctx, time.Time{})
	if err != nil {
		return err
	}
	l.set(list, from)
	t := &touched{some: process.NewHint(), places: map[visibility.DealKey]bool{}, asOf: from.AsOf.Deals}
	work, ctx := errgroup.WithContext(ctx)
	follow := func(stream string, after uint64, subjects []string, f func(bus.Read) error) {
		work.Go(func() error { return l.b.Follow(ctx, stream, bus.From{Sequence: after + 1, Subjects: subjects}, f) })
	}
	follow(pipeline.StreamDeals, from.AsOf.Deals, nil, func(r bus.Read) error { return l.arrived(t, r) })
	follow(pipeline.StreamVerdicts, from.AsOf.Verdicts, []string{"verdict.*.*.accept.>", "verdict.*.*.confirm.>", "verdict.*.*.reject.>", "verdict.*.list.fail.>"},
		func(r bus.Read) error { return l.verdict(t, r) })
	follow(pipeline.StreamActions, from.AsOf.Actions, nil, func(r bus.Read) error { return l.action(t, r) })
	work.Go(func() error { return l.look(ctx, t) })
	return work.Wait()
}

// set replaces all deals by a list.
func (l *Live) set(list []Deal, from Source) {
	l.mu.Lock()
	l.deals = make(map[visibility.DealKey]Deal, len(list))
	for _, d := range list {
		l.deals[d.place()] = d
	}
	l.sorted, l.from, l.asOf, l.read, l.err = nil, from, from.AsOf.Deals, true, nil
	l.version++
	l.mu.Unlock()
	l.changed(nil)
}

// touched holds the deals whose state may have changed.
type touched struct {
	some process.Hint // there are any

	mu     sync.Mutex
	places map[visibility.DealKey]bool
	under  map[visibility.DealKey]bool // those that are being read
	asOf   uint64                      // of DEALS
}

func (t *touched) add(asOf uint64, places ...visibility.DealKey) {
	t.mu.Lock()
	for _, p := range places {
		t.places[p] = true
	}
	t.asOf = max(t.asOf, asOf)
	t.mu.Unlock()
	t.some.Give()
}

func (t *touched) take() ([]visibility.DealKey, uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := slices.Collect(maps.Keys(t.places))
	t.places, t.under = map[visibility.DealKey]bool{}, t.places
	return out, t.asOf
}

// underWay reports whether a deal will be read, or may be being read now.
func (t *touched) underWay(p visibility.DealKey) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.places[p] || t.under[p]
}

// arrived handles a message of DEALS.
func (l *Live) arrived(t *touched, r bus.Read) error {
	if v, err := visibility.ReadVersion(r.Stored()); err == nil && v.Run == pipeline.RunLive {
		t.add(r.Sequence, v.DealKey)
		return nil
	}
	t.add(r.Sequence)
	return nil
}

// verdict handles a verdict that shows a deal, or hides or marks a visible one.
func (l *Live) verdict(t *touched, r bus.Read) error {
	v, err := visibility.ReadVerdict(r.Stored())
	if err != nil || v.Run != pipeline.RunLive {
		return nil //nolint:nilerr // it has no effect
	}
	p := visibility.DealKeyOf(v.Identity)
	if shows := v.Outcome == pipeline.Accept || v.Outcome == pipeline.Confirm; shows || t.underWay(p) || l.holds(p) {
		t.add(0, p)
	}
	return nil
}

func (l *Live) holds(p visibility.DealKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.deals[p]
	return ok
}

// action handles an action of the user: the deals that it hides are read.
func (l *Live) action(t *touched, r bus.Read) error {
	a, err := action.Read(r.Stored())
	switch {
	case err != nil || a.Run != pipeline.RunLive:
		return nil //nolint:nilerr // it has no effect
	case a.Kind == action.Undo || a.Kind == action.Lapse:
		return errUndone
	}
	t.add(0, l.hiddenBy(a.Action)...)
	return nil
}

// hiddenBy returns the visible deals that an action hides.
func (l *Live) hiddenBy(a action.Action) []visibility.DealKey {
	hides := hidesOf(a)
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []visibility.DealKey
	for p, d := range l.deals {
		if hides(d) {
			out = append(out, p)
		}
	}
	return out
}

// look reads the current state of touched deals.
func (l *Live) look(ctx context.Context, t *touched) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.some:
		}
		if process.Sleep(ctx, together) != nil {
			return nil
		}
		places, asOf := t.take()
		for part := range slices.Chunk(places, bus.FiltersAtOnce) {
			if err := l.lookAt(ctx, part); err != nil {
				return err
			}
		}
		l.mu.Lock()
		l.asOf = max(l.asOf, asOf)
		l.mu.Unlock()
	}
}

func (l *Live) lookAt(ctx context.Context, places []visibility.DealKey) error {
	book, err := readDeals(ctx, l.b, places...)
	if err != nil {
		return err
	}
	list, err := dealsOf(book.Visible(time.Time{}))
	if err != nil {
		return err
	}
	now := map[visibility.DealKey]Deal{}
	for _, d := range list {
		now[d.place()] = d
	}
	if changed := l.replace(places, now); len(changed) > 0 {
		l.changed(changed)
	}
	return nil
}

// replace stores the current state of deals, and returns those that changed.
func (l *Live) replace(places []visibility.DealKey, now map[visibility.DealKey]Deal) (changed []visibility.DealKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range places {
		is, visible := now[p]
		was, held := l.deals[p]
		switch {
		case visible && (!held || !reflect.DeepEqual(is, was)):
			l.deals[p] = is
		case !visible && held:
			delete(l.deals, p)
		default:
			continue
		}
		changed = append(changed, p)
	}
	if len(changed) > 0 {
		l.sorted = nil
		l.version++
	}
	return changed
}
