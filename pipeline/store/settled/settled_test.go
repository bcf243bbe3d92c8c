package settled_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/settled"
	"ratchet/test/streams"
)

// rows are the newest rows of a ClickHouse: of deals, of verdicts and of actions.
type rows [3]uint64

// arriving is a ClickHouse that has these rows after each of its answers; the last ones stay.
type arriving struct {
	after []rows
	asked int
}

func (a *arriving) ask(context.Context) error { a.asked++; return nil }

func (a *arriving) Newest(context.Context) (version, verdict, act uint64, err error) {
	r := a.after[min(a.asked, len(a.after))-1]
	return r[0], r[1], r[2], nil
}

// filled returns streams of which the recorder has settled two of three deals, one of two verdicts and no action, and
// the rows of that.
func filled(t *testing.T) (*bus.Bus, rows) {
	t.Helper()
	_, b := streams.Open(t)
	var newest rows
	for i, of := range []struct {
		stream, subject string
		stored, settled int
	}{
		{pipeline.StreamDeals, pipeline.SubjectDeal(1, 2, "B000000001"), 3, 2},
		{pipeline.StreamVerdicts, pipeline.SubjectVerdict(1, pipeline.LookPeek, pipeline.Reject, "B000000001"), 2, 1},
		{pipeline.StreamActions, "action.ignore.x", 0, 0},
	} {
		for n := range of.stored {
			if _, err := b.Publish(t.Context(), bus.Message{Subject: of.subject, ID: fmt.Sprint(n), Body: []byte("{}")}); err != nil {
				t.Fatal(err)
			}
		}
		if of.settled > 0 {
			settle(t, b, of.stream, of.settled)
		}
		span, err := b.Span(t.Context(), of.stream)
		if err != nil {
			t.Fatal(err)
		}
		newest[i] = uint64(span.Made)<<32 | uint64(of.settled) //nolint:gosec // small
	}
	return b, newest
}

// settle settles messages as the recorder does once their rows are stored.
func settle(t *testing.T, b *bus.Bus, stream string, n int) {
	t.Helper()
	in, err := b.Inlet(t.Context(), stream, pipeline.DurableRecorder(stream))
	if err != nil {
		t.Fatal(err)
	}
	items, err := in.Take(t.Context(), n, 10*time.Second)
	if err != nil || len(items) != n {
		t.Fatalf("%d of %d messages, %v", len(items), n, err)
	}
	for _, it := range items {
		if err := it.Settle.Done(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// later are rows that contain more messages: of deals, of verdicts and of actions.
func (r rows) later(deals, verdicts, actions uint64) rows {
	return rows{r[0] + deals, r[1] + verdicts, r[2] + actions}
}

func TestAnAnswerCountsOnlyIfItRestsOnNoRowThatWasNotSettledBeforeIt(t *testing.T) {
	t.Parallel()
	b, is := filled(t)
	for name, c := range map[string]struct {
		after []rows
		asked int
	}{
		"no row arrives":                 {[]rows{is}, 1},
		"ClickHouse has none":            {[]rows{{}}, 1},
		"a deal arrives":                 {[]rows{is.later(1, 0, 0), is}, 2},
		"a verdict arrives":              {[]rows{is.later(0, 1, 0), is}, 2},
		"an action arrives":              {[]rows{is.later(0, 0, 1), is}, 2},
		"a deal arrives, then a verdict": {[]rows{is.later(1, 0, 0), is.later(0, 1, 0), is}, 3},
	} {
		w := &arriving{after: c.after}
		at, err := settled.Ask(t.Context(), b, w, w.ask)
		if want := (visibility.Sequences{Deals: 2, Verdicts: 1}); err != nil || at != want {
			t.Errorf("%s: the answer is as of %+v, %v; want %+v", name, at, err, want)
		}
		if w.asked != c.asked {
			t.Errorf("%s: asked %d times, want %d", name, w.asked, c.asked)
		}
	}
}

func TestAnAnswerDuringWhichRowsAlwaysArriveIsNone(t *testing.T) {
	t.Parallel()
	b, is := filled(t)
	w := &arriving{after: []rows{is.later(0, 1, 0)}}
	if at, err := settled.Ask(t.Context(), b, w, w.ask); !errors.Is(err, settled.ErrBusy) || at != (visibility.Sequences{}) {
		t.Errorf("after %d attempts it is as of %+v, %v", w.asked, at, err)
	}
}

// broken is a ClickHouse that does not say what it has.
type broken struct{ error }

func (b broken) Newest(context.Context) (version, verdict, act uint64, err error) {
	return 0, 0, 0, b.error
}

func TestAQuestionThatFailsIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	b, _ := filled(t)
	away, asked := errors.New("connection refused"), 0
	for name, c := range map[string]struct {
		w     settled.Warehouse
		fails error
	}{
		"the question":    {&arriving{after: []rows{{}}}, away},
		"the newest rows": {broken{away}, nil},
	} {
		asked = 0
		_, err := settled.Ask(t.Context(), b, c.w, func(context.Context) error { asked++; return c.fails })
		if !errors.Is(err, away) || asked != 1 {
			t.Errorf("%s: asked %d times, %v", name, asked, err)
		}
	}
}
