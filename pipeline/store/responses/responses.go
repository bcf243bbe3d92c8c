// Package responses keeps what was paid for: every answer is stored on RESPONSES
// before anything interprets it, and one request finds what is there already.
//
// An answer serves the work for which it was bought for as long as it is stored, and other work while it is
// young. Before a call a worker places an order, so that two workers with the same ASIN do not both pay.
package responses

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/platform/bus"
)

// Answer is a stored answer: a product, a seller, or a page of the deal list.
type Answer struct {
	ID         string // the sequence in RESPONSES
	Domain     int
	Kind       pipeline.Kind
	Key        string // ASIN, seller id, or QUERY-PAGE
	Body       []byte // Keepa's JSON
	Request    string // path and query without the key
	RequestID  string // the claim that paid for it
	WorkID     string // the work for which it was bought; empty for pages
	Cost       int    // in tokens, its share of the call
	AnsweredAt time.Time
	Position   int // its index in the answer to the call, from 0
}

// Fresh reports whether the answer may serve work instead of a call: always if it was bought for that work, else while
// it is younger than limit. After the clock was set back, what lies further ahead than limit is old.
func (a Answer) Fresh(workID string, limit time.Duration, now time.Time) bool {
	return workID != "" && a.WorkID == workID || now.Sub(a.AnsweredAt).Abs() < limit
}

// serves reports whether the answer serves a want.
func (a Answer) serves(w Want, now time.Time) bool {
	return a.Fresh(w.WorkID, w.Limit, now) || a.Fresh(w.Also, 0, now)
}

// CostTo returns what the answer cost this work: nothing if other work paid for it.
func (a Answer) CostTo(workID string) int {
	if a.WorkID != workID {
		return 0
	}
	return a.Cost
}

// Evidence returns the answer in the form that decisions use.
func (a Answer) Evidence() decide.Answer { return decide.Answer{ID: a.ID, Key: a.Key, Body: a.Body} }

var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		// Packing takes milliseconds a minute, and unpacking is most of the time of a replay:
		// this level packs real products smaller than the default and unpacks them faster.
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBetterCompression))
		if err != nil {
			panic(err) // only an invalid option fails
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			panic(err) // only an invalid option fails
		}
		return d
	})
)

// Put stores the answers of a call and returns them with their IDs. It retries until all are stored or ctx
// ends, because they cost tokens. The claim is part of the message's ID, so a repeat is dropped.
func Put(ctx context.Context, b *bus.Bus, all []Answer) ([]Answer, error) {
	out, ms := slices.Clone(all), make([]bus.Message, len(all))
	for i := range out {
		out[i].Body, _ = Fit(out[i].Body)
		ms[i] = out[i].message()
	}
	sequences, err := b.PublishSequences(ctx, ms)
	if err != nil {
		return nil, fmt.Errorf("store %d answers: %w", len(all), err)
	}
	for i, sequence := range sequences {
		out[i].ID = strconv.FormatUint(sequence, 10)
	}
	return out, nil
}

func (a Answer) message() bus.Message {
	return bus.Message{
		Subject: pipeline.SubjectResponse(a.Domain, a.Kind, a.Key), Schema: pipeline.SchemaResponse,
		ID: a.RequestID + ":" + a.Key, WorkID: a.WorkID, Body: Pack(a.Body),
		Header: a.header(),
	}
}

// Pack compresses an answer's body for RESPONSES.
func Pack(body []byte) []byte { return encoder().EncodeAll(body, nil) }

// Unpack reverses Pack.
func Unpack(packed []byte) ([]byte, error) { return decoder().DecodeAll(packed, nil) }

// UnpackInto is Unpack into buf, which grows as needed.
func UnpackInto(buf, packed []byte) ([]byte, error) { return decoder().DecodeAll(packed, buf[:0]) }
