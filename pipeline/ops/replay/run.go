package replay

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// Replay is a run that was started or resumed.
type Replay struct {
	b     *bus.Bus
	o     Options
	judge *verdict.Judge
	ledger
	step func(Step)
}

// Step is how far a run is.
type Step struct {
	Seen, Total int // verdicts looked at, of so many in the span
	Decided     int // of those that the options select
}

// Open starts a run or resumes one. ch is nil without ClickHouse; progress receives
// every step.
func Open(ctx context.Context, b *bus.Bus, ch Warehouse, o Options, progress func(Step)) (*Replay, error) {
	if err := o.Validate(); err != nil {
		return nil, &process.UsageError{Err: err}
	}
	l, err := openLedger(ctx, b, o.Run)
	if err != nil {
		return nil, err
	}
	r := &Replay{b: b, o: o, ledger: *l, step: progress}
	if r.step == nil {
		r.step = func(Step) {}
	}
	if err := r.choose(); err != nil {
		return nil, &process.UsageError{Err: err}
	}
	if r.exists() {
		r.o = r.options(r.o)
	} else if err := r.begin(ctx, ch); err != nil {
		return nil, err
	}
	return r, nil
}

// choose loads the rules and rejects a run's name that is taken or unknown.
func (r *Replay) choose() error {
	rules := r.o.Rules
	switch {
	case r.exists() && !r.o.Resume:
		return fmt.Errorf("--run: run %s exists already (%s); add --resume to resume it, or choose another name", r.o.Run, r.State())
	case !r.exists() && r.o.Resume:
		return fmt.Errorf("--resume: run %s does not exist", r.o.Run)
	case r.exists() && len(rules) == 0:
		rules = []byte(r.Rules)
	case len(rules) == 0:
		return errors.New("--rules: want a rule file; `ratchet rules show` prints the current one")
	}
	var err error
	if r.judge, err = verdict.NewJudge(rules); err != nil {
		return fmt.Errorf("--rules: %w", err)
	}
	if r.exists() {
		if r.Record.Plan != r.b.Plan() {
			return fmt.Errorf("--plan: run %s is of plan %s, and this is plan %s", r.o.Run, r.Record.Plan, r.b.Plan())
		}
		return r.agrees(r.o, r.judge.Version())
	}
	return nil
}

// State returns how far the run is, for people.
func (r *Record) State() string {
	if r.Done {
		return fmt.Sprintf("complete, %d decided again", r.Sums.Same+r.Sums.Changed)
	}
	return fmt.Sprintf("interrupted after %d", r.Sums.Selected)
}

// begin records the ends of the streams, so that later messages do not change the run.
func (r *Replay) begin(ctx context.Context, ch Warehouse) error {
	v, err := r.verdicts(ctx)
	if err != nil {
		return err
	}
	a, err := r.b.Span(ctx, pipeline.StreamResponses)
	if err != nil {
		return err
	}
	o := r.o
	r.Record = Record{
		Run: o.Run, Look: o.Look, RuleSet: r.judge.Version(), Rules: string(o.Rules), Span: o.Span, From: o.From, To: o.To,
		ASIN: o.ASIN, Source: o.Source, Reason: o.Reason, Changed: o.ChangedOnly, Rejects: o.Rejects, Plan: r.b.Plan(), Made: v.Made, Until: v.Last, Answers: a.Last, Stored: v.Last,
		Began: process.MachineNow().UTC(),
	}
	if err := r.chooseDepth(ctx, ch); err != nil {
		return err
	}
	return r.write(ctx, process.MachineNow().UTC())
}

// batch is some of the verdicts on their way through the steps.
type batch struct {
	ps   []original
	at   place
	seen int
	last bool
	out  []decided
	done []bool     // decided from inputs
	rest []int      // of ps: those that need their answers
	ev   []evidence // of rest
}

// stores reports whether the verdict at i is stored. Decisions from answers are not
// known yet, so all of them are prepared.
func (w *batch) stores(i int, changedOnly bool) bool {
	p, d := &w.ps[i], &w.out[i]
	return d.lost == "" && (!changedOnly || d.outcome != p.outcome || d.reason != p.reason)
}

// Run decides everything that is left, in order, and returns when it is stored. A
// stop, or a crash anywhere, leaves a run that can be resumed.
func (r *Replay) Run(ctx context.Context, ch Warehouse) error {
	if r.Done {
		return nil
	}
	if err := r.sameStream(ctx); err != nil {
		return err
	}
	src, err := r.source(ctx, ch)
	if err != nil {
		return err
	}
	defer src.stop()
	known, err := r.storedSince(ctx, pipeline.StreamVerdicts, fmt.Sprintf("verdict.*.%s.>", r.o.Look), r.Stored)
	if err != nil {
		return err
	}
	a, err := openArchive(ctx, r.b, r.o.Look)
	if err != nil {
		return err
	}
	c := completer{look: r.o.Look, made: r.Made, ch: ch}
	if c.verdicts, err = r.b.Fetcher(ctx, pipeline.StreamVerdicts); err != nil {
		return err
	}
	steps, ctx := errgroup.WithContext(ctx)
	read, thought, found := make(chan *batch), make(chan *batch), make(chan *batch)
	ready := make(chan *batch, 2*together/chunk) // deciding continues while a batch is stored
	steps.Go(func() error { defer close(read); return r.read(ctx, src, read) })
	steps.Go(func() error { defer close(thought); return r.redecide(ctx, read, thought) })
	steps.Go(func() error { defer close(found); return r.gather(ctx, a, c, thought, found) })
	steps.Go(func() error { defer close(ready); return r.decide(ctx, found, ready) })
	steps.Go(func() error { return r.store(ctx, src.total(), known, ready) })
	return steps.Wait()
}

func (r *Replay) read(ctx context.Context, src source, to chan<- *batch) error {
	for more := true; more; {
		w := &batch{}
		var err error
		if w.ps, w.at, w.seen, more, err = src.next(ctx); err != nil {
			return err
		}
		w.last = !more
		if err := send(ctx, to, w); err != nil {
			return err
		}
	}
	return nil
}

func send[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// redecide decides what kept inputs can decide.
func (r *Replay) redecide(ctx context.Context, from <-chan *batch, to chan<- *batch) error {
	return r.eachInOrder(ctx, from, to, func(b *decider, w *batch) error {
		w.out, w.done = make([]decided, len(w.ps)), make([]bool, len(w.ps))
		for i := range w.ps {
			if r.Depth == Inputs {
				w.out[i], w.done[i] = b.fromInputs(&w.ps[i])
			}
			if !w.done[i] {
				w.rest = append(w.rest, i)
			}
		}
		return nil
	})
}

// gather completes the verdicts that must be written and finds the evidence of the rest.
// It requests several batches at a time: the server reads one while another is in transit.
func (r *Replay) gather(ctx context.Context, a *archive, c completer, from <-chan *batch, to chan<- *batch) error {
	return r.eachInOrder(ctx, from, to, func(_ *decider, w *batch) error {
		var incomplete []*original
		for i := range w.ps {
			if p := &w.ps[i]; !p.complete() && (!w.done[i] || w.stores(i, r.o.ChangedOnly)) {
				incomplete = append(incomplete, p)
			}
		}
		if err := c.complete(ctx, incomplete); err != nil {
			return err
		}
		ps := make([]*original, len(w.rest))
		for k, i := range w.rest {
			ps[k] = &w.ps[i]
		}
		var err error
		w.ev, err = a.gather(ctx, ps)
		return err
	})
}

// decide writes the decisions from inputs and decides the rest from answers.
func (r *Replay) decide(ctx context.Context, from <-chan *batch, to chan<- *batch) error {
	find := storedSellers(r.b, r.Answers)
	return r.eachInOrder(ctx, from, to, func(b *decider, w *batch) error {
		for i, done := range w.done {
			if done && w.stores(i, r.o.ChangedOnly) {
				w.out[i] = b.writeInputs(&w.ps[i])
			}
		}
		for k, i := range w.rest {
			var err error
			if w.out[i], err = b.fromAnswers(ctx, &w.ps[i], w.ev[k], find); err != nil {
				return err
			}
		}
		w.ev = nil // its memory is the largest part
		return nil
	})
}

// eachInOrder distributes the batches among the workers, several at a time, and
// passes them on in their order. A batch stays with one worker: its verdicts differ in
// size, and waiting for the slowest of each batch would leave the others idle.
func (r *Replay) eachInOrder(ctx context.Context, from <-chan *batch, to chan<- *batch, f func(*decider, *batch) error) error {
	type job struct {
		w    *batch
		done chan struct{}
	}
	all, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	jobs, inOrder := make(chan job), make(chan job, workers)
	all.Go(func() error {
		defer close(jobs)
		defer close(inOrder)
		for w := range from {
			j := job{w, make(chan struct{})}
			if err := send(ctx, inOrder, j); err != nil {
				return err
			}
			if err := send(ctx, jobs, j); err != nil {
				return err
			}
		}
		return nil
	})
	for range workers {
		b := newDecider(r.o, r.judge, r.Made)
		all.Go(func() error {
			for j := range jobs {
				if err := f(b, j.w); err != nil {
					return err
				}
				close(j.done)
			}
			return nil
		})
	}
	all.Go(func() error {
		for j := range inOrder {
			select {
			case <-j.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if err := send(ctx, to, j.w); err != nil {
				return err
			}
		}
		return nil
	})
	return all.Wait()
}

const (
	// together is how many verdicts are stored at once.
	together = 1000
	// recordEvery is how often a run's record is written, machine time.
	recordEvery = time.Second
	// graceful is how long a stop may take to record where it stopped.
	graceful = 5 * time.Second
)

// store publishes in order and records the run's progress.
func (r *Replay) store(ctx context.Context, total int, known map[string]bool, from <-chan *batch) error {
	var ms []bus.Message
	seen, recorded := 0, process.MachineNow()
	for w := range from {
		for i := range w.ps {
			r.Sums.add(&w.ps[i], w.out[i])
			if m := w.out[i].message; w.stores(i, r.o.ChangedOnly) && !known[m.ID] {
				ms = append(ms, m)
			}
		}
		seen += w.seen
		if w.at.begun() {
			r.Place = w.at
		}
		due := w.last || process.MachineSince(recorded) >= recordEvery
		if len(ms) >= together || due {
			if err := r.b.PublishBatch(ctx, ms); err != nil {
				return err
			}
			ms = ms[:0]
		}
		if due {
			if err := r.record(ctx, w.last); err != nil {
				return err
			}
			recorded = process.MachineNow()
		}
		r.step(Step{Seen: min(seen, total), Total: total, Decided: r.Sums.Selected})
	}
	if ctx.Err() == nil {
		return nil
	}
	// Stopped: record what is decided and counted. If that fails too, it is repeated.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful)
	defer cancel()
	if err := r.b.PublishBatch(last, ms); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	return errors.Join(ctx.Err(), r.record(last, false))
}

// record writes the run's progress. If we crash before it, what was published since
// the last record is published again and dropped by its ids.
func (r *Replay) record(ctx context.Context, done bool) error {
	span, err := r.verdicts(ctx)
	if err != nil {
		return err
	}
	r.Stored, r.Done = span.Last, done
	return r.write(ctx, process.MachineNow().UTC())
}

func (r *Replay) verdicts(ctx context.Context) (bus.Span, error) {
	return r.b.Span(ctx, pipeline.StreamVerdicts)
}

// sameStream returns an error if VERDICTS was recreated: the record's sequences would mean nothing.
func (r *Replay) sameStream(ctx context.Context) error {
	span, err := r.verdicts(ctx)
	if err == nil && span.Made != r.Made {
		err = fmt.Errorf("resume run %s: VERDICTS was recreated since; start another run", r.o.Run)
	}
	return err
}

// storedSince returns the ids that this run has stored after a sequence.
func (r *Replay) storedSince(ctx context.Context, stream, subject string, seq uint64) (map[string]bool, error) {
	ids := map[string]bool{}
	err := r.b.Scan(ctx, stream, bus.From{Subjects: []string{subject}, Sequence: seq + 1, Headers: true}, func(m bus.Read) error {
		if id := m.Header.Get(pipeline.HeaderMsgID); m.Header.Get(pipeline.HeaderRunID) == r.o.Run {
			ids[id] = true
		}
		return nil
	})
	return ids, err
}
