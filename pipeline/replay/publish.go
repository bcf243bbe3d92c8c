package replay

import (
	"context"
	"fmt"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
	"ratchet/pipeline/daemon"
	"ratchet/pipeline/post"
)

// Publish offers what newly passes to the live pipeline, as candidates of source
// retry, each once however often it is called: what was published is known by its
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
	// Those of this run alone: another run's candidates are another run's.
	published := len(known)
	survivors, err := r.b.Shelf(ctx, pipeline.StreamSurvivors)
	if err != nil {
		return err
	}
	var origins []uint64
	flush := func() error {
		n, err := r.offer(ctx, survivors, origins, known)
		published += n
		origins = origins[:0]
		return err
	}
	from := bus.From{Subjects: []string{fmt.Sprintf("verdict.*.%s.%s.>", r.o.Look, r.passing())}, Headers: true}
	err = r.b.Scan(ctx, pipeline.StreamVerdicts, from, func(m bus.Read) error {
		was, _, _ := strings.Cut(m.Header.Get(pipeline.HeaderWas), " ")
		if m.Header.Get(pipeline.HeaderRunID) != r.o.Run || passes(pipeline.Outcome(was)) {
			return nil
		}
		p := past{origin: m.Header.Get(pipeline.HeaderOrigin)}
		if seq, ok := p.originOf(); ok {
			origins = append(origins, seq)
		}
		if len(origins) < chunk {
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
	return r.write(ctx, daemon.MachineNow().UTC())
}

// passing is the outcome of what a run lets through.
func (r *Replay) passing() pipeline.Outcome {
	if r.o.Look == pipeline.LookCommit {
		return pipeline.Accept
	}
	return pipeline.Survive
}

// beginPublishing notes where our candidates begin, before the first of them.
func (r *Replay) beginPublishing(ctx context.Context) error {
	if r.Publishing {
		return nil
	}
	s, err := r.b.Shelf(ctx, pipeline.StreamCandidates)
	if err != nil {
		return err
	}
	span, err := s.Span(ctx)
	if err != nil {
		return err
	}
	r.Publishing, r.Since = true, span.Last
	return r.write(ctx, daemon.MachineNow().UTC())
}

// offer publishes the candidates behind some survivors and returns how many were
// new.
func (r *Replay) offer(ctx context.Context, survivors *bus.Shelf, origins []uint64, known map[string]bool) (int, error) {
	if len(origins) == 0 {
		return 0, nil
	}
	rows, err := survivors.Read(ctx, origins)
	if err != nil {
		return 0, err
	}
	var ms []bus.Message
	for _, seq := range origins {
		row, ok := rows[seq]
		if !ok {
			continue // it has left the stream since it was decided
		}
		w, err := post.Work(pipeline.SchemaSurvivor, row.Header, row.Body)
		if err != nil {
			return 0, fmt.Errorf("publish survivor %d: %w", seq, err)
		}
		c := w.Survivor.Candidate
		c.Source, c.Attempt, c.NotBefore = pipeline.SourceRetry, c.Attempt+1, time.Time{}
		m := post.Candidate(r.o.Run, c.WorkID(pipeline.ReplayGeneration(r.o.Run)), c)
		m.Run = r.o.Run
		if !known[m.ID] {
			known[m.ID] = true
			ms = append(ms, m)
		}
	}
	return len(ms), r.b.PublishAll(ctx, ms)
}
