package replay

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/store/messages"
)

// Publish offers what newly passes to the live pipeline, as candidates of source
// retry. It is idempotent: what was published is recognised by its
// ids on CANDIDATES. The run must be complete.
func (r *Replay) Publish(ctx context.Context) error {
	if !r.Done {
		return fmt.Errorf("publish run %s: it is not complete; resume it first", r.o.Run)
	}
	if r.AllOut {
		return nil
	}
	if err := r.beginPublishing(ctx); err != nil {
		return err
	}
	known, err := r.storedSince(ctx, pipeline.StreamCandidates, "candidate.*."+string(pipeline.SourceRetry)+".>", r.Since)
	if err != nil {
		return err
	}
	// Only those of this run: other runs publish their own.
	published := len(known)
	works, err := r.b.Fetcher(ctx, decidedOf(r.o.Look))
	if err != nil {
		return err
	}
	verdicts, err := r.b.Fetcher(ctx, pipeline.StreamVerdicts)
	if err != nil {
		return err
	}
	var ps []original
	flush := func() error {
		origins, err := originsOf(ctx, verdicts, ps, r.o.Look)
		if err != nil {
			return err
		}
		n, err := r.offer(ctx, works, origins, known)
		published += n
		ps = ps[:0]
		return err
	}
	from := bus.From{Subjects: []string{fmt.Sprintf("verdict.*.%s.%s.>", r.o.Look, r.passing())}, Headers: true}
	err = r.b.Scan(ctx, pipeline.StreamVerdicts, from, func(m bus.Read) error {
		was, _, _ := strings.Cut(m.Header.Get(pipeline.HeaderWas), " ")
		if m.Header.Get(pipeline.HeaderRunID) != r.o.Run || passes(pipeline.Outcome(was)) {
			return nil
		}
		ps = append(ps, original{origin: m.Header.Get(pipeline.HeaderOrigin), seq: sequenceOf(m.Header.Get(pipeline.HeaderAgain))})
		if len(ps) < chunk {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return err
	}
	r.AllOut, r.Published = true, published
	return r.write(ctx, process.MachineNow().UTC())
}

// originsOf returns the sequences of the work that verdicts decided. Rows of
// ClickHouse do not name theirs; the live verdict does, while VERDICTS holds it.
func originsOf(ctx context.Context, verdicts *bus.Fetcher, ps []original, look pipeline.Look) ([]uint64, error) {
	var ask, out []uint64
	for i := range ps {
		if _, ok := ps[i].originOf(look); !ok && ps[i].seq > 0 {
			ask = append(ask, ps[i].seq)
		}
	}
	live, err := verdicts.Read(ctx, ask)
	if err != nil {
		return nil, err
	}
	for i := range ps {
		p := &ps[i]
		if m, ok := live[p.seq]; ok {
			p.origin = m.Header.Get(pipeline.HeaderOrigin)
		}
		if seq, ok := p.originOf(look); ok {
			out = append(out, seq)
		}
	}
	return out, nil
}

// sequenceOf returns the sequence of a STREAM/SEQUENCE.
func sequenceOf(origin string) uint64 {
	_, seq, _ := strings.Cut(origin, "/")
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// passing returns the outcome of work that passes a run's look.
func (r *Replay) passing() pipeline.Outcome {
	if r.o.Look == pipeline.LookCommit {
		return pipeline.Accept
	}
	return pipeline.Survive
}

// beginPublishing records the end of CANDIDATES before our first candidate.
func (r *Replay) beginPublishing(ctx context.Context) error {
	if r.Publishing {
		return nil
	}
	span, err := r.b.Span(ctx, pipeline.StreamCandidates)
	if err != nil {
		return err
	}
	r.Publishing, r.Since = true, span.Last
	return r.write(ctx, process.MachineNow().UTC())
}

// offer publishes the candidates of the decided work and returns how many were
// new.
func (r *Replay) offer(ctx context.Context, works *bus.Fetcher, origins []uint64, known map[string]bool) (int, error) {
	if len(origins) == 0 {
		return 0, nil
	}
	rows, err := works.Read(ctx, origins)
	if err != nil {
		return 0, err
	}
	schema := pipeline.SchemaSurvivor
	if r.o.Look == pipeline.LookGlance {
		schema = pipeline.SchemaCandidate
	}
	var all []pipeline.Candidate
	for _, seq := range origins {
		row, ok := rows[seq]
		if !ok {
			continue // it has left the stream since it was decided
		}
		w, err := messages.Work(schema, row.Header, row.Body)
		if err != nil {
			return 0, fmt.Errorf("publish what was decided at %d of %s: %w", seq, decidedOf(r.o.Look), err)
		}
		all = append(all, w.Survivor.Candidate)
	}
	if r.o.Rejects {
		if all, err = stillRejected(ctx, r.b, all); err != nil {
			return 0, err
		}
	}
	var ms []bus.Message
	for _, c := range all {
		c.Source, c.Attempt, c.NotBefore = pipeline.SourceRetry, c.Attempt+1, time.Time{}
		m := messages.Candidate(r.o.Run, c.WorkID(pipeline.ReplayGeneration(r.o.Run)), c)
		m.Run = r.o.Run
		if !known[m.ID] {
			known[m.ID] = true
			ms = append(ms, m)
		}
	}
	return len(ms), r.b.PublishAll(ctx, ms)
}
