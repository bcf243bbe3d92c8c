package cli_test

import (
	"errors"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/test/desk"
)

// letters are all dead letters once there are n.
func letters(t *testing.T, d *desk.Desk, n int) []cli.Letter {
	t.Helper()
	var out []cli.Letter
	desk.Await(t, "the dead letters", func() bool {
		var err error
		if out, err = cli.DeadLetters(t.Context(), d.Bus, cli.DeadFilter{}); err != nil {
			t.Fatal(err)
		}
		return len(out) >= n
	})
	return out
}

// stored counts the messages of a stream.
func stored(t *testing.T, d *desk.Desk, stream string) int {
	t.Helper()
	n := 0
	if err := d.Bus.Scan(t.Context(), stream, bus.From{Headers: true}, func(bus.Read) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestADeadLetterIsShownAndRetriedUnchangedOnce(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 300)
	poison := bus.Message{Subject: "candidate.1.live.B00POISON0", Schema: "candidate.v999", ID: "poison", WorkID: "poison", Body: []byte("{")}
	if _, err := d.Bus.Publish(t.Context(), poison); err != nil {
		t.Fatal(err)
	}
	stop := d.Run(t, peeker.Run, nil)
	l := letters(t, d, 1)[0]
	stop()
	if l.Stage != "peeker" || l.ASIN != "B00POISON0" || l.Retried || l.Dead.Reason != "unreadable" || l.Dead.Stream != pipeline.StreamCandidates {
		t.Errorf("got %+v", l)
	}
	var shown, list strings.Builder
	if err := l.Write(&shown); err != nil {
		t.Fatal(err)
	}
	if err := cli.WriteLetters(&list, []cli.Letter{l}, "table"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"unreadable", "candidate.v999", "CANDIDATES #1"} {
		if !strings.Contains(shown.String(), want) || want != "candidate.v999" && !strings.Contains(list.String(), want) {
			t.Errorf("no %q in\n%s\n%s", want, shown.String(), list.String())
		}
	}
	for range 2 {
		subject, err := cli.Retry(t.Context(), d.Bus, l, false)
		if err != nil || subject != poison.Subject {
			t.Errorf("retried on %q: %v", subject, err)
		}
	}
	if n := stored(t, d, pipeline.StreamCandidates); n != 2 {
		t.Errorf("%d candidates, want the poison and its one repeat", n)
	}
	if again := letters(t, d, 1)[0]; !again.Retried {
		t.Error("it does not show that it was retried")
	}
}

func TestADeadSurvivorBecomesACandidateOfAFurtherAttempt(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 300)
	w := d.Work(t, d.ASINs(keepasim.Good)[0], pipeline.SourceLive, pipeline.FirstGeneration)
	d.Survives(t, w, pipeline.LookPeek, "a")
	fetcher, err := d.Bus.Fetcher(t.Context(), pipeline.StreamSurvivors)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := fetcher.Read(t.Context(), []uint64{1})
	if err != nil {
		t.Fatal(err)
	}
	r := kept[1]
	// Without its body, as a letter that would have been too large.
	it := loop.Item{Subject: r.Subject, Header: r.Header, Stream: pipeline.StreamSurvivors, Sequence: 1, Deliveries: 7}
	if err := d.Bus.DeadLetter(t.Context(), "committer", it, "product_unreadable", errors.New("csv is no array")); err != nil {
		t.Fatal(err)
	}
	l := letters(t, d, 1)[0]
	for range 2 {
		if _, err := cli.Retry(t.Context(), d.Bus, l, false); err != nil {
			t.Fatal(err)
		}
	}
	if n := stored(t, d, pipeline.StreamCandidates); n != 1 {
		t.Fatalf("%d candidates, want one", n)
	}
	d.Run(t, peeker.Run, nil)
	v := d.AwaitVerdicts(t, 1)[0]
	if v.Look != pipeline.LookGlance || v.Source != pipeline.SourceRetry || v.WorkID != w.Survivor.WorkID(pipeline.AttemptGeneration(pipeline.SourceRetry, 1)) {
		t.Errorf("decided at the %s as %s of work %s", v.Look, v.Source, v.WorkID)
	}
	if open, err := cli.DeadLetters(t.Context(), d.Bus, cli.DeadFilter{Open: true}); err != nil || len(open) != 0 {
		t.Errorf("%d letters are open (%v), want none", len(open), err)
	}
}

func TestWhatCouldNotBeRecordedIsNotPublishedTwice(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 300)
	it := loop.Item{Subject: "verdict.1.peek.reject.B000000001", Stream: pipeline.StreamVerdicts, Sequence: 9, Body: []byte("{}")}
	if err := d.Bus.DeadLetter(t.Context(), "recorder", it, "bad_message", errors.New("want look")); err != nil {
		t.Fatal(err)
	}
	_, err := cli.Retry(t.Context(), d.Bus, letters(t, d, 1)[0], false)
	if err == nil || !strings.Contains(err.Error(), "nats consumer reset VERDICTS recorder-verdicts --sequence 9 -f") {
		t.Errorf("got %v, want the command that resets the recorder", err)
	}
	if n := stored(t, d, pipeline.StreamVerdicts); n != 0 {
		t.Errorf("%d verdicts", n)
	}
}
