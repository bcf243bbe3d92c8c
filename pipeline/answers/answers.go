// Package answers keeps what was paid for: every answer on RESPONSES before
// anything interprets it, and the newest of many in one request.
package answers

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
)

// Answer is one stored answer: a product, a seller, or a page of the deal list.
type Answer struct {
	ID         string // where it stands: the sequence in RESPONSES
	Domain     int
	Kind       pipeline.Kind
	Key        string // ASIN, seller id, or QUERY-PAGE
	Body       []byte // Keepa's JSON
	Request    string // path and query without the key
	RequestID  string // the claim that paid for it
	WorkID     string // the work it was bought for; empty for pages and sellers
	Cost       int    // tokens, this part's share
	AnsweredAt time.Time
}

// Fresh reports whether the answer may serve work instead of a call: one that
// was bought for the same work always, another while it is younger than limit.
func (a Answer) Fresh(workID string, limit time.Duration, now time.Time) bool {
	return workID != "" && a.WorkID == workID || now.Sub(a.AnsweredAt) < limit
}

var (
	encoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			panic(err) // only a wrong option fails
		}
		return e
	})
	decoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(256<<20))
		if err != nil {
			panic(err) // only a wrong option fails
		}
		return d
	})
)

// Put stores answers and returns them with their ids. It goes on until the
// streams have them or ctx ends: they cost tokens. The claim is part of the
// message's id, so a repeat is dropped.
func Put(ctx context.Context, b *bus.Bus, all []Answer) ([]Answer, error) {
	out := make([]Answer, len(all))
	for i, a := range all {
		ack, err := b.Publish(ctx, bus.Message{
			Subject: pipeline.SubjectResponse(a.Domain, a.Kind, a.Key), Schema: pipeline.SchemaResponse,
			ID: a.RequestID + ":" + a.Key, WorkID: a.WorkID, Body: encoder().EncodeAll(a.Body, nil),
			Header: map[string]string{
				pipeline.HeaderKind: string(a.Kind), pipeline.HeaderRequest: a.Request, pipeline.HeaderRequestID: a.RequestID,
				pipeline.HeaderCost: strconv.Itoa(a.Cost), pipeline.HeaderAnsweredAt: a.AnsweredAt.Format(pipeline.TimeFormat),
				pipeline.HeaderEncoding: "zstd",
			},
		})
		if err != nil {
			return nil, fmt.Errorf("store answer %s: %w", a.Key, err)
		}
		a.ID = strconv.FormatUint(ack.Sequence, 10)
		out[i] = a
	}
	return out, nil
}

// Find is the newest stored answer of a kind for each key that has one.
func Find(ctx context.Context, b *bus.Bus, domain int, kind pipeline.Kind, keys []string) (map[string]Answer, error) {
	out := map[string]Answer{}
	if len(keys) == 0 {
		return out, nil
	}
	subjects := make([]string, len(keys))
	key := make(map[string]string, len(keys))
	for i, k := range keys {
		subjects[i] = pipeline.SubjectResponse(domain, kind, k)
		key[subjects[i]] = k
	}
	msgs, err := jetstreamext.GetLastMsgsFor(ctx, b.JS, pipeline.StreamResponses, subjects)
	if errors.Is(err, jetstreamext.ErrNoMessages) {
		return out, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for %d stored answers: %w", len(keys), err)
	}
	for m, err := range msgs {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("look for %d stored answers: %w", len(keys), err)
		}
		a, err := open(m)
		if err != nil {
			return nil, err
		}
		a.Domain, a.Kind, a.Key = domain, kind, key[m.Subject]
		out[a.Key] = a
	}
	return out, nil
}

func open(m *jetstream.RawStreamMsg) (Answer, error) {
	body, err := decoder().DecodeAll(m.Data, nil)
	if err != nil {
		return Answer{}, fmt.Errorf("decompress stored answer %d: %w", m.Sequence, err)
	}
	at, err := time.Parse(pipeline.TimeFormat, m.Header.Get(pipeline.HeaderAnsweredAt))
	if err != nil {
		return Answer{}, fmt.Errorf("read stored answer %d: %w", m.Sequence, err)
	}
	cost, _ := strconv.Atoi(m.Header.Get(pipeline.HeaderCost)) // absent is 0: it is for people
	return Answer{
		ID: strconv.FormatUint(m.Sequence, 10), Body: body, AnsweredAt: at, Cost: cost,
		Request: m.Header.Get(pipeline.HeaderRequest), RequestID: m.Header.Get(pipeline.HeaderRequestID),
		WorkID: m.Header.Get(pipeline.HeaderWorkID),
	}, nil
}
