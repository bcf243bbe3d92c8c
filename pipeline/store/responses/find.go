package responses

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

// Want is an answer that a unit of work needs.
type Want struct {
	Key    string        // ASIN or seller id
	WorkID string        // an answer that was bought for this work always serves it
	Also   string        // a second ID of this work; may be empty
	Limit  time.Duration // the maximum age of another work's answer
}

// Serving returns for each want, in order, the stored answer that serves it; nil if a call must be made. The newest
// answers come from one request. Only if a newest one belongs to other work and is too old are the older answers of
// its key searched: one of them may have been bought for our work, before a crash or a reset caused its redelivery.
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
	older := map[bought]bool{}
	for i, w := range wants {
		a, stored := newest[w.Key]
		switch {
		case stored && a.serves(w, now):
			out[i] = &a
		case stored:
			for _, work := range []string{w.WorkID, w.Also} {
				if work != "" {
					older[bought{work, w.Key}] = true
				}
			}
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
		a, ok := own[bought{w.WorkID, w.Key}]
		if !ok {
			a, ok = own[bought{w.Also, w.Key}]
		}
		if ok && out[i] == nil {
			out[i] = &a
		}
	}
	return out, nil
}

// bought names an answer by the work that paid for it and its key: one work may buy several sellers.
type bought struct{ work, key string }

// boughtFor returns the newest answer that each work paid for, by its key. It reads
// the headers of all answers to those keys and the bodies of those that it returns.
func boughtFor(ctx context.Context, b *bus.Bus, domain int, kind pipeline.Kind, wanted map[bought]bool) (map[bought]Answer, error) {
	keyOf := map[string]string{} // of a subject
	for of := range wanted {
		keyOf[pipeline.SubjectResponse(domain, kind, of.key)] = of.key
	}
	found := map[bought]uint64{}
	err := b.Scan(ctx, pipeline.StreamResponses, bus.From{Headers: true, Subjects: slices.Collect(maps.Keys(keyOf))}, func(r bus.Read) error {
		if of := (bought{r.Header.Get(pipeline.HeaderWorkID), keyOf[r.Subject]}); wanted[of] {
			found[of] = r.Sequence
		}
		return nil
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	s, err := b.JS.Stream(ctx, pipeline.StreamResponses)
	if err != nil {
		return nil, fmt.Errorf("find stored answers: %w", err)
	}
	out := map[bought]Answer{}
	for of, seq := range found {
		m, err := s.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // the stream has just deleted it
		}
		if err != nil {
			return nil, fmt.Errorf("read stored answer %d: %w", seq, err)
		}
		if a, ok := readable(b, m.Sequence, m.Header, m.Data); ok {
			a.Domain, a.Kind, a.Key = domain, kind, of.key
			out[of] = a
		}
	}
	return out, nil
}

// Find returns the newest stored answer of a kind for each key that has one.
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
	stored, err := b.Newest(ctx, pipeline.StreamResponses, subjects, bus.Until{})
	if err != nil {
		return nil, err
	}
	for _, m := range stored {
		if a, ok := readable(b, m.Sequence, m.Header, m.Body); ok {
			a.Domain, a.Kind, a.Key = domain, kind, key[m.Subject]
			out[a.Key] = a
		}
	}
	return out, nil
}

// EachAfter passes every answer of a kind that was stored after a sequence to f, in the order of storage.
func EachAfter(ctx context.Context, b *bus.Bus, domain int, kind pipeline.Kind, sequence uint64, f func(Answer) error) error {
	prefix := pipeline.SubjectResponse(domain, kind, "")
	from := bus.From{Subjects: []string{prefix + ">"}, Sequence: sequence + 1}
	err := b.Scan(ctx, pipeline.StreamResponses, from, func(r bus.Read) error {
		a, ok := readable(b, r.Sequence, r.Header, r.Body)
		if !ok {
			return nil
		}
		a.Domain, a.Kind, a.Key = domain, kind, strings.TrimPrefix(r.Subject, prefix)
		return f(a)
	})
	if err != nil {
		return fmt.Errorf("read stored answers beyond %d: %w", sequence, err)
	}
	return nil
}

// readable returns a stored answer; false for one that cannot be read. That one counts as not
// stored, so that it is bought again and the others of its batch or list are not held up.
func readable(b *bus.Bus, sequence uint64, h nats.Header, packed []byte) (Answer, bool) {
	a, err := unwrap(sequence, h, packed)
	if err != nil {
		b.Log.Warn("a stored answer cannot be read, it is bought again", "err", err)
	}
	return a, err == nil
}

func unwrap(sequence uint64, h nats.Header, packed []byte) (Answer, error) {
	body, err := Unpack(packed)
	if err != nil {
		return Answer{}, fmt.Errorf("decompress stored answer %d: %w", sequence, err)
	}
	at, err := time.Parse(pipeline.TimeFormat, h.Get(pipeline.HeaderAnsweredAt))
	if err != nil {
		return Answer{}, fmt.Errorf("read stored answer %d: %w", sequence, err)
	}
	a := headed(sequence, h)
	a.Body, a.AnsweredAt = body, at
	return a, nil
}

// Load returns the stored answer with an ID; nil if the stream has deleted it.
func Load(ctx context.Context, b *bus.Bus, id string) (*Answer, error) {
	sequence, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read stored answer %q: want the number of a message in RESPONSES", id)
	}
	s, err := b.JS.Stream(ctx, pipeline.StreamResponses)
	if err != nil {
		return nil, fmt.Errorf("find stored answers: %w", err)
	}
	m, err := s.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil //nolint:nilnil // a deleted answer is not an error
	}
	if err != nil {
		return nil, fmt.Errorf("read stored answer %d: %w", sequence, err)
	}
	a, err := unwrap(m.Sequence, m.Header, m.Data)
	if err != nil {
		return nil, err
	}
	return &a, nil
}
