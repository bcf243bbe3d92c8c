package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

// source returns live verdicts in their order.
type source interface {
	// next returns some of the verdicts that the options select, and the place after
	// them; more is false at the end.
	next(ctx context.Context) (ps []original, at place, seen int, more bool, err error)
	// total returns the number of verdicts to read; the seen of next adds up to it.
	total() int
	stop()
}

// streamSource reads VERDICTS.
type streamSource struct {
	o     Options
	until uint64
	it    jetstream.MessagesContext
	name  func() string
	js    jetstream.JetStream
	all   int
	ended bool
	late  time.Time // if the stream is in order of At: nothing selected comes after it
}

// chunk is the default maximum of verdicts that a step decides, and scanned the number
// that it reads for them.
const (
	chunk   = 128
	scanned = 4096
)

// openStream starts at the record's place.
func openStream(ctx context.Context, b *bus.Bus, o Options, r *Record) (*streamSource, error) {
	s := &streamSource{o: o, until: r.Until, js: b.JS}
	asin := ">"
	if o.ASIN != "" {
		asin = "*." + o.ASIN
	}
	if o.Rejects && asin == ">" {
		asin = string(pipeline.Reject) + ".>"
	}
	cfg := jetstream.OrderedConsumerConfig{
		// Rules are of one marketplace: a replay of applied ones is that of their plan's.
		FilterSubjects: b.Subjects(fmt.Sprintf("verdict.%%s.%s.%s", o.Look, asin)), InactiveThreshold: time.Minute,
		DeliverPolicy: jetstream.DeliverAllPolicy,
	}
	start, inOrder, err := startOf(ctx, b, o)
	if err != nil {
		return nil, err
	}
	switch {
	case r.Place.Next > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.Place.Next
	case !start.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &start
	}
	if inOrder && !o.To.IsZero() {
		s.late = o.To.Add(disorder)
	}
	c, err := b.JS.OrderedConsumer(ctx, pipeline.StreamVerdicts, cfg)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", pipeline.StreamVerdicts, err)
	}
	s.name = func() string { return c.CachedInfo().Name }
	info, err := c.Info(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", pipeline.StreamVerdicts, err)
	}
	s.all = int(info.NumPending) //nolint:gosec // messages of one stream
	s.ended = s.all == 0
	if s.it, err = c.Messages(); err != nil {
		return nil, fmt.Errorf("read %s: %w", pipeline.StreamVerdicts, err)
	}
	return s, nil
}

// disorder bounds how far the order of a stream may differ from the order of its At.
const disorder = 10 * time.Minute

// startOf returns the machine time from which the stream holds what the options
// select; zero for all of it. It is known only if pipeline time is the machine's:
// then a verdict was stored when it was decided.
func startOf(ctx context.Context, b *bus.Bus, o Options) (start time.Time, inOrder bool, err error) {
	if o.From.IsZero() && o.To.IsZero() {
		return start, false, nil
	}
	span, err := b.Span(ctx, pipeline.StreamVerdicts)
	if err != nil || span.Messages == 0 {
		return start, false, err
	}
	fetcher, err := b.Fetcher(ctx, pipeline.StreamVerdicts)
	if err != nil {
		return start, false, err
	}
	first, err := fetcher.Read(ctx, []uint64{span.First})
	if err != nil {
		return start, false, err
	}
	m, ok := first[span.First]
	at, parseErr := time.Parse(pipeline.TimeFormat, m.Header.Get(pipeline.HeaderAt))
	if !ok || parseErr != nil || at.Sub(m.StoredAt).Abs() > time.Minute {
		return start, false, nil
	}
	if !o.From.IsZero() {
		start = o.From.Add(-disorder)
	}
	return start, true, nil
}

func (s *streamSource) total() int { return s.all }

func (s *streamSource) next(ctx context.Context) (ps []original, at place, seen int, more bool, err error) {
	for !s.ended && len(ps) < cmp.Or(s.o.Batch, chunk) && seen < scanned {
		m, err := s.it.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, at, seen, false, errors.Join(ctx.Err(), fmt.Errorf("read %s: %w", pipeline.StreamVerdicts, err))
		}
		r, pending, err := bus.ReadOf(m)
		if err != nil {
			return nil, at, seen, false, fmt.Errorf("read %s: %w", pipeline.StreamVerdicts, err)
		}
		if r.Sequence > s.until {
			s.ended = true
			break
		}
		seen++
		s.ended = pending == 0 || r.Sequence == s.until
		at.Next = r.Sequence + 1
		if !r.Live() {
			continue
		}
		p, err := readOriginal(r)
		if err != nil {
			continue
		}
		if !s.late.IsZero() && p.decidedAt.After(s.late) {
			s.ended = true
		}
		if s.o.selects(&p) {
			ps = append(ps, p)
		}
	}
	return ps, at, seen, !s.ended, nil
}

func (s *streamSource) stop() {
	s.it.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.js.DeleteConsumer(ctx, pipeline.StreamVerdicts, s.name()) // otherwise the server removes it
}
