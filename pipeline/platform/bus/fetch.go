package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"golang.org/x/sync/errgroup"
)

const (
	// farApart is the largest number of unwanted messages between two wanted ones of the same run.
	farApart = 4
	// runsAtOnce is how many runs are requested concurrently.
	runsAtOnce = 8
	// batchBytes bounds one batch, and batchesAtOnce the batches in flight on one connection. A server drops a client
	// with 64 MB pending, and a batch that has arrived is counted for a moment longer: three of 12 MB were too much.
	batchBytes    = 8 << 20
	batchesAtOnce = 2
)

// Fetcher reads stored messages of a stream by their sequences.
type Fetcher struct {
	b    *Bus
	name string
	s    jetstream.Stream
}

// Fetcher opens a stream for reading by sequence.
func (b *Bus) Fetcher(ctx context.Context, stream string) (*Fetcher, error) {
	s, err := b.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	return &Fetcher{b: b, name: stream, s: s}, nil
}

// Span describes what a stream holds.
type Span struct {
	First, Last uint64 // sequences; Last is First-1 if nothing is stored
	Made        uint32 // creation time in Unix seconds: distinguishes it from a later stream of that name
	Messages    uint64
	Subjects    uint64 // with at least one stored message
	Bytes       uint64
	Limit       int64         // in bytes; below 1: no limit
	Oldest      time.Time     // storage time of the first message; zero without one
	Age         time.Duration // the maximum age of a message; 0: no limit
}

// Span returns what a stream holds now.
func (b *Bus) Span(ctx context.Context, stream string) (Span, error) {
	s, err := b.JS.Stream(ctx, stream)
	if err != nil {
		return Span{}, fmt.Errorf("read the state of %s: %w", stream, err)
	}
	return SpanOf(s.CachedInfo()), nil
}

// SpanOf returns what a stream held when it was asked.
func SpanOf(i *jetstream.StreamInfo) Span {
	return Span{
		First: i.State.FirstSeq, Last: i.State.LastSeq, Messages: i.State.Msgs, Subjects: i.State.NumSubjects, Bytes: i.State.Bytes,
		Made:  Made(i),
		Limit: i.Config.MaxBytes, Oldest: i.State.FirstTime, Age: i.Config.MaxAge,
	}
}

// Read returns the messages with these sequences, by sequence; those that the stream does
// not hold are absent from the result. Sequences that lie close together cost one request.
func (s *Fetcher) Read(ctx context.Context, seqs []uint64) (map[uint64]Read, error) {
	seqs = slices.Clone(seqs)
	slices.Sort(seqs)
	seqs = slices.Compact(seqs)
	runs := runsOf(seqs)
	parts := make([][]Read, len(runs))
	var all errgroup.Group
	all.SetLimit(runsAtOnce)
	for i, run := range runs {
		all.Go(func() (err error) {
			parts[i], err = s.run(ctx, run)
			return err
		})
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	out := make(map[uint64]Read, len(seqs))
	for _, part := range parts {
		for _, r := range part {
			out[r.Sequence] = r
		}
	}
	return out, nil
}

// runsOf splits sorted sequences where they lie far apart.
func runsOf(seqs []uint64) [][]uint64 {
	var out [][]uint64
	for i, start := 1, 0; i <= len(seqs); i++ {
		if i == len(seqs) || seqs[i]-seqs[i-1] > farApart {
			out = append(out, seqs[start:i])
			start = i
		}
	}
	return out
}

func (s *Fetcher) run(ctx context.Context, seqs []uint64) ([]Read, error) {
	if len(seqs) == 1 {
		m, err := s.s.GetMsg(ctx, seqs[0])
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read %s #%d: %w", s.name, seqs[0], err)
		}
		return []Read{readOf(m)}, nil
	}
	var out []Read
	for len(seqs) > 1 {
		part, last, over, err := s.batch(ctx, seqs)
		if err != nil {
			return nil, err
		}
		if out = append(out, part...); over {
			return out, nil
		}
		if last == 0 {
			return nil, fmt.Errorf("read %s #%d: %w", s.name, seqs[0], ErrBrokeOff)
		}
		// The server ends a batch early when it grows large.
		rest, _ := slices.BinarySearch(seqs, last+1)
		seqs = seqs[rest:]
	}
	if len(seqs) == 1 {
		rest, err := s.run(ctx, seqs)
		return append(out, rest...), err
	}
	return out, nil
}

// batch requests everything from the first to the last sequence and keeps what is wanted. It
// returns the last sequence received, 0 if none; over means that the stream holds nothing further.
func (s *Fetcher) batch(ctx context.Context, seqs []uint64) (out []Read, last uint64, over bool, err error) {
	select {
	case s.b.batches <- struct{}{}:
		defer func() { <-s.b.batches }()
	case <-ctx.Done():
		return nil, 0, false, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, batchWithin)
	defer cancel()
	many := int(seqs[len(seqs)-1]-seqs[0]) + 1 //nolint:gosec // a run is short
	msgs, err := jetstreamext.GetBatch(ctx, s.b.JS, s.name, many, jetstreamext.GetBatchSeq(seqs[0]), jetstreamext.GetBatchMaxBytes(batchBytes))
	if err != nil {
		return nil, 0, false, fmt.Errorf("read %s #%d: %w", s.name, seqs[0], err)
	}
	for m, err := range msgs {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return out, last, true, nil
		}
		if err != nil {
			return nil, 0, false, fmt.Errorf("read %s #%d: %w", s.name, seqs[0], err)
		}
		last = m.Sequence
		if _, wanted := slices.BinarySearch(seqs, m.Sequence); wanted {
			out = append(out, readOf(m))
		}
	}
	if ctx.Err() != nil {
		return nil, 0, false, fmt.Errorf("read %s #%d: %w", s.name, seqs[0], errors.Join(ErrBrokeOff, ctx.Err()))
	}
	return out, last, false, nil
}

func readOf(m *jetstream.RawStreamMsg) Read {
	return Read{Subject: m.Subject, Sequence: m.Sequence, StoredAt: m.Time, Header: m.Header, Body: m.Data}
}
