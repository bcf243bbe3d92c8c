package bus_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/platform/bus"
)

func TestTheNewestOfManySubjectsAreAllFoundOrNoneIs(t *testing.T) {
	t.Parallel()
	b := open(t)
	const subjects, stored = 1300, 700 // more than one request asks for, and than one returns
	var names []string
	var ms []bus.Message
	for i := range subjects {
		names = append(names, pipeline.SubjectResponse(1, pipeline.KindPeek, fmt.Sprintf("B%09d", i)))
		for n := range 2 {
			if i < stored {
				ms = append(ms, bus.Message{
					Subject: names[i], Schema: pipeline.SchemaResponse, ID: fmt.Sprint(i, n), Body: fmt.Appendf(nil, "%d-%d", i, n),
				})
			}
		}
	}
	if err := b.PublishBatch(t.Context(), ms); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		until bus.Until
		found int
		n     int
	}{
		{"now", bus.Until{}, stored, 1},
		{"at an earlier sequence", bus.Until{Sequence: 501}, 251, 1}, // only the first of the last ones
	} {
		got, err := b.Newest(t.Context(), pipeline.StreamResponses, names, c.until)
		if err != nil {
			t.Fatal(err)
		}
		bySubject := map[string]string{}
		for _, r := range got {
			bySubject[r.Subject] = string(r.Body)
		}
		if len(got) != c.found || len(bySubject) != c.found || bySubject[names[7]] != "7-1" {
			t.Errorf("%s: %d messages of %d subjects, want %d; the eighth is %q", c.name, len(got), len(bySubject), c.found, bySubject[names[7]])
		}
	}
	if got, err := b.Newest(t.Context(), pipeline.StreamResponses, names[stored:], bus.Until{}); err != nil || len(got) != 0 {
		t.Errorf("of what is not stored: %d messages, %v", len(got), err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := b.Newest(ended, pipeline.StreamResponses, names, bus.Until{}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped before it was answered: %d messages, %v; want an error", len(got), err)
	}
}
