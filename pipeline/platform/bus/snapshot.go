package bus

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/process"
)

// A saved stream is a directory as `nats backup stream` writes it, and `nats backup restore stream` and `nats backup
// restore account` read it: the snapshot in the server's own format, and the stream's configuration and state.
const (
	savedMeta = "backup.json"
	savedData = "stream.arc.s2" // of servers from 2.15 on
	savedTar  = "stream.tar.s2" // of those before
	// savedTail is ours: what was written to a bucket while its snapshot was made.
	savedTail = "tail.jsonl"
)

const (
	// chunkWithin is how long the next part of a snapshot may take.
	chunkWithin = time.Minute
	// chunkBytes is the most that one part of a restore is; blockBytes is what it is before the compression.
	chunkBytes = 64 << 10
	blockBytes = 16 << 10
)

// savedStream is savedMeta. The members are kept as they came, so that what a newer server adds is restored too.
type savedStream struct {
	Config map[string]json.RawMessage `json:"config"`
	State  json.RawMessage            `json:"state"`
}

// Saved is what a directory holds of a stream.
type Saved struct {
	Last     uint64 // the last sequence; of a bucket with what was written meanwhile
	Messages uint64
	Bytes    int64  // of the directory
	Made     uint32 // when the stream was made: see Made
}

// SaveStream writes a snapshot of a stream, with its consumers, into a directory that it creates. It is what the stream
// held at one instant. progress is called with the bytes so far.
func (b *Bus) SaveStream(ctx context.Context, stream, dir string, progress func(int64)) (Saved, error) {
	out, err := b.saveStream(ctx, stream, dir, progress)
	if err != nil {
		return out, fmt.Errorf("save %s: %w", nameOf(stream), err)
	}
	return out, nil
}

func (b *Bus) saveStream(ctx context.Context, stream, dir string, progress func(int64)) (out Saved, err error) {
	s, err := b.JS.Stream(ctx, stream)
	if err != nil {
		return out, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return out, err
	}
	to, err := os.OpenFile(filepath.Join(dir, b.dataName()), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return out, err
	}
	meta, n, err := b.receive(ctx, stream, to, progress)
	if err = errors.Join(err, to.Sync(), to.Close()); err != nil {
		return out, err
	}
	var state jetstream.StreamState
	if err := json.Unmarshal(meta.State, &state); err != nil {
		return out, fmt.Errorf("read its state: %w", err)
	}
	body, err := json.MarshalIndent(meta, "", "  ")
	if err != nil {
		return out, err
	}
	if err := process.WriteSynced(filepath.Join(dir, savedMeta), body); err != nil {
		return out, err
	}
	out = Saved{Last: state.LastSeq, Messages: state.Msgs, Bytes: n, Made: Made(s.CachedInfo())}
	return out, b.saveTail(ctx, s, dir, &out)
}

// dataName is what `nats` calls the snapshot of this server.
func (b *Bus) dataName() string {
	major, rest, _ := strings.Cut(b.NC.ConnectedServerVersion(), ".")
	minor, _, _ := strings.Cut(rest, ".")
	if n, err := strconv.Atoi(minor); err == nil && major == "2" && n < 15 {
		return savedTar
	}
	return savedData
}

// receive asks for a snapshot and writes it as it comes.
func (b *Bus) receive(ctx context.Context, stream string, to io.Writer, progress func(int64)) (meta savedStream, n int64, err error) {
	inbox := b.NC.NewInbox()
	sub, err := b.NC.SubscribeSync(inbox)
	if err != nil {
		return meta, 0, err
	}
	defer func() { _ = sub.Unsubscribe() }() // the server ends without a subscriber
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return meta, 0, err
	}
	if err := b.ask(ctx, "$JS.API.STREAM.SNAPSHOT."+stream, map[string]any{"deliver_subject": inbox}, &meta); err != nil {
		return meta, 0, err
	}
	for {
		m, err := next(ctx, sub)
		if err != nil {
			return meta, n, err
		}
		if len(m.Data) == 0 {
			return meta, n, ended(m)
		}
		if _, err := to.Write(m.Data); err != nil {
			return meta, n, err
		}
		n += int64(len(m.Data))
		progress(n)
		if m.Reply == "" {
			continue
		}
		if err := m.Respond(nil); err != nil { // the window of the server's flow control
			return meta, n, err
		}
	}
}

func next(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, chunkWithin, fmt.Errorf("the server sent nothing for %s", chunkWithin))
	defer cancel()
	m, err := sub.NextMsgWithContext(ctx)
	if err != nil {
		return nil, errors.Join(err, context.Cause(ctx))
	}
	return m, nil
}

// ended reads the last part of a snapshot: an error if the snapshot broke off.
func ended(m *nats.Msg) error {
	if status := m.Header.Get("Status"); status != "" && status != "204" {
		return fmt.Errorf("the snapshot broke off: %s %s", status, m.Header.Get("Description"))
	}
	return nil
}

// ask is a request to the API of JetStream whose answer is decoded into out.
func (b *Bus) ask(ctx context.Context, subject string, request, out any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, 4*ackWithin)
	defer cancel()
	m, err := b.NC.RequestWithContext(bounded, subject, body)
	if err != nil {
		return err
	}
	if err := apiError(m.Data); err != nil {
		return err
	}
	return json.Unmarshal(m.Data, out)
}

// apiError is the error in an answer; nil without one.
func apiError(body []byte) error {
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if len(body) == 0 || json.Unmarshal(body, &answer) != nil || answer.Error == nil {
		return nil
	}
	return answer.Error
}

// Restore configures how a saved stream is restored.
type Restore struct {
	// Made is when the stream was made whose rows ClickHouse has; 0: none of its rows are anywhere, it is a new stream.
	Made uint32
	// Progress is called with the bytes so far.
	Progress func(int64)
}

// RestoreStream creates a stream, with its consumers, from a directory that SaveStream wrote. The replicas are those
// of the configuration, or those of the snapshot where that is silent.
func (b *Bus) RestoreStream(ctx context.Context, stream, dir string, how Restore) error {
	if err := b.restoreStream(ctx, stream, dir, how); err != nil {
		return fmt.Errorf("restore %s: %w", nameOf(stream), err)
	}
	return nil
}

func (b *Bus) restoreStream(ctx context.Context, stream, dir string, how Restore) error {
	body, err := os.ReadFile(filepath.Join(dir, savedMeta))
	if err != nil {
		return err
	}
	var meta savedStream
	if err := json.Unmarshal(body, &meta); err != nil {
		return fmt.Errorf("read %s: %w", savedMeta, err)
	}
	if err := b.adapt(meta.Config, how.Made); err != nil {
		return err
	}
	from, err := os.Open(filepath.Join(dir, savedData))
	if errors.Is(err, os.ErrNotExist) {
		from, err = os.Open(filepath.Join(dir, savedTar))
	}
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }() // read only
	var answer struct {
		To string `json:"deliver_subject"`
	}
	if err := b.ask(ctx, "$JS.API.STREAM.RESTORE."+stream, meta, &answer); err != nil {
		return err
	}
	if err := b.send(ctx, answer.To, from, how.Progress); err != nil {
		return err
	}
	return b.replayTail(ctx, dir)
}

// adapt fits a configuration to the servers here.
func (b *Bus) adapt(config map[string]json.RawMessage, made uint32) error {
	var replicas int
	if err := json.Unmarshal(config["num_replicas"], &replicas); err != nil {
		return fmt.Errorf("read num_replicas: %w", err)
	}
	if b.cfg.Replicas > 0 {
		replicas = b.cfg.Replicas
		config["num_replicas"] = json.RawMessage(strconv.Itoa(replicas))
	}
	if replicas > 1 {
		config["compression"] = json.RawMessage(`"none"`) // as in streams.go
	}
	metadata := map[string]string{}
	if of := config["metadata"]; of != nil {
		if err := json.Unmarshal(of, &metadata); err != nil {
			return fmt.Errorf("read metadata: %w", err)
		}
	}
	delete(metadata, metaMade)
	if made > 0 {
		metadata[metaMade] = strconv.FormatUint(uint64(made), 10)
	}
	var err error
	config["metadata"], err = json.Marshal(metadata)
	return err
}

// send sends a snapshot in parts; the server has stored one before the next is sent. A server aborts a restore that
// sends nothing for five seconds, and receives nothing while it stores one block of the compressed data, with a
// disk sync for each message: a block of a megabyte may hold ten thousand keys of SEEN. So reblock makes the blocks
// smaller.
func (b *Bus) send(ctx context.Context, to string, from io.Reader, progress func(int64)) error {
	parts, blocks := io.Pipe()
	defer func() { _ = parts.Close() }() // ends the goroutine below
	go func() { blocks.CloseWithError(reblock(blocks, from)) }()
	part := make([]byte, chunkBytes)
	for sent := int64(0); ; {
		n, err := parts.Read(part)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if n == 0 {
			continue // an empty part would end it
		}
		if err := b.sendPart(ctx, to, part[:n], chunkWithin); err != nil {
			return err
		}
		sent += int64(n)
		progress(sent)
	}
	return b.sendPart(ctx, to, nil, time.Hour) // the server opens the stream before it answers
}

func reblock(to io.Writer, from io.Reader) error {
	out := s2.NewWriter(to, s2.WriterBlockSize(blockBytes), s2.WriterConcurrency(1))
	_, err := io.Copy(out, s2.NewReader(from))
	return errors.Join(err, out.Close())
}

func (b *Bus) sendPart(ctx context.Context, to string, part []byte, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	m, err := b.NC.RequestWithContext(ctx, to, part)
	if err != nil {
		return err
	}
	return apiError(m.Data)
}

// A snapshot may lack what was stored while it was made, in two ways. A bucket that keeps only the newest value of
// a key loses a key that is overwritten before the server has read it: the old value is deleted, and the new one
// lies behind the snapshot's end. And that end may lie within an atomic batch, of which no publisher expects to
// find a part. So saveTail also reads what was stored after the end, up to the end of a batch, and a restore stores
// it again.

// tailLine is one line of savedTail.
type tailLine struct {
	Subject  string      `json:"subject"`
	Sequence uint64      `json:"sequence"`
	Header   nats.Header `json:"header,omitempty"`
	Body     []byte      `json:"body"`
}

// within reports that a message is one of a batch, and not its last.
func within(h nats.Header) bool {
	return h.Get("Nats-Batch-Id") != "" && h.Get("Nats-Batch-Commit") == ""
}

// saveTail adds what is missing behind the end of a snapshot, and moves that end.
func (b *Bus) saveTail(ctx context.Context, stream jetstream.Stream, dir string, s *Saved) error {
	name := stream.CachedInfo().Config.Name
	_, more := pipeline.BucketOf(name)
	if !more && s.Messages > 0 {
		last, err := stream.GetMsg(ctx, s.Last)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) { // it has left since: nothing continues it
			return fmt.Errorf("read its last message: %w", err)
		}
		more = err == nil && within(last.Header)
	}
	var lines bytes.Buffer
	out := json.NewEncoder(&lines)
	for more {
		more = false
		if err := b.Scan(ctx, name, From{Sequence: s.Last + 1}, func(r Read) error {
			s.Last = r.Sequence
			s.Messages++
			more = within(r.Header)
			return out.Encode(tailLine{Subject: r.Subject, Sequence: r.Sequence, Header: r.Header, Body: r.Body})
		}); err != nil {
			return err
		}
	}
	s.Bytes += int64(lines.Len())
	if lines.Len() == 0 {
		return nil
	}
	return process.WriteSynced(filepath.Join(dir, savedTail), lines.Bytes())
}

func (b *Bus) replayTail(ctx context.Context, dir string) error {
	body, err := os.ReadFile(filepath.Join(dir, savedTail))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for lines := json.NewDecoder(bytes.NewReader(body)); lines.More(); {
		var c tailLine
		if err := lines.Decode(&c); err != nil {
			return fmt.Errorf("read %s: %w", savedTail, err)
		}
		for name := range c.Header {
			// It was met, or they were complete, when the message was first stored.
			if strings.HasPrefix(name, "Nats-Expected-") || strings.HasPrefix(name, "Nats-Batch-") {
				delete(c.Header, name)
			}
		}
		m := &nats.Msg{Subject: c.Subject, Header: c.Header, Data: c.Body}
		if _, err := b.JS.PublishMsg(ctx, m); err != nil {
			return fmt.Errorf("store #%d again: %w", c.Sequence, err)
		}
	}
	return nil
}

// Positions are the sequences up to which the durables of a stream have settled everything.
func (b *Bus) Positions(ctx context.Context, stream string) (map[string]uint64, error) {
	s, err := b.JS.Stream(ctx, stream)
	if err != nil {
		return nil, fmt.Errorf("inspect %s: %w", nameOf(stream), err)
	}
	out := map[string]uint64{}
	all := s.ListConsumers(ctx)
	for info := range all.Info() {
		if info.Config.Durable != "" {
			out[info.Config.Durable] = info.AckFloor.Stream
		}
	}
	if err := all.Err(); err != nil {
		return nil, fmt.Errorf("list the consumers of %s: %w", nameOf(stream), err)
	}
	return out, nil
}

// Existing are those of the topology's streams and buckets that NATS has, by their names in NATS.
func (b *Bus) Existing(ctx context.Context) ([]string, error) {
	plans, err := b.Plans(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, want := range b.streams(plans) {
		_, err := b.JS.Stream(ctx, want.Name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
		case err != nil:
			return nil, fmt.Errorf("inspect %s: %w", nameOf(want.Name), err)
		default:
			out = append(out, want.Name)
		}
	}
	return out, nil
}
