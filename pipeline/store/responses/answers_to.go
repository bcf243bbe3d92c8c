package responses

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

// AnswersTo returns what is stored of the answers to a call, or to every call that was begun for a unit
// of work, in the order of storage: all bytes of an answer with an odd part, else its elements. It
// returns nothing if no byte arrived, nothing was paid, or the stream has deleted it.
func AnswersTo(ctx context.Context, b *bus.Bus, id string) ([]Answer, error) {
	calls, err := callsFor(ctx, b, id)
	if err != nil {
		return nil, err
	}
	var out []Answer
	lacks := map[string]bool{} // the calls without a whole answer
	for _, call := range calls {
		all, err := wholeOf(ctx, b, call)
		if err != nil {
			return nil, err
		}
		if len(all) == 0 {
			lacks[call] = true
		}
		out = append(out, all...)
	}
	if len(lacks) == 0 {
		return out, nil
	}
	elements, err := elementsOf(ctx, b, lacks)
	return append(out, elements...), err
}

// callsFor returns the calls that were begun for a unit of work; the ID itself if there are none.
func callsFor(ctx context.Context, b *bus.Bus, id string) ([]string, error) {
	from := bus.From{Headers: true}
	for _, k := range []pipeline.Kind{pipeline.KindDeals, pipeline.KindPeek, pipeline.KindCommit, pipeline.KindSeller} {
		if !strings.Contains(id, ".") {
			from.Subjects = append(from.Subjects, fmt.Sprintf("response.*.attempt.%s-%s", k, id))
		}
	}
	if from.Subjects == nil {
		return []string{id}, nil
	}
	var calls []string
	err := b.Scan(ctx, pipeline.StreamResponses, from, func(r bus.Read) error {
		calls = append(calls, r.Header.Get(pipeline.HeaderRequestID))
		return nil
	})
	if len(calls) == 0 {
		calls = []string{id}
	}
	return calls, err
}

// wholeOf returns the whole answers to a call: one, and one about its sellers.
func wholeOf(ctx context.Context, b *bus.Bus, call string) ([]Answer, error) {
	var out []Answer
	for _, name := range []string{call, call + ".s"} {
		a, n, err := wholePart(ctx, b, name)
		if err != nil || n == 0 {
			return out, err
		}
		for i := 2; i <= n; i++ {
			part, _, err := wholePart(ctx, b, fmt.Sprintf("%s-%d", name, i))
			if err != nil {
				return out, err
			}
			a.Body = append(a.Body, part.Body...)
		}
		if a.Body, err = Unpack(a.Body); err != nil {
			return out, fmt.Errorf("decompress the answer to call %s: %w", name, err)
		}
		out = append(out, a)
	}
	return out, nil
}

// wholePart returns one message of a whole answer, compressed, and the number of its messages.
func wholePart(ctx context.Context, b *bus.Bus, call string) (a Answer, of int, err error) {
	subject := strings.Replace(pipeline.SubjectWhole(0, call), "response.0.", "response.*.", 1)
	err = b.Scan(ctx, pipeline.StreamResponses, bus.From{Subjects: []string{subject}}, func(r bus.Read) error {
		a = headed(r.Sequence, r.Header)
		a.Body = append([]byte(nil), r.Body...)
		_, text, _ := strings.Cut(r.Header.Get(pipeline.HeaderPart), "/")
		of, _ = strconv.Atoi(text)
		return nil
	})
	return a, of, err
}

// elementsOf returns the elements of the answers to calls.
func elementsOf(ctx context.Context, b *bus.Bus, calls map[string]bool) ([]Answer, error) {
	var at []uint64
	err := b.Scan(ctx, pipeline.StreamResponses, bus.From{Headers: true}, func(r bus.Read) error {
		if calls[strings.TrimSuffix(r.Header.Get(pipeline.HeaderRequestID), ".s")] && !strings.Contains(r.Subject, ".attempt.") {
			at = append(at, r.Sequence)
		}
		return nil
	})
	if err != nil || len(at) == 0 {
		return nil, err
	}
	var out []Answer
	for _, sequence := range at {
		a, err := Load(ctx, b, strconv.FormatUint(sequence, 10))
		if err != nil {
			return nil, err
		}
		if a != nil {
			out = append(out, *a)
		}
	}
	return out, nil
}

// headed returns an answer without its body.
func headed(sequence uint64, h nats.Header) Answer {
	a := Answer{
		ID: strconv.FormatUint(sequence, 10), Kind: pipeline.Kind(h.Get(pipeline.HeaderKind)),
		Request: h.Get(pipeline.HeaderRequest), RequestID: h.Get(pipeline.HeaderRequestID), WorkID: h.Get(pipeline.HeaderWorkID),
	}
	a.Cost, _ = strconv.Atoi(h.Get(pipeline.HeaderCost)) // absent is 0: it is only for display
	a.Position, _ = strconv.Atoi(h.Get(pipeline.HeaderPosition))
	return a
}
