// Package recorder writes the streams into ClickHouse.
//
//	VERDICTS ─▶ recorder-verdicts ─┐
//	DEALS    ─▶ recorder-deals    ─┤
//	LEDGER   ─▶ recorder-ledger   ─┤  take a batch ─▶ decode ─▶ insert ─▶ acknowledge
//	DEAD     ─▶ recorder-dead     ─┤                    │          │
//	ACTIONS  ─▶ recorder-actions  ─┘                    └─ bad ────┴─▶ DEAD
//
// A message is acknowledged only after ClickHouse has confirmed that its row is stored. After a crash before
// that it is redelivered, in any batch, and becomes the same row: the key of every table comes from the message.
//
// While ClickHouse is unavailable the current batch is kept and retried under
// the same token. The streams keep the rest, and no other daemon waits.
package recorder

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
)

// grace is the default time in which the held rows must be stored after a stop.
const grace = 5 * time.Second

// Run records until ctx ends, then stores the held rows within
// grace. It starts whether ClickHouse can be reached or not.
func Run(ctx context.Context, env process.Env) error {
	cfg, err := process.Load[Config](ctx, env.Lookup)
	if err != nil {
		return err
	}
	b, err := bus.Open(ctx, cfg.NATS, env, "recorder")
	if err != nil {
		return err
	}
	defer b.Close()
	r := newRecorder(cfg, env, b, func(ctx context.Context) (sink, error) { return openWarehouse(ctx, cfg) })
	defer r.store.close()
	stop, err := bus.StartService(ctx, b, env, "recorder", r.pulse.beat)
	if err != nil {
		return err
	}
	defer stop()
	defer r.measure()()
	return r.run(ctx)
}

// everyInsert exceeds the number of inserts at the same time.
const everyInsert = 1 << 10

type recorder struct {
	cfg   Config
	env   process.Env
	bus   *bus.Bus
	pulse *pulse
	store *store
	pause time.Duration // after a first failure
	grace time.Duration // for the held rows, after a stop

	inserts *semaphore.Weighted // one for a batch that is inserted; all of them while the deals are counted

	longest time.Duration // between two inserts of the same rows
	heldFor time.Duration // for the held rows, while ClickHouse does not accept them
}

func newRecorder(cfg Config, env process.Env, b *bus.Bus, dial func(context.Context) (sink, error)) *recorder {
	return &recorder{
		cfg: cfg, env: env, bus: b, pulse: newPulse(env.Now), store: newStore(dial), inserts: semaphore.NewWeighted(everyInsert),
		pause: firstPause, grace: grace, longest: longestPause, heldFor: heldFor,
	}
}

// run starts two goroutines per stream, of which one takes and one inserts, one for the server's
// advisories, one that opens ClickHouse and then tidies it hourly, and one that pings it. It waits for all of them.
func (r *recorder) run(ctx context.Context) error {
	advisories, err := r.watchAdvisories() // first, since they are not stored
	if err != nil {
		return err
	}
	defer advisories.stop()
	lines, err := r.lines(ctx)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	tried := make(chan struct{})
	all.Go(func() { r.keepOpen(ctx, tried); r.tidyUp(ctx) })
	all.Go(func() { r.ping(ctx) })
	waiting, waited := context.WithTimeout(ctx, openWithin)
	select {
	case <-tried:
	case <-waiting.Done():
		r.env.Log.Info("clickhouse does not answer yet, the streams keep everything")
	}
	waited()
	r.env.AnnounceReady()

	working, cancel := loop.Graceful(ctx, r.grace)
	defer cancel()
	for _, l := range lines {
		all.Go(func() { l.run(ctx, working) })
	}
	all.Go(func() { advisories.run(ctx, working) })
	all.Wait()
	return ctx.Err()
}

// runner is a streamRecorder with rows of any type.
type runner interface {
	run(ctx, working context.Context)
}

func (r *recorder) lines(ctx context.Context) ([]runner, error) {
	verdicts, err := newStreamRecorder(ctx, r, pipeline.StreamVerdicts, r.cfg.Batch, readVerdict, sink.InsertVerdicts)
	if err != nil {
		return nil, err
	}
	deals, err := newStreamRecorder(ctx, r, pipeline.StreamDeals, min(r.cfg.Batch, 1000), readDeal, sink.InsertDeals)
	if err != nil {
		return nil, err
	}
	ledger, err := newStreamRecorder(ctx, r, pipeline.StreamLedger, r.cfg.Batch, readEntry, sink.InsertLedger)
	if err != nil {
		return nil, err
	}
	// A dead letter may hold a whole message, so fewer are held at a time.
	dead, err := newStreamRecorder(ctx, r, pipeline.StreamDead, min(r.cfg.Batch, 200), readDead, sink.InsertDead)
	if err != nil {
		return nil, err
	}
	actions, err := newStreamRecorder(ctx, r, pipeline.StreamActions, min(r.cfg.Batch, 1000), readAction, sink.InsertActions)
	if err != nil {
		return nil, err
	}
	return []runner{verdicts, deals, ledger, dead, actions}, nil
}

// keepOpen tries to connect to ClickHouse before the first row needs it. It closes tried after its first attempt.
func (r *recorder) keepOpen(ctx context.Context, tried chan<- struct{}) {
	first := sync.OnceFunc(func() { close(tried) })
	defer first()
	var warned, waited sync.Once
	for backoff := (process.Backoff{First: r.pause, Most: longestPause}); ; {
		_, err := r.store.open(ctx)
		if err == nil {
			r.pulse.back()
			return
		}
		if ctx.Err() == nil {
			r.pulse.away(err)
			if errors.Is(err, warehouse.ErrOldSchema) || errors.Is(err, warehouse.ErrNoDatabase) {
				waited.Do(func() {
					r.env.Log.Warn("waiting for the tables of clickhouse, the streams keep everything; `ratchet topology apply` migrates them", "err", err)
				})
			} else {
				warned.Do(func() { r.env.Log.Warn("clickhouse is unreachable, the streams keep everything", "err", err) })
			}
		}
		first()
		if backoff.Sleep(ctx) != nil {
			return
		}
	}
}

// ping asks ClickHouse regularly whether it is there, because without messages no insert does.
func (r *recorder) ping(ctx context.Context) {
	for process.Sleep(ctx, pingEvery) == nil {
		s := r.store.opened()
		if s == nil { // what opens it reports
			continue
		}
		bounded, cancel := context.WithTimeout(ctx, pingWithin)
		err := s.Ping(bounded)
		cancel()
		if ctx.Err() == nil && r.pulse.pinged(err) {
			r.env.Log.Warn("clickhouse is unreachable, the streams keep everything", "err", err)
		}
	}
}

// openWarehouse connects to ClickHouse, whose tables only the provisioner creates.
func openWarehouse(ctx context.Context, cfg Config) (sink, error) {
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	w, err := warehouse.Reach(ctx, cfg.url())
	if err != nil {
		return nil, err
	}
	if err := w.Current(ctx); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}
