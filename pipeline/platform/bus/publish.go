package bus

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
	"golang.org/x/sync/errgroup"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/trace"
)

// Message is a message to publish.
type Message struct {
	Subject string
	Schema  string            // pipeline.SchemaCandidate …
	ID      string            // Nats-Msg-Id: equal effects have equal IDs
	WorkID  string            // the work to which it belongs; empty for lines of the ledger itself
	Run     string            // empty means pipeline.RunLive
	Header  map[string]string // further headers
	Body    []byte
}

// Encode returns a message with v as JSON in its body.
func Encode(subject, schema, id, workID string, v any) (Message, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return Message{}, fmt.Errorf("encode %s: %w", schema, err)
	}
	return Message{Subject: subject, Schema: schema, ID: id, WorkID: workID, Body: body}, nil
}

// Publish returns once the stream has stored the message. After a timeout its outcome is
// unknown, so it is sent again under the same ID until ctx ends; the stream drops a duplicate.
func (b *Bus) Publish(ctx context.Context, m Message) (ack *jetstream.PubAck, err error) {
	msg := b.wire(ctx, m)
	to, _, _ := strings.Cut(m.Subject, ".")
	w := write{b: b, to: to + ".>"}
	defer func() { w.end(err) }()
	for backoff := (process.Backoff{First: 50 * time.Millisecond}); ; {
		bounded, cancel := context.WithTimeout(ctx, b.answerWithin())
		ack, err = b.JS.PublishMsg(bounded, msg)
		cancel()
		if err == nil {
			return ack, nil
		}
		if ctx.Err() != nil || !transient(err) {
			return nil, fmt.Errorf("publish %s: %w", m.Subject, err)
		}
		w.failed(err)
		b.unanswered(err)
		backoff.Most = min(2*time.Second, b.answerWithin())
		if backoff.Sleep(ctx) != nil {
			return nil, fmt.Errorf("publish %s: %w", m.Subject, err)
		}
	}
}

// PublishAll publishes every message and returns once all are stored: many of one stream in atomic batches, the
// others in windows. If it fails, some may be stored; repeating it is safe, because their IDs deduplicate them.
func (b *Bus) PublishAll(ctx context.Context, ms []Message) error {
	var few []Message
	for _, of := range byStream(ms) {
		if len(of) < BatchLeast {
			few = append(few, of...)
			continue
		}
		if err := b.PublishBatch(ctx, of); err != nil {
			return err
		}
	}
	return b.publishWindows(ctx, few)
}

// byStream groups messages by their stream, each in order.
func byStream(ms []Message) [][]Message {
	var all [][]Message
	at := map[string]int{}
	for _, m := range ms {
		stream, _, _ := strings.Cut(m.Subject, ".")
		i, known := at[stream]
		if !known {
			i = len(all)
			at[stream], all = i, append(all, nil)
		}
		all[i] = append(all[i], m)
	}
	return all
}

const (
	// BatchLeast is from how many messages on an atomic batch costs less than that many publishes, measured on one
	// server: it is staged in files of its own, and synced to the disk once.
	BatchLeast = 32
	// batchMost is the server's limit for the messages of one atomic batch.
	batchMost = 1000
)

// PublishBatch is PublishAll for many messages of one stream: in atomic batches, in order, with one disk
// sync each. A batch that the server rejects, because it knows one of the IDs or for another reason, is
// published message by message.
func (b *Bus) PublishBatch(ctx context.Context, ms []Message) error {
	for part := range slices.Chunk(ms, batchMost) {
		if _, err := b.publishBatch(ctx, part); err == nil {
			continue
		}
		if err := b.publishWindows(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// putsAtOnce is how many messages PublishSequences stores concurrently: a cluster takes milliseconds for each.
const putsAtOnce = 16

// PublishSequences is PublishAll for messages of one stream. It returns the sequence of each; that of a repeat is the
// sequence at which it was stored first.
func (b *Bus) PublishSequences(ctx context.Context, ms []Message) ([]uint64, error) {
	if len(ms) >= BatchLeast && len(ms) <= batchMost {
		if last, err := b.publishBatch(ctx, ms); err == nil {
			return sequences(last, len(ms)), nil
		}
	}
	out := make([]uint64, len(ms))
	var puts errgroup.Group
	puts.SetLimit(putsAtOnce)
	for i, m := range ms {
		puts.Go(func() error {
			ack, err := b.Publish(ctx, m)
			if err == nil {
				out[i] = ack.Sequence
			}
			return err
		})
	}
	return out, puts.Wait()
}

// publishBatch publishes an atomic batch and returns the sequence of its last message. After an
// error it may have been stored all the same; then every message is a duplicate.
func (b *Bus) publishBatch(ctx context.Context, ms []Message) (last uint64, err error) {
	wire := make([]*nats.Msg, len(ms))
	for i, m := range ms {
		wire[i] = b.wire(ctx, m)
	}
	return b.batch(ctx, wire)
}

// sendBatch is jetstreamext.PublishMsgBatch.
type sendBatch func(context.Context, jetstream.JetStream, []*nats.Msg, ...jetstreamext.PublishMsgBatchOpt) (*jetstreamext.BatchAck, error)

// batch stores all messages, which follow each other in their stream, or none, and returns the sequence of the last
// one. An error may mean either.
func (b *Bus) batch(ctx context.Context, ms []*nats.Msg) (last uint64, err error) {
	bounded, cancel := context.WithTimeout(ctx, time.Duration(1+len(ms)/256)*b.answerWithin())
	defer cancel()
	if err := bounded.Err(); err != nil {
		return 0, err
	}
	end, _ := bounded.Deadline()
	first := min(b.answerWithin(), time.Until(end)) // the client bounds the first message by no context
	ack, err := b.atomic(bounded, b.JS, ms, jetstreamext.BatchFlowControl{AckFirst: true, AckTimeout: first})
	if err != nil {
		b.Log.Debug("publish one by one", "messages", len(ms), "err", err)
		if ctx.Err() == nil {
			b.unanswered(err)
		}
		return 0, err
	}
	return ack.Sequence, nil
}

// Update is a change of a key that has revision Rev; 0 is one that does not exist.
type Update struct {
	Key   string
	Rev   uint64
	Value []byte
	TTL   time.Duration // the life of the value; 0 is the bucket's
	Purge bool          // the key, instead of the value
}

// UpdateAll makes all changes in one atomic batch if every key has its revision, or else none, and returns
// the new revisions. The stream of the bucket must allow batches. An error may mean either.
func (b *Bus) UpdateAll(ctx context.Context, bucket string, all []Update) ([]uint64, error) {
	ms := make([]*nats.Msg, len(all))
	for i, u := range all {
		ms[i] = &nats.Msg{Subject: pipeline.KeySubject(bucket, u.Key), Data: u.Value, Header: nats.Header{}}
		ms[i].Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(u.Rev, 10))
		if u.TTL > 0 {
			ms[i].Header.Set(jetstream.MsgTTLHeader, u.TTL.String())
		}
		if u.Purge {
			ms[i].Header.Set("KV-Operation", "PURGE")
		}
	}
	last, err := b.batch(ctx, ms)
	if err != nil {
		return nil, err
	}
	return sequences(last, len(ms)), nil
}

// sequences returns those of n messages that follow each other.
func sequences(last uint64, n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = last - uint64(n-1-i) //nolint:gosec // not negative
	}
	return out
}

const window = 64

func (b *Bus) publishWindows(ctx context.Context, ms []Message) error {
	for part := range slices.Chunk(ms, window) {
		if err := b.publishWindow(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) publishWindow(ctx context.Context, ms []Message) error {
	futures := make([]jetstream.PubAckFuture, len(ms))
	for i, m := range ms {
		f, err := b.JS.PublishMsgAsync(b.wire(ctx, m), jetstream.WithStallWait(10*time.Second))
		if err != nil {
			// Not sent: publish it on its own, with retries.
			if _, err := b.Publish(ctx, m); err != nil {
				return err
			}
			continue
		}
		futures[i] = f
	}
	// One wait for the window: a leader that dies leaves all of it unacknowledged.
	bounded, cancel := context.WithTimeout(ctx, b.answerWithin())
	defer cancel()
	for i, f := range futures {
		if f == nil || b.stored(bounded, f) {
			continue
		}
		if _, err := b.Publish(ctx, ms[i]); err != nil {
			return err
		}
	}
	return nil
}

// stored waits until ctx ends for the acknowledgement of an asynchronous publish.
func (b *Bus) stored(ctx context.Context, f jetstream.PubAckFuture) bool {
	select {
	case <-f.Ok():
		return true
	default: // one that arrived counts after the end, too
	}
	select {
	case <-f.Ok():
		return true
	case err := <-f.Err():
		b.Log.Debug("publish again", "subject", f.Msg().Subject, "err", err)
	case <-ctx.Done(): // a window is large: it may only be slow
	}
	return false
}

// wire adds the headers that every message carries. The trace is that of the step that publishes, since one copied
// from another message would be a false cause; without a recorded step it names the work and the message.
func (b *Bus) wire(ctx context.Context, m Message) *nats.Msg {
	msg := &nats.Msg{Subject: m.Subject, Data: m.Body, Header: nats.Header{}}
	for k, v := range m.Header {
		msg.Header.Set(k, v)
	}
	run := cmp.Or(m.Run, pipeline.RunLive)
	msg.Header.Set(pipeline.HeaderSchema, m.Schema)
	msg.Header.Set(pipeline.HeaderRunID, run)
	msg.Header.Set(pipeline.HeaderBuild, b.build)
	if msg.Header.Get(pipeline.HeaderAt) == "" {
		msg.Header.Set(pipeline.HeaderAt, b.now().Format(pipeline.TimeFormat))
	}
	if m.ID != "" {
		msg.Header.Set(pipeline.HeaderMsgID, m.ID)
	}
	if m.WorkID != "" {
		msg.Header.Set(pipeline.HeaderWorkID, m.WorkID)
	}
	parent := trace.Unrecorded(m.WorkID, m.ID)
	if recorded := trace.Parent(ctx, m.WorkID); recorded != "" && run == pipeline.RunLive {
		parent = recorded
	}
	msg.Header.Set(pipeline.HeaderTraceparent, parent)
	return msg
}

// idInProcess is the server's error code for a message whose first copy, perhaps in a batch that was
// not acknowledged, is not replicated yet.
const idInProcess = 10158

// transient reports whether the write may be repeated: there was no response, or the server is recovering.
func transient(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.Code >= 500 || api.ErrorCode == idInProcess
	}
	for _, never := range []error{nats.ErrMaxPayload, nats.ErrConnectionClosed, nats.ErrBadSubject, jetstream.ErrInvalidKey} {
		if errors.Is(err, never) {
			return false
		}
	}
	return true
}

// RedactURL removes passwords and tokens from a URL.
func RedactURL(raw string) string {
	parts := strings.Split(raw, ",")
	for i, p := range parts {
		u, err := url.Parse(Schemed(p))
		if err != nil {
			parts[i] = "[unreadable URL]"
			continue
		}
		if _, two := u.User.Password(); u.User != nil && !two {
			u.User = url.User("xxxxx") // a user without a password is a token
		}
		parts[i] = u.Redacted()
	}
	return strings.Join(parts, ",")
}

// PutFor stores a key's value for ttl from now and returns its revision. The KV client can give a TTL to a new key
// only, and an update through it would erase the one there is. An option can require the revision that is replaced.
func (b *Bus) PutFor(ctx context.Context, bucket, key string, body []byte, ttl time.Duration, opts ...jetstream.PublishOpt) (uint64, error) {
	ack, err := b.JS.Publish(ctx, pipeline.KeySubject(bucket, key), body, append(opts, jetstream.WithMsgTTL(ttl))...)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}
