package watermarker

import (
	"bytes"
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

// inForce are the queries whose lists are read: the watermarker's own, until the operator applies others (CONFIG),
// which then win over them. What was applied and cannot be read, or that the rules may not decide, leaves the last
// good ones.
type inForce struct {
	own     []keepa.Query
	cell    bus.Cell
	pulse   *worker.Pulse
	log     *slog.Logger
	rules   func() *verdict.Judge // those in force; nil while they are not read yet
	read    []byte                // of CONFIG, the last time
	refused string                // why that does not hold
	now     atomic.Pointer[[]keepa.Query]
}

// follow takes the applied queries and, to say whether they may decide what the queries list, the applied rules.
func (w *watermarker) follow(ctx context.Context, own *verdict.Judge, queries []keepa.Query) error {
	kv, err := w.bus.Store(ctx, pipeline.BucketConfig)
	if err != nil {
		return err
	}
	var rules atomic.Pointer[worker.Rules]
	w.inForce = &inForce{
		own: queries, cell: bus.NewCell(kv, pipeline.KeyQueries), pulse: w.pulse, log: w.env.Log,
		rules: func() *verdict.Judge {
			if r := rules.Load(); r != nil {
				return r.Judge()
			}
			return nil
		},
	}
	w.inForce.hold(queries, 0)
	// Applied rules are measured by applied queries, and then these by the rules that are in force.
	if err := w.inForce.look(ctx); err != nil {
		return fmt.Errorf("read the applied queries: %w", err)
	}
	r, err := worker.Follow(ctx, w.bus, w.env, own, w.pulse, w.inForce.served)
	if err != nil {
		return err
	}
	rules.Store(r)
	w.inForce.read = nil
	if err := worker.FollowKey(ctx, w.bus, w.env, pipeline.KeyQueries, w.inForce.look); err != nil {
		return fmt.Errorf("follow the applied queries: %w", err)
	}
	return nil
}

// served refuses rules that may not decide what a query lists.
func (f *inForce) served(judge *verdict.Judge) error { return serves(judge, *f.now.Load()) }

func serves(judge *verdict.Judge, queries []keepa.Query) error {
	for _, q := range queries {
		if err := judge.Serves(q.Selection); err != nil {
			return fmt.Errorf("query %s: %w", q.ID(), err)
		}
	}
	return nil
}

// look takes the applied queries where they have changed. Its error is one of NATS.
func (f *inForce) look(ctx context.Context) error {
	raw, _, err := f.cell.Read(ctx)
	if err != nil || bytes.Equal(raw, f.read) && f.refused == "" {
		return err
	}
	f.read = raw
	queries, version, err := f.applied(raw)
	if err != nil {
		if f.refused != err.Error() {
			f.log.Warn("applied queries are refused, the last good ones hold", "err", err)
		}
		f.refused = err.Error() // the rules may change: they are looked at again
		f.pulse.QueriesRefused(err)
		return nil
	}
	f.refused = ""
	if !slices.Equal(ids(queries), ids(*f.now.Load())) {
		f.log.Info("queries in force", "queries", ids(queries), "version", version)
	}
	f.hold(queries, version)
	return nil
}

// applied are the queries that a value of CONFIG puts in force.
func (f *inForce) applied(raw []byte) ([]keepa.Query, int, error) {
	a, err := bus.Decode[pipeline.AppliedQueries](f.cell, raw)
	if err != nil {
		return nil, 0, err
	}
	queries, err := verdict.Queries(a)
	if len(queries) == 0 && err == nil {
		queries = f.own
	}
	if judge := f.rules(); err == nil && judge != nil {
		err = serves(judge, queries)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("version %d: %w", a.Version, err)
	}
	return queries, a.Version, nil
}

func (f *inForce) hold(queries []keepa.Query, version int) {
	f.now.Store(&queries)
	f.pulse.Reads(pipeline.QueriesInForce{Queries: ids(queries), Version: version})
}

// has reports whether a query is in force.
func (f *inForce) has(q query) bool {
	return slices.ContainsFunc(*f.now.Load(), func(other keepa.Query) bool { return other.ID() == q.ID() })
}

func ids(queries []keepa.Query) []string {
	var all []string
	for _, q := range queries {
		all = append(all, q.ID())
	}
	return all
}

// take makes the queries in force those that are read.
func (w *watermarker) take() {
	now := *w.inForce.now.Load()
	if slices.EqualFunc(w.queries, now, func(a query, b keepa.Query) bool { return a.ID() == b.ID() }) {
		return
	}
	w.queries, w.retired = nil, false
	for _, q := range now {
		w.queries = append(w.queries, query{Query: q, cell: bus.NewCell(w.marks, pipeline.KeyWatermark(int(q.Domain), q.Name))})
	}
	w.lists.Clear()
}

// introduce writes the state of a query that has none, or that is another under an old name, due at once, so that
// tokend sees the demand. One that cannot be read stops its query alone.
func (w *watermarker) introduce(ctx context.Context) error {
	for _, q := range w.queries {
		s, err := w.state(ctx, q)
		if badCell(err) {
			continue
		}
		if _, fresh := s.Introduce(q.ID(), w.env.Now()); err == nil && !fresh {
			continue
		}
		_, err = bus.Change(ctx, q.cell, func(s watermark.State) (watermark.State, bool, error) {
			s, fresh := s.Introduce(q.ID(), w.env.Now())
			return s, fresh, nil
		})
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

// retire sets the watermarks of queries aside that are no longer in force: nothing is due there, and tokend issues
// nothing for them. They stay, for the day when the query comes back.
func (w *watermarker) retire(ctx context.Context) error {
	keys, err := w.marks.ListKeys(ctx)
	if err != nil {
		return fmt.Errorf("list the watermarks: %w", err)
	}
	defer func() { _ = keys.Stop() }() // it ended by itself
	for key := range keys.Keys() {
		if slices.ContainsFunc(w.queries, func(q query) bool { return q.cell.Key() == key }) {
			continue
		}
		_, err := bus.Change(ctx, bus.NewCell(w.marks, key), func(s watermark.State) (watermark.State, bool, error) {
			s, change := s.Retire()
			return s, change, nil
		})
		if err != nil && !badCell(err) && !errors.Is(err, jetstream.ErrKeyNotFound) {
			return err
		}
	}
	return nil
}
