package natsd

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/highwayhash"
	"github.com/nats-io/nats-server/v2/server"

	"ratchet/pipeline"
)

// Part is one stream, consumer or bucket of a store that no server has open.
type Part struct {
	Name     string // stream CANDIDATES, consumer glance on CANDIDATES, bucket TOKENS
	Contents string // what it holds, for people
	// Repair is what the next start does to repair the damage; empty without damage.
	Repair string
	// Err is permanent damage, with the next step; nil if nothing is lost.
	Err error
}

// Survey reads every file of a store and changes none. Meanwhile it holds the directory's
// lock: ErrInUse means that a server runs on it. Encrypted stores are not supported.
func Survey(data string) ([]Part, error) {
	if _, err := os.Stat(data); err != nil {
		return nil, fmt.Errorf("read the store: %w; name the directory that `ratchet up --data` was given", err)
	}
	lock, err := lockDir(data)
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }() // nothing was written
	m := readMarks(data)
	names := map[string]bool{}
	for name := range m.Streams {
		names[name] = true
	}
	dirs, err := os.ReadDir(filepath.Dir(streamDir(data, "x")))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the store: %w", err)
	}
	for _, d := range dirs {
		if !strings.HasPrefix(d.Name(), ".") {
			names[d.Name()] = true
		}
	}
	var out []Part
	for _, name := range slices.Sorted(maps.Keys(names)) {
		out = append(out, surveyStream(streamDir(data, name), name, m.Streams[name])...)
	}
	return out, nil
}

// surveyStream inspects one stream and its consumers.
func surveyStream(dir, name string, before mark) []Part {
	p := Part{Name: "stream " + name}
	if bucket, ok := pipeline.BucketOf(name); ok {
		p.Name = "bucket " + bucket
	}
	held, err := surveyBlocks(dir, name)
	p.Contents = fmt.Sprintf("%d messages, #%d to #%d", held.messages, held.first, held.last)
	var heals []string
	if _, _, metaErr := readMeta(dir, name); metaErr != nil {
		heals = append(heals, fmt.Sprintf("its configuration cannot be read (%v): it is restored", metaErr))
	}
	if indexErr := checkIndex(dir, name); indexErr != nil {
		heals = append(heals, fmt.Sprintf("its index cannot be read (%v): it is built again", indexErr))
	}
	p.Repair = strings.Join(heals, "; ")
	switch {
	case err != nil:
		p.Err = fmt.Errorf("%s: %w; %s", p.Contents, err, remedy(dir))
	case before.Messages > 0 && held.last < before.Last:
		p.Err = fmt.Errorf("%s, but it reached #%d: files are missing; %s", p.Contents, before.Last, remedy(dir))
	case before.Messages > 0 && held.messages == 0 && !leaves(before.Meta):
		p.Err = fmt.Errorf("empty, but it held %d messages; %s", before.Messages, remedy(dir))
	}
	out := []Part{p}
	consumers, err := os.ReadDir(filepath.Join(dir, "obs"))
	if err != nil {
		return out
	}
	for _, c := range consumers {
		if c.IsDir() {
			out = append(out, surveyConsumer(filepath.Join(dir, "obs", c.Name()), name, c.Name()))
		}
	}
	return out
}

// remedy returns what an operator can do about lost messages.
func remedy(dir string) string {
	return fmt.Sprintf("restore %s from a copy, or start without it: docs/damage.md lists the cost", dir)
}

// leaves reports whether the messages of a stream with this configuration expire.
func leaves(meta []byte) bool {
	var c server.StreamConfig
	return json.Unmarshal(meta, &c) == nil && (c.AllowMsgTTL || c.MaxAge > 0)
}

// surveyConsumer inspects the state of a consumer.
func surveyConsumer(dir, stream, name string) Part {
	p := Part{Name: "consumer " + name + " on " + stream, Contents: "nothing was settled yet"}
	raw, err := os.ReadFile(filepath.Join(dir, "o.dat"))
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(raw) == 0:
	case err != nil:
		p.Err = err
	default:
		floor, err := consumerFloor(raw)
		p.Contents = fmt.Sprintf("settled up to #%d", floor)
		if err != nil {
			p.Contents, p.Repair = "its state cannot be read", "it is recreated at a sequence that repeats and skips nothing"
		}
	}
	if _, _, err := readMeta(dir, ""); err != nil && p.Repair == "" {
		p.Repair = fmt.Sprintf("its configuration cannot be read (%v): it is written again", err)
	}
	return p
}

// The magic numbers of the server's files, in the formats of nats-server 2.15.
const (
	stateMagic    = 22 // first byte of a consumer's state and of a stream's index
	recordHeader  = 22 // length, sequence, time and subject's length before a stored message
	recordHash    = 8  // its checksum
	recordMost    = 32 << 20
	hasHeaders    = 1 << 31 // in the length
	erased        = 1 << 63 // in the sequence: the message was removed
	tombstone     = 1 << 62 // in the sequence: the record deletes a message of another block
	sequenceWidth = tombstone - 1
)

var errUnreadable = errors.New("not the bytes that were written")

// consumerFloor returns the sequence up to which everything is settled. It reads the complete state in the server's
// format: the server takes a truncated one for a state with nothing pending, and would skip what was pending.
func consumerFloor(raw []byte) (uint64, error) {
	if len(raw) < 2 || raw[0] != stateMagic || raw[1] < 1 || raw[1] > 2 {
		return 0, errUnreadable
	}
	r := varints{rest: raw[2:]}
	var head [4]uint64 // floor (consumer, stream), delivered (consumer, stream)
	for i := range head {
		head[i] = r.next()
	}
	if pending := r.next(); pending > 0 {
		r.next() // the time to which the others are relative
		for ; pending > 0 && !r.short; pending-- {
			for range 1 + raw[1] { // sequence, from version 2 on the consumer's too, time
				r.next()
			}
		}
	}
	for redelivered := r.next(); redelivered > 0 && !r.short; redelivered-- {
		r.next() // sequence
		r.next() // deliveries
	}
	if r.short || len(r.rest) > 0 || head[1]>>63 > 0 || head[3]>>63 > 0 {
		return 0, errUnreadable
	}
	return head[1], nil
}

// varints reads numbers one after the other; short is set once
// none is left. Signed ones have the same length as unsigned ones.
type varints struct {
	rest  []byte
	short bool
}

func (r *varints) next() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.short, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// readMeta reads a configuration with a correct checksum. For a consumer (no name) the server compares no checksum.
func readMeta(dir, name string) (meta, sum []byte, err error) {
	if meta, err = os.ReadFile(filepath.Join(dir, server.JetStreamMetaFile)); err != nil {
		return nil, nil, short(err)
	}
	if sum, err = os.ReadFile(filepath.Join(dir, server.JetStreamMetaFileSum)); err != nil {
		return nil, nil, short(err)
	}
	if !json.Valid(meta) {
		return nil, nil, errUnreadable
	}
	if name != "" && hex.EncodeToString(hashOf(name, meta)) != string(sum) {
		return nil, nil, errUnreadable
	}
	return meta, sum, nil
}

// short removes the path, which the caller adds.
func short(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

func hashOf(key string, parts ...[]byte) []byte {
	k := sha256.Sum256([]byte(key))
	h, err := highwayhash.NewDigest64(k[:])
	if err != nil {
		panic(err) // the key has 32 bytes
	}
	for _, p := range parts {
		_, _ = h.Write(p) // a hash accepts every write
	}
	return h.Sum(nil)
}

// checkIndex checks the stream's index; a store that was never closed has none.
func checkIndex(dir, name string) error {
	raw, err := os.ReadFile(filepath.Join(dir, "msgs", "index.db"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return short(err)
	case len(raw) < recordHash+2:
		return errUnreadable
	}
	body, sum := raw[:len(raw)-recordHash], raw[len(raw)-recordHash:]
	if !bytes.Equal(sum, hashOf(name, body)) {
		return errUnreadable
	}
	return nil
}

// blocks are the contents of a stream's blocks.
type blocks struct {
	messages    uint64
	first, last uint64
}

// surveyBlocks reads every block of a stream. It continues after an unreadable one.
func surveyBlocks(dir, name string) (blocks, error) {
	var all blocks
	files, err := filepath.Glob(filepath.Join(dir, "msgs", "*.blk"))
	if err != nil {
		return all, err
	}
	slices.SortFunc(files, func(a, b string) int { return blockNumber(a) - blockNumber(b) })
	var errs []error
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err == nil {
			err = all.read(name, blockNumber(f), raw)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", filepath.Base(f), short(err)))
		}
	}
	return all, errors.Join(errs...)
}

func blockNumber(file string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(file), ".blk"))
	if err != nil {
		return 0
	}
	return n
}

// read counts the messages of one block up to the first unreadable record.
func (b *blocks) read(stream string, number int, raw []byte) error {
	var c server.CompressionInfo
	if n, err := c.UnmarshalMetadata(raw); err != nil {
		return errUnreadable
	} else if n > 0 {
		if raw, err = c.Algorithm.Decompress(raw[n:]); err != nil {
			return errUnreadable
		}
	}
	key := fmt.Sprintf("%s-%d", stream, number)
	for at := 0; at < len(raw); {
		n, err := b.record(key, raw[at:])
		if err != nil {
			return fmt.Errorf("byte %d of %d: %w", at, len(raw), err)
		}
		at += n
	}
	return nil
}

// record reads the first record of raw and returns its length.
func (b *blocks) record(key string, raw []byte) (int, error) {
	if len(raw) < recordHeader {
		return 0, errUnreadable
	}
	length := binary.LittleEndian.Uint32(raw)
	skip := 0
	if length&hasHeaders != 0 {
		length, skip = length&^hasHeaders, 4
	}
	subject := int(binary.LittleEndian.Uint16(raw[20:]))
	if length > recordMost || int(length) > len(raw) || int(length) < recordHeader+subject+skip+recordHash {
		return 0, errUnreadable
	}
	data := raw[recordHeader:length]
	end := len(data) - recordHash
	if !bytes.Equal(data[end:], hashOf(key, raw[4:20], data[:subject], data[subject+skip:end])) {
		return 0, errUnreadable
	}
	b.count(binary.LittleEndian.Uint64(raw[4:]))
	return int(length), nil
}

// count records a sequence.
func (b *blocks) count(seq uint64) {
	if seq&(erased|tombstone) == 0 {
		b.messages++
		if b.first == 0 || seq < b.first {
			b.first = seq
		}
	}
	b.last = max(b.last, seq&sequenceWidth)
}
