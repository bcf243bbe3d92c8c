package watermarker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/worker"
)

// currentQueries are those whose lists are read: the watermarker's own, until the operator applies others (CONFIG).
// If the applied ones are unreadable, or the rules do not support one of them, the last valid ones remain.
type currentQueries struct {
	own     []keepa.Query
	status  *worker.Status
	log     *slog.Logger
	rules   atomic.Pointer[worker.Rules] // the current ones; nil before they are read
	changed func()                       // the queries changed
	routed  func([]keepa.Query) error
	queries atomic.Pointer[[]keepa.Query]
}

// follow follows the applied queries, and the applied rules, which must support them.
func (w *watermarker) follow(ctx context.Context, own *verdict.Judge, queries []keepa.Query) error {
	kv, err := w.bus.Store(ctx, pipeline.BucketConfig)
	if err != nil {
		return err
	}
	w.current = &currentQueries{
		own: queries, status: w.status, log: w.env.Log, changed: w.hint.Give,
		routed: func(q []keepa.Query) error { return routed(w.bus, q) },
	}
	w.current.hold(queries, 0)
	key := w.bus.Own(pipeline.KeyQueries)
	applied := &worker.Applied[pipeline.AppliedQueries, []keepa.Query]{
		Cell: bus.NewCell(kv, key), Decode: w.current.decode, Use: w.current.use, Refuse: w.current.refuse,
	}
	// Applied rules are checked against the applied queries, and then these against the current rules.
	if err := applied.Load(ctx); err != nil {
		return fmt.Errorf("read the applied queries: %w", err)
	}
	rules, err := worker.Follow(ctx, w.bus, w.env, own, w.status, w.current.supported)
	if err != nil {
		return err
	}
	w.current.rules.Store(rules)
	applied.Recheck()
	if err := worker.FollowKey(ctx, w.bus, w.env, key, applied.Load); err != nil {
		return fmt.Errorf("follow the applied queries: %w", err)
	}
	return nil
}

// supported returns an error for rules that do not support a current query.
func (f *currentQueries) supported(judge *verdict.Judge) error {
	return supports(judge, *f.queries.Load())
}

func supports(judge *verdict.Judge, queries []keepa.Query) error {
	return firstBad(queries, func(q keepa.Query) error { return judge.Serves(q.Selection) })
}

// routed returns an error for queries of a marketplace that another plan serves.
func routed(b *bus.Bus, queries []keepa.Query) error {
	return firstBad(queries, func(q keepa.Query) error { return b.Route(int(q.Domain)) })
}

func firstBad(queries []keepa.Query, check func(keepa.Query) error) error {
	for _, q := range queries {
		if err := check(q); err != nil {
			return fmt.Errorf("query %s: %w", q.ID(), err)
		}
	}
	return nil
}

func (f *currentQueries) decode(a pipeline.AppliedQueries) ([]keepa.Query, int, error) {
	queries, err := verdict.Queries(a)
	if len(queries) == 0 && err == nil {
		queries = f.own
	}
	if rules := f.rules.Load(); err == nil && rules != nil {
		err = supports(rules.Judge(), queries)
	}
	if err == nil {
		err = f.routed(queries)
	}
	return queries, a.Version, err
}

func (f *currentQueries) use(queries []keepa.Query, version int) {
	if !slices.Equal(ids(queries), ids(*f.queries.Load())) {
		f.log.Info("queries are used", "queries", ids(queries), "version", version)
	}
	f.hold(queries, version)
}

func (f *currentQueries) hold(queries []keepa.Query, version int) {
	f.queries.Store(&queries)
	f.changed()
	f.status.Report(func(h *pipeline.Heartbeat) {
		h.Queries = &pipeline.CurrentQueries{Queries: ids(queries), Version: version}
	})
}

func (f *currentQueries) refuse(err error) {
	f.log.Warn("applied queries cannot be used, the last valid ones stay in effect", "err", err)
	f.status.Report(func(h *pipeline.Heartbeat) {
		current := *h.Queries
		current.Refused = err.Error()
		h.Queries = &current
	})
}

// has reports whether a query is current.
func (f *currentQueries) has(q keepa.Query) bool {
	return slices.ContainsFunc(*f.queries.Load(), func(other keepa.Query) bool { return other.ID() == q.ID() })
}

func ids(queries []keepa.Query) []string {
	var all []string
	for _, q := range queries {
		all = append(all, q.ID())
	}
	return all
}

// adopt makes the lists of the current queries those that are read. A list that is read already keeps its reader.
func (w *watermarker) adopt() {
	current := *w.current.queries.Load()
	if slices.EqualFunc(w.lists, current, func(l *list, q keepa.Query) bool { return l.ID() == q.ID() }) {
		return
	}
	before := w.lists
	w.lists, w.retired = nil, false
	for _, q := range current {
		i := slices.IndexFunc(before, func(l *list) bool { return l.ID() == q.ID() })
		if i >= 0 {
			w.lists = append(w.lists, before[i])
			continue
		}
		w.lists = append(w.lists, &list{
			Query: q, cell: bus.NewCell(w.marks, pipeline.KeyWatermark(int(q.Domain), q.Name)),
			reader: watermark.NewReader(watermark.Setup{Query: q.ID(), Plan: w.cfg.plan(), Backlog: w.cfg.Backlog}),
		})
	}
	w.shown.Clear()
}

// introduce makes every new list due, so that tokend sees the demand, and retires all others.
// An unreadable state stops its list alone.
func (w *watermarker) introduce(ctx context.Context) error {
	for _, l := range w.lists {
		s, err := w.state(ctx, l.cell)
		if bus.IsBad(err) {
			continue
		}
		if err == nil {
			err = w.step(ctx, l, watermark.Admit{State: s})
		}
		if err != nil {
			return err
		}
	}
	if w.retired {
		return nil
	}
	err := w.retire(ctx)
	w.retired = err == nil
	return err
}

// retire retires the lists of queries that are not current: no poll is due there, and tokend issues
// nothing for them. Their states stay, so that a query that is applied again continues.
func (w *watermarker) retire(ctx context.Context) error {
	keys, err := bus.Keys(ctx, w.marks)
	if err != nil {
		return fmt.Errorf("list the watermarks: %w", err)
	}
	for _, key := range keys {
		if !w.bus.Serves(pipeline.DomainOf(key)) {
			continue // another plan's list
		}
		if slices.ContainsFunc(w.lists, func(l *list) bool { return l.cell.Key() == key }) {
			continue
		}
		_, err := swap(ctx, bus.NewCell(w.marks, key), watermark.Retire{})
		if err != nil && !bus.IsBad(err) && !errors.Is(err, jetstream.ErrKeyNotFound) {
			return err
		}
	}
	return nil
}
