package answers

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"ratchet/pipeline"
	"ratchet/pipeline/bus"
)

// Want is an answer that some work needs.
type Want struct {
	Key    string        // ASIN or seller id
	WorkID string        // an answer that was bought for this work always serves
	Limit  time.Duration // how old another work's answer may be
}

// Serving is, for each want and in their order, the stored answer that serves it;
// nil where a call must be made. The newest answers come from one request. Only
// where a newest one belongs to other work and is too old are the older ones of
// that key asked for their work: one of them may have been bought for ours, before
// a crash or a reset handed the work out again.
func Serving(ctx context.Context, b *bus.Bus, domain int, kind pipeline.Kind, wants []Want, now time.Time) ([]*Answer, error) {
	keys := make([]string, len(wants))
	for i, w := range wants {
		keys[i] = w.Key
	}
	newest, err := Find(ctx, b, domain, kind, keys)
	if err != nil {
		return nil, err
	}
	out := make([]*Answer, len(wants))
	older := map[string]string{} // work to key
	for i, w := range wants {
		a, stored := newest[w.Key]
		switch {
		case stored && a.Fresh(w.WorkID, w.Limit, now):
			out[i] = &a
		case stored && w.WorkID != "":
			older[w.WorkID] = w.Key
		}
	}
	if len(older) == 0 {
		return out, nil
	}
	own, err := boughtFor(ctx, b, domain, kind, older)
	if err != nil {
		return nil, err
	}
	for i, w := range wants {
		if a, ok := own[w.WorkID]; ok && out[i] == nil {
			out[i] = &a
		}
	}
	return out, nil
}

// boughtFor finds the newest answer that each work paid for, by its key. It reads
// the headers of all answers to those keys and the bodies of those it returns.
func boughtFor(ctx context.Context, b *bus.Bus, domain int, kind pipeline.Kind, keyOf map[string]string) (map[string]Answer, error) {
	seen := map[string]bool{}
	from := bus.From{Headers: true}
	for _, key := range keyOf {
		if s := pipeline.SubjectResponse(domain, kind, key); !seen[s] {
			seen[s], from.Subjects = true, append(from.Subjects, s)
		}
	}
	found := map[string]uint64{}
	err := b.Scan(ctx, pipeline.StreamResponses, from, func(r bus.Read) error {
		work := r.Header.Get(pipeline.HeaderWorkID)
		if key, ours := keyOf[work]; ours && r.Subject == pipeline.SubjectResponse(domain, kind, key) {
			found[work] = r.Sequence
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	s, err := b.JS.Stream(ctx, pipeline.StreamResponses)
	if err != nil {
		return nil, fmt.Errorf("look for stored answers: %w", err)
	}
	out := map[string]Answer{}
	for work, seq := range found {
		m, err := s.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // it has just left the stream
		}
		if err != nil {
			return nil, fmt.Errorf("read stored answer %d: %w", seq, err)
		}
		a, err := open(m)
		if err != nil {
			return nil, err
		}
		a.Domain, a.Kind, a.Key = domain, kind, keyOf[work]
		out[work] = a
	}
	return out, nil
}

// Find is the newest stored answer of a kind for each key that has one.
func Find(ctx context.Context, b *bus.Bus, domain int, kind pipeline.Kind, keys []string) (map[string]Answer, error) {
	out := map[string]Answer{}
	if len(keys) == 0 {
		return out, nil
	}
	key := make(map[string]string, len(keys))
	var subjects []string
	for _, k := range keys {
		s := pipeline.SubjectResponse(domain, kind, k)
		if _, twice := key[s]; !twice {
			key[s], subjects = k, append(subjects, s)
		}
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
	body, err := Unpack(m.Data)
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
