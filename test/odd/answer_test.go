package odd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/tokend"
	"ratchet/test/desk"
	"ratchet/test/odd"
)

func TestEveryShapeOfAnEnvelopeIsAsGoodAndIsPaidForOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("buys many answers")
	}
	t.Parallel()
	for _, l := range []look{aPeek, aCommit} {
		b := newBench(t, speed)
		b.Grant(t, l.stage, credit)
		want := map[string]pipeline.Verdict{}
		for i, s := range ofEnvelope {
			asin := b.good[i]
			w := b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
			want[asin] = l.wants(t, b, w)
			b.keepa.Wrap(l.kind, asin, 1, s.edit)
			b.Survives(t, w, l.look, l.lane)
		}
		b.start(t, l.run, map[string]string{"PEEKER_BATCH": "1", "COMMITTER_SELLERS": "false"})
		for _, v := range b.AwaitVerdicts(t, len(want)) {
			if n := b.keepa.Paid(l.kind, v.ASIN); v.Outcome != want[v.ASIN].Outcome || n != 1 {
				t.Errorf("%s %s: %s (%s) after %d payments", l.kind, v.ASIN, v.Outcome, v.Reason, n)
			}
		}
		b.balance(t)
	}
}

func TestEveryShapeOfASellerLeavesTheDeal(t *testing.T) {
	t.Parallel()
	b := newBench(t, speed)
	b.Grant(t, pipeline.StageCommitter, credit)
	seller, shapeOf := map[string]string{}, map[string]shape{}
	for _, asin := range b.good {
		w := b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
		id := decide.SellerWanted(b.judge, w, b.Product(t, asin, true), nil, b.Env.Now())
		if id == "" || seller[id] != "" || len(shapeOf) == len(ofSeller) {
			continue
		}
		s := ofSeller[len(shapeOf)]
		seller[id], shapeOf[asin] = asin, s
		b.keepa.Edit(odd.Seller, id, s.edit)
		b.Survives(t, w, pipeline.LookPeek, "a")
	}
	b.start(t, committer.Run, nil)
	for _, v := range b.AwaitVerdicts(t, len(shapeOf)) {
		if v.Outcome != pipeline.Accept {
			t.Errorf("%s: %s (%s), want accept", shapeOf[v.ASIN].name, v.Outcome, v.Reason)
		}
	}
	letters := 0
	for id, asin := range seller {
		n := b.keepa.Paid(odd.Seller, id)
		if n > 1 {
			t.Errorf("%s: the seller was paid for %d times", shapeOf[asin].name, n)
		}
		if n > 0 && shapeOf[asin].want == dead { // a seller that Keepa does not know costs nothing and has no shape
			letters++
		}
	}
	if letters == 0 {
		t.Error("no seller was unreadable")
	}
	desk.Await(t, "the letters of sellers", func() bool { return len(rowLetters(t, b)) == letters })
	for _, d := range rowLetters(t, b) {
		if d.Reason != "seller_unreadable" || !strings.Contains(d.Error.String(), "call ") {
			t.Errorf("letter %s: %s", d.Reason, d.Error)
		}
	}
	b.balance(t)
	t.Logf("seller           %3d of %d shapes, %d letters", len(shapeOf), len(ofSeller), letters)
}

// cutAfter cuts a body after the n-th product.
func cutAfter(n int) odd.Edit {
	return func(good []byte) []byte {
		var m map[string]json.RawMessage
		var products []json.RawMessage
		if json.Unmarshal(good, &m) != nil || json.Unmarshal(m["products"], &products) != nil {
			return good
		}
		delete(m, "products")
		head := bytes.TrimSuffix(odd.Object(m), []byte("}"))
		return append(append(head, `,"products":`...), bytes.TrimSuffix(odd.Array(plain(products)[:n]), []byte("]"))...)
	}
}

func TestWhatCameOfACutAnswerIsDecidedAndOnlyTheRestIsBoughtAgain(t *testing.T) {
	t.Parallel()
	b := newBench(t, speed)
	b.Grant(t, pipeline.StagePeeker, credit)
	asins := b.rest[:40]
	for _, asin := range asins {
		b.Survives(t, b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookGlance, "live")
	}
	b.keepa.Wrap(odd.Peek, asins[0], 1, cutAfter(30))
	b.start(t, peeker.Run, map[string]string{"PEEKER_BATCH": "40", "PEEKER_SHED": "false"})
	b.AwaitVerdicts(t, 40)
	once, twice := 0, 0
	for _, asin := range asins {
		switch b.keepa.Paid(odd.Peek, asin) {
		case 1:
			once++
		case 2:
			twice++
		}
	}
	if once != 30 || twice != 10 {
		t.Errorf("%d were paid for once and %d twice, want 30 and 10", once, twice)
	}
	b.balance(t)
}

func TestWorkWhoseAnswersNeverComeWholeIsPaidForThreeTimesAcrossRestartsAndThenFails(t *testing.T) {
	if testing.Short() {
		t.Skip("buys many answers")
	}
	t.Parallel()
	for _, l := range []look{aPeek, aCommit} {
		b := newBench(t, speed)
		b.Grant(t, l.stage, credit)
		asin, good := b.good[0], b.good[1]
		b.keepa.Wrap(l.kind, asin, 100, cutAfter(0))
		w := b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
		b.Survives(t, w, l.look, l.lane)
		settings := map[string]string{"PEEKER_BATCH": "1", "COMMITTER_SELLERS": "false"}
		stop := b.start(t, l.run, settings)
		desk.Await(t, "a payment", func() bool { return b.keepa.Paid(l.kind, asin) >= 1 })
		stop()
		b.start(t, l.run, settings)
		b.start(t, l.run, settings) // two of them
		b.Survives(t, b.Work(t, good, pipeline.SourceLive, pipeline.FirstGeneration), l.look, l.lane)
		for _, v := range b.AwaitVerdicts(t, 2) {
			if v.ASIN == asin && (v.Outcome != pipeline.Fail || v.Reason != decide.ReasonNoAnswer) {
				t.Errorf("%s: %s (%s), want fail (%s)", l.kind, v.Outcome, v.Reason, decide.ReasonNoAnswer)
			}
		}
		if n := b.keepa.Paid(l.kind, asin); n != pipeline.MaxPaid {
			t.Errorf("%s: paid %d times, want %d", l.kind, n, pipeline.MaxPaid)
		}
		desk.Await(t, "its letter", func() bool { return len(b.letters(t)[asin]) == 1 })
		b.balance(t)
	}
}

func TestACallThatCostNothingNeverCounts(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for backoffs")
	}
	t.Parallel()
	b := newBench(t, httpSpeed)
	b.spend()
	b.start(t, tokend.Run, nil)
	asin := b.good[0]
	b.keepa.Reply(odd.Commit, asin, 6, odd.Reply{Write: says(503, "text/plain", "")})
	b.Survives(t, b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookPeek, "a")
	b.start(t, committer.Run, map[string]string{"COMMITTER_SELLERS": "false"})
	if v := b.AwaitVerdicts(t, 1)[0]; v.Outcome != pipeline.Accept {
		t.Errorf("%s (%s), want accept", v.Outcome, v.Reason)
	}
	if n := b.keepa.Paid(odd.Commit, asin); n != 1 {
		t.Errorf("paid %d times, want once", n)
	}
}

// waiting is what a daemon's heartbeat says of work that came back.
func waiting(t *testing.T, b *bench, name string) string {
	t.Helper()
	out := ""
	for _, raw := range b.Bus.AskAll(t.Context(), []string{name}, time.Second) {
		var h pipeline.Heartbeat
		if json.Unmarshal(raw, &h) == nil {
			out += fmt.Sprint(h.Detail["waiting"], h.Counters["again_part"])
		}
	}
	return out
}

func TestWhyWorkComesBackIsInTheHeartbeat(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for backoffs")
	}
	t.Parallel()
	b := newBench(t, 10) // it comes back after three seconds or more
	b.Grant(t, pipeline.StagePeeker, credit)
	b.keepa.Wrap(odd.Peek, b.good[0], 1, cutAfter(0))
	b.Survives(t, b.Work(t, b.good[0], pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookGlance, "live")
	b.start(t, peeker.Run, nil)
	desk.Await(t, "the reason", func() bool { return strings.Contains(waiting(t, b, "peeker"), "map[the answer was incomplete:1] 1") })
	b.AwaitVerdicts(t, 1)
	desk.Await(t, "that it waits no more", func() bool { return strings.Contains(waiting(t, b, "peeker"), "map[] 1") })
}
