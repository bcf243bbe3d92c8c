package odd_test

import (
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/watermarker"
	"ratchet/test/desk"
	"ratchet/test/odd"
)

// letter is the only dead letter, once it is there.
func letter(t *testing.T, b *bench) (l cli.Letter) {
	t.Helper()
	desk.Await(t, "a dead letter", func() bool {
		all, err := cli.DeadLetters(t.Context(), b.Bus, cli.DeadFilter{Open: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 1 {
			l = all[0]
		}
		return len(all) == 1
	})
	return l
}

// peeked waits for the n-th verdict of a peek and returns it.
func peeked(t *testing.T, b *bench, n int) (v desk.Verdict) {
	t.Helper()
	desk.Await(t, "a verdict of a peek", func() bool {
		seen := 0
		for _, one := range b.Verdicts(t) {
			if one.Look == pipeline.LookPeek {
				seen, v = seen+1, one
			}
		}
		return seen >= n
	})
	return v
}

func TestADeadLetterIsReadAgainForNoTokenAndPaidForAgainOnlyOnDemand(t *testing.T) {
	t.Parallel()
	b := newBench(t, speed)
	b.Grant(t, pipeline.StagePeeker, credit)
	asin := b.good[0]
	w := b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	b.keepa.Edit(odd.Peek, asin, odd.Set(`{"0":[1,2]}`, "csv"))
	b.Survives(t, w, pipeline.LookGlance, "live")
	b.start(t, peeker.Run, nil)
	if v := peeked(t, b, 1); v.Reason != verdict.ReasonUnreadable {
		t.Fatalf("%s (%s)", v.Outcome, v.Reason)
	}
	// Without a fix the stored answer reads as it did, and costs nothing.
	l := letter(t, b)
	if _, err := cli.Retry(t.Context(), b.Bus, l, false); err != nil {
		t.Fatal(err)
	}
	if v := peeked(t, b, 2); v.Reason != verdict.ReasonUnreadable || v.Tokens != 0 || v.WorkID == w.ID {
		t.Errorf("again: %s (%s) for %d tokens", v.Outcome, v.Reason, v.Tokens)
	}
	// A fixed build reads another thing out of what is stored for the same work.
	b.Store(t, pipeline.KindPeek, asin, w.ID, b.Product(t, asin, false), 0)
	if _, err := cli.Retry(t.Context(), b.Bus, letter(t, b), false); err != nil {
		t.Fatal(err)
	}
	if v := peeked(t, b, 3); v.Outcome == pipeline.Fail || v.Tokens != 0 {
		t.Errorf("after the fix: %s (%s) for %d tokens", v.Outcome, v.Reason, v.Tokens)
	}
	if n := b.keepa.Paid(odd.Peek, asin); n != 1 {
		t.Errorf("paid %d times, want once", n)
	}
	b.keepa.Edit(odd.Peek, asin, nil)
	if _, err := cli.Retry(t.Context(), b.Bus, l, true); err != nil {
		t.Fatal(err)
	}
	if v := peeked(t, b, 4); v.Outcome == pipeline.Fail || v.Tokens != 1 {
		t.Errorf("paid again: %s (%s) for %d tokens", v.Outcome, v.Reason, v.Tokens)
	}
	b.balance(t)
}

func TestWhatWasLeftOutIsOnlyAskedForAgainForMoney(t *testing.T) {
	t.Parallel()
	b := newBench(t, speed)
	b.Grant(t, pipeline.StagePeeker, credit)
	asin := b.good[0]
	b.keepa.Edit(odd.Peek, asin, func([]byte) []byte { return nil })
	b.Survives(t, b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookGlance, "live")
	b.start(t, peeker.Run, nil)
	l := letter(t, b)
	if _, err := cli.Retry(t.Context(), b.Bus, l, false); err == nil || !strings.Contains(err.Error(), "--pay") || l.Dead.Reason != decide.ReasonNotFound {
		t.Errorf("a letter for %s: %v", l.Dead.Reason, err)
	}
	b.keepa.Edit(odd.Peek, asin, nil)
	if _, err := cli.Retry(t.Context(), b.Bus, l, true); err != nil {
		t.Fatal(err)
	}
	if v := peeked(t, b, 2); v.Outcome == pipeline.Fail {
		t.Errorf("paid again: %s (%s)", v.Outcome, v.Reason)
	}
}

func TestTheRowsOfALetterAreOfferedAfterAll(t *testing.T) {
	t.Parallel()
	b := newBench(t, listSpeed)
	b.Grant(t, pipeline.StageWatermarker, credit)
	b.list(t, b.rest[:40]...)
	good := b.Work(t, b.rest[7], pipeline.SourceLive, pipeline.FirstGeneration)
	b.keepa.Edit(odd.Row, b.rest[7], odd.Set(`"twelve"`, "current"))
	stop := b.start(t, watermarker.Run, polls)
	l := letter(t, b)
	stop()
	if !strings.Contains(l.Dead.Error.String(), "position 7") || !strings.Contains(l.Dead.Error.String(), "call ") {
		t.Errorf("the letter says %s", l.Dead.Error)
	}
	if _, err := cli.Retry(t.Context(), b.Bus, l, false); err == nil {
		t.Error("a row that this build cannot read is offered")
	}
	l.Dead.Body = good.Survivor.Row // as a fixed build reads it
	if subject, err := cli.Retry(t.Context(), b.Bus, l, false); err != nil || subject != pipeline.SubjectCandidate(1, pipeline.SourceRetry, b.rest[7]) {
		t.Errorf("offered on %q: %v", subject, err)
	}
}

func TestAPageThatIsNoListIsADeadLetterAndIsNotBoughtAgainByItself(t *testing.T) {
	t.Parallel()
	b := newBench(t, listSpeed)
	b.Grant(t, pipeline.StageWatermarker, credit)
	b.list(t, b.rest[:40]...)
	b.keepa.Wrap(odd.Row, "list", 1, odd.Set(`{"dr":"none"}`, "deals"))
	b.start(t, watermarker.Run, map[string]string{"WATERMARKER_SHORTEST": "24h", "WATERMARKER_LONGEST": "24h"})
	l := letter(t, b)
	if l.Dead.Reason != "unreadable_page" || l.Dead.Stream != pipeline.StreamResponses {
		t.Errorf("the letter is %+v", l.Dead)
	}
	b.balance(t)
	if n := len(b.keepa.Calls()); n != 1 {
		t.Errorf("%d pages were bought, want 1", n)
	}
}
