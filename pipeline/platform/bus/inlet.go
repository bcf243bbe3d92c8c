package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/text/foreign"
)

// Inlet takes work from a durable consumer.
type Inlet struct {
	b       *Bus
	stream  string
	durable string
	c       jetstream.Consumer
}

// Inlet opens a durable consumer of the topology.
func (b *Bus) Inlet(ctx context.Context, stream, durable string) (*Inlet, error) {
	c, err := b.JS.Consumer(ctx, stream, durable)
	if err != nil {
		return nil, fmt.Errorf("open consumer %s on %s: %w", durable, stream, err)
	}
	return &Inlet{b: b, stream: stream, durable: durable, c: c}, nil
}

// Patient is a long poll of Take: one request stays open on the server, and heartbeats show that it still has it.
const Patient = 30 * time.Second

// beatWithin is how often a server confirms a long poll. After two missed confirmations, because it restarted or
// another took over, Take returns nothing. In a cluster this interval is part of how long decisions pause after a
// server is lost, so it is shorter there, and shortest while there may be no leader.
const (
	beatWithin         = 2 * time.Second
	beatWithinCluster  = time.Second
	beatWithinElection = 250 * time.Millisecond
	electionPoll       = 2 * time.Second // a long poll that begins meanwhile: the next one has slower heartbeats
)

func (i *Inlet) beat() time.Duration {
	switch {
	case i.b.electing():
		return beatWithinElection
	case several(i.b.NC):
		return beatWithinCluster
	}
	return beatWithin
}

// Take fetches up to n items and waits at most wait for the first; an empty result is not an error.
func (i *Inlet) Take(ctx context.Context, n int, wait time.Duration) ([]loop.Item, error) {
	if ctx.Err() != nil {
		return nil, nil
	}
	if wait < Patient {
		// Only the server may end the request. A client that stopped waiting first would drop what is in transit to
		// it, and that would not be redelivered before AckWait is over.
		return i.fetch(ctx, n, jetstream.FetchMaxWait(wait))
	}
	if i.b.electing() {
		wait = electionPoll
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	// A long poll ends when it is full, so it asks for one item: with n it would hold the first ones until the wait
	// is over.
	items, err := i.fetch(ctx, 1, jetstream.FetchContext(ctx), jetstream.FetchHeartbeat(i.beat()))
	if err != nil || len(items) == 0 || n == 1 {
		return items, err
	}
	batch, err := i.c.FetchNoWait(n - 1)
	if err != nil {
		return items, nil //nolint:nilerr // the next Take reports it; this one has an item
	}
	return append(items, i.items(batch)...), nil
}

func (i *Inlet) fetch(ctx context.Context, n int, opts ...jetstream.FetchOpt) ([]loop.Item, error) {
	batch, err := i.c.Fetch(n, opts...)
	if err != nil {
		if ctx.Err() != nil {
			return nil, nil //nolint:nilerr // the wait is over without a message
		}
		return nil, fmt.Errorf("take from %s: %w", i.durable, err)
	}
	items := i.items(batch)
	if err = batch.Error(); errors.Is(err, jetstream.ErrNoHeartbeat) && !i.b.electing() {
		i.b.unanswered(err)
	}
	if err != nil && len(items) == 0 && !overdue(err) {
		return nil, fmt.Errorf("take from %s: %w", i.durable, err)
	}
	return items, nil
}

func (i *Inlet) items(batch jetstream.MessageBatch) (items []loop.Item) {
	for m := range batch.Messages() {
		items = append(items, i.b.Item(i.stream, m))
	}
	return items
}

// overdue reports whether a fetch ended because nothing came for as long as it waited, or nothing kept it waiting.
func overdue(err error) bool {
	return errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoHeartbeat) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// Item is a message that a consumer of a stream delivered.
func (b *Bus) Item(stream string, m jetstream.Msg) loop.Item {
	it := loop.Item{Subject: m.Subject(), Header: m.Headers(), Body: m.Data(), Stream: stream, Deliveries: 1, Settle: settler{m, b}}
	if meta, err := m.Metadata(); err == nil {
		it.Sequence, it.StoredAt, it.Deliveries = meta.Sequence.Stream, meta.Timestamp, meta.NumDelivered
	}
	return it
}

// settler translates the three ways to settle into JetStream's.
type settler struct {
	m jetstream.Msg
	b *Bus
}

// Done waits for the server's confirmation: a lost acknowledgement would cause a redelivery without a visible reason.
func (s settler) Done(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.b.answerWithin())
	defer cancel()
	err := s.m.DoubleAck(ctx)
	if errors.Is(err, jetstream.ErrMsgAlreadyAckd) {
		return nil
	}
	return err
}

func (s settler) Again(_ context.Context, after time.Duration) error { return s.m.NakWithDelay(after) }

func (s settler) Never(_ context.Context, why string) error { return s.m.TermWithReason(why) }

// DeadLetter publishes an item that a stage could not process as a dead letter, from which it can be retried.
func (b *Bus) DeadLetter(ctx context.Context, stageName string, it loop.Item, reason string, cause error) error {
	d := pipeline.Dead{
		Reason: reason, Stream: it.Stream, Sequence: it.Sequence, Subject: it.Subject,
		Deliveries: it.Deliveries, Header: it.Header, Body: it.Body,
	}
	if cause != nil {
		d.Error = foreign.Of(cause.Error())
	}
	body, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("encode dead letter: %w", err)
	}
	key := fmt.Sprintf("%s-%d", it.Stream, it.Sequence)
	_, err = b.Publish(ctx, Message{
		Subject: pipeline.SubjectDead(stageName, key), Schema: pipeline.SchemaDead,
		ID: "dead:" + stageName + ":" + key, WorkID: it.Head(pipeline.HeaderWorkID), Body: body,
	})
	return err
}

// Backlog is the unfinished work of a durable.
type Backlog struct {
	Pending   int    // never delivered
	Unsettled int    // delivered and not settled: in progress, waiting for redelivery, or its worker died
	Delivered uint64 // the last sequence that was delivered
	Settled   uint64 // everything up to this sequence is settled
}

// Backlogs returns the backlog of every durable of a stream, by name, with one request.
func (b *Bus) Backlogs(ctx context.Context, stream string) (map[string]Backlog, error) {
	s, err := b.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("list the consumers of %s: %w", stream, err)
	}
	return b.backlogs(ctx, s, b.answerWithin())
}

func (b *Bus) backlogs(ctx context.Context, s jetstream.Stream, within time.Duration) (map[string]Backlog, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	out := map[string]Backlog{}
	list := s.ListConsumers(ctx)
	for info := range list.Info() {
		out[info.Name] = Backlog{
			Pending: int(info.NumPending), Unsettled: info.NumAckPending, Delivered: info.Delivered.Stream, Settled: info.AckFloor.Stream,
		}
	}
	if err := list.Err(); err != nil {
		b.unanswered(err)
		return nil, fmt.Errorf("list the consumers of %s: %w", s.CachedInfo().Config.Name, err)
	}
	return out, nil
}

// wholeListWithin is longer than a cluster waits for the last consumer of a list.
const wholeListWithin = 5 * time.Second

// recentAtMost is how old a backlog may be that stands in for one that cannot be read: an election takes less.
const recentAtMost = 20 * time.Second

// recent is what Backlogs returned last.
type recent struct {
	backlogs map[string]Backlog
	at       time.Time
}

// RecentBacklogs is Backlogs for a loop that must go on meanwhile: in a cluster the list waits four seconds for a
// consumer that elects its leader, however much waits in the others. It is then as it was a moment ago, and not new.
// A consumer that does not answer for longer is left out: its server is gone, or it has one replica, which is there.
func (b *Bus) RecentBacklogs(ctx context.Context, stream string) (out map[string]Backlog, isNew bool, err error) {
	out, err = b.Backlogs(ctx, stream)
	if err != nil && ctx.Err() == nil && several(b.NC) {
		last, read := b.lists.Load(stream)
		if last, _ := last.(recent); read && time.Since(last.at) < recentAtMost {
			return last.backlogs, false, nil
		}
		var s jetstream.Stream
		if s, err = b.Stream(ctx, stream); err == nil {
			out, err = b.backlogs(ctx, s, wholeListWithin)
		}
	}
	if err != nil {
		return nil, false, err
	}
	b.lists.Store(stream, recent{out, time.Now()})
	return out, true, nil
}
