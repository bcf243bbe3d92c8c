package responses_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/store/responses"
	"ratchet/test/streams"
)

var now = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func open(t *testing.T) *bus.Bus {
	t.Helper()
	_, b := streams.Open(t)
	return b
}

// answer is one that a call brought for a work, so long ago.
func answer(call, key, work string, age time.Duration) responses.Answer {
	return responses.Answer{
		Domain: 1, Kind: pipeline.KindPeek, Key: key, Body: []byte(`{"call":"` + call + `"}`), RequestID: call, WorkID: work,
		Request: "/product?asin=" + key, Cost: 1, AnsweredAt: now.Add(-age),
	}
}

// put stores answers one after the other.
// put stores answers one after the other: they are of different calls.
func put(t *testing.T, b *bus.Bus, all ...responses.Answer) []responses.Answer {
	t.Helper()
	var out []responses.Answer
	for _, a := range all {
		stored, err := responses.Put(t.Context(), b, []responses.Answer{a})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, stored...)
	}
	return out
}

func TestTheAnswersOfACallAreStoredWithTheirOwnIDs(t *testing.T) {
	t.Parallel()
	b := open(t)
	var all []responses.Answer
	for n := range 100 {
		all = append(all, answer("c1", fmt.Sprintf("B%09d", n), "", time.Hour))
	}
	for range 2 { // a repeat is the same
		stored, err := responses.Put(t.Context(), b, all)
		if err != nil {
			t.Fatal(err)
		}
		for n, a := range stored {
			if read, err := responses.Load(t.Context(), b, a.ID); err != nil || read == nil || read.Request != all[n].Request {
				t.Fatalf("answer %d is %+v under its id, %v; want that to %s", n, read, err, all[n].Request)
			}
		}
	}
}

func TestAnAnswerServesItsOwnWorkAtAnyAgeAndOtherWorkWhileItIsYoung(t *testing.T) {
	t.Parallel()
	b := open(t)
	put(t, b,
		answer("c1", "B000000001", "mine", 90*24*time.Hour), answer("c2", "B000000001", "other", 50*time.Minute),
		answer("c3", "B000000002", "", 50*time.Minute),    // it belongs to no work
		answer("c7", "B000000005", "ahead", -3*time.Hour), // the clock was set back since
		answer("c4", "B000000003", "older", 3*time.Hour), answer("c5", "B000000003", "older", 2*time.Hour), answer("c6", "B000000003", "other", time.Hour))
	want := func(key, work, also string, limit time.Duration) responses.Want {
		return responses.Want{Key: key, WorkID: work, Also: also, Limit: limit}
	}
	for _, c := range []struct {
		name string
		want responses.Want
		call string // "" where a call must be made
	}{
		{"a young one of other work", want("B000000001", "new", "", time.Hour), "c2"},
		{"an old one of other work", want("B000000001", "new", "", 50*time.Minute), ""},
		{"its own, behind a newer one of other work", want("B000000001", "mine", "", 0), "c1"},
		{"that of the work that it stands for", want("B000000001", "again", "mine", 0), "c1"},
		{"its own, the newest", want("B000000001", "other", "", 0), "c2"},
		{"one without a work belongs to no work", want("B000000002", "", "", 0), ""},
		{"of two of its own the later", want("B000000003", "older", "", 0), "c5"},
		{"one of other work from after now, for work that wants a new one", want("B000000005", "new", "", 0), ""},
		{"one of other work from long after now", want("B000000005", "new", "", time.Hour), ""},
		{"another ASIN", want("B000000004", "mine", "", time.Hour), ""},
	} {
		got, err := responses.Serving(t.Context(), b, 1, pipeline.KindPeek, []responses.Want{c.want}, now)
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %v, %v", c.name, got, err)
		}
		switch {
		case got[0] == nil && c.call != "":
			t.Errorf("%s: none serves, want that of %s", c.name, c.call)
		case got[0] != nil && (got[0].RequestID != c.call || got[0].Key != c.want.Key || !bytes.Contains(got[0].Body, []byte(c.call))):
			t.Errorf("%s: %+v serves, want that of %q", c.name, got[0], c.call)
		}
	}
	several := []responses.Want{want("B000000001", "mine", "", 0), want("B000000003", "mine", "", 0)}
	if got, err := responses.Serving(t.Context(), b, 1, pipeline.KindPeek, several, now); err != nil || got[0] == nil || got[0].Key != "B000000001" || got[1] != nil {
		t.Errorf("of two wants of one work, which bought the first: %+v, %v", got, err)
	}
	if got, err := responses.Serving(t.Context(), b, 2, pipeline.KindPeek, []responses.Want{want("B000000001", "mine", "", time.Hour)}, now); err != nil || got[0] != nil {
		t.Errorf("an answer of another domain serves: %+v, %v", got[0], err)
	}
	if got, err := responses.Serving(t.Context(), b, 1, pipeline.KindCommit, []responses.Want{want("B000000001", "mine", "", time.Hour)}, now); err != nil || got[0] != nil {
		t.Errorf("a peek serves a commit: %+v, %v", got[0], err)
	}
}

func TestAnAnswerCostsTheWorkThatPaidForItAndNoOther(t *testing.T) {
	t.Parallel()
	a := answer("c", "B000000001", "mine", 0)
	if a.CostTo("mine") != 1 || a.CostTo("other") != 0 {
		t.Errorf("it cost its work %d and another %d", a.CostTo("mine"), a.CostTo("other"))
	}
}

func TestAnAnswerIsStoredOnceHoweverOftenItIsPut(t *testing.T) {
	t.Parallel()
	b := open(t)
	a := answer("c1", "B000000001", "w", time.Minute)
	a.Position = 3
	first, again := put(t, b, a), put(t, b, a)
	if n, err := b.Held(t.Context(), pipeline.StreamResponses); n != 1 || err != nil || first[0].ID != again[0].ID {
		t.Errorf("%d are stored (%v), as %s and %s", n, err, first[0].ID, again[0].ID)
	}
	got, err := responses.Load(t.Context(), b, first[0].ID)
	if err != nil || got == nil {
		t.Fatal(got, err)
	}
	if !bytes.Equal(got.Body, a.Body) || got.Cost != 1 || got.Position != 3 || got.WorkID != "w" || got.Request != a.Request || !got.AnsweredAt.Equal(a.AnsweredAt) {
		t.Errorf("got %+v, want %+v", got, a)
	}
	if got, err := responses.Load(t.Context(), b, "99"); got != nil || err != nil {
		t.Errorf("one that is not stored: %+v, %v", got, err)
	}
	if _, err := responses.Load(t.Context(), b, "call.7"); err == nil {
		t.Error("a call's id passes for a sequence")
	}
}

func TestPagesBeyondASequenceComeInTheirOrder(t *testing.T) {
	t.Parallel()
	b := open(t)
	page := func(call, key string) responses.Answer {
		a := answer(call, key, "", time.Minute)
		a.Kind = pipeline.KindDeals
		return a
	}
	put(t, b, page("c1", "q-0"))
	since, err := b.Last(t.Context(), pipeline.StreamResponses)
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, page("c2", "q-1"), answer("c3", "B000000001", "w", 0), page("c4", "r-0"), page("c5", "q-0"))
	var got []string
	err = responses.EachAfter(t.Context(), b, 1, pipeline.KindDeals, since, func(a responses.Answer) error {
		got = append(got, a.RequestID+"="+a.Key)
		return nil
	})
	if want := []string{"c2=q-1", "c4=r-0", "c5=q-0"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v (%v), want %v", got, err, want)
	}
}

// damaged stores a message that cannot be decompressed in place of an answer.
func damaged(t *testing.T, b *bus.Bus, a responses.Answer) {
	t.Helper()
	m := bus.Message{
		Subject: pipeline.SubjectResponse(a.Domain, a.Kind, a.Key), Schema: pipeline.SchemaResponse, ID: "damaged:" + a.Key, WorkID: a.WorkID,
		Body: []byte("not zstd"), Header: map[string]string{pipeline.HeaderAnsweredAt: a.AnsweredAt.Format(pipeline.TimeFormat)},
	}
	if _, err := b.Publish(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func TestAnAnswerThatCannotBeReadIsLeftOutAndTheOthersServe(t *testing.T) {
	t.Parallel()
	b := open(t)
	var log bytes.Buffer
	b.Log = slog.New(slog.NewTextHandler(&log, nil))
	put(t, b, answer("c1", "B000000001", "w1", time.Minute))
	damaged(t, b, answer("c2", "B000000002", "w2", time.Minute))
	damaged(t, b, answer("c3", "B000000003", "w3", time.Minute)) // and newer than it, of other work:
	put(t, b, answer("c4", "B000000003", "other", time.Hour))
	var wants []responses.Want
	for n := range 3 {
		wants = append(wants, responses.Want{Key: fmt.Sprintf("B%09d", n+1), WorkID: fmt.Sprintf("w%d", n+1)})
	}
	got, err := responses.Serving(t.Context(), b, 1, pipeline.KindPeek, wants, now)
	if err != nil {
		t.Fatal(err)
	}
	if got[0] == nil || got[0].RequestID != "c1" || got[1] != nil || got[2] != nil {
		t.Errorf("served by %+v, want only the first", got)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 2 {
		t.Errorf("%d warnings, want one for each:\n%s", n, log.String())
	}
	var keys []string
	err = responses.EachAfter(t.Context(), b, 1, pipeline.KindPeek, 0, func(a responses.Answer) error {
		keys = append(keys, a.Key)
		return nil
	})
	if want := []string{"B000000001", "B000000003"}; err != nil || !slices.Equal(keys, want) {
		t.Errorf("read %v (%v), want %v", keys, err, want)
	}
}

func TestOneWorkerOrdersAnAnswerUntilItIsWithdrawnOrItsLifeEnds(t *testing.T) {
	t.Parallel()
	b := open(t)
	living, die := context.WithCancel(t.Context())
	order := func(life time.Duration, keys ...string) ([]bool, func()) {
		t.Helper()
		mine, done, err := responses.Order(living, b, 1, pipeline.KindPeek, keys, life)
		if err != nil {
			t.Fatal(err)
		}
		return mine, done
	}
	mine, done := order(time.Hour, "B000000001", "B000000002")
	if !slices.Equal(mine, []bool{true, true}) {
		t.Fatalf("the first gets %v", mine)
	}
	theirs, theirsDone := order(time.Hour, "B000000002", "B000000003")
	if !slices.Equal(theirs, []bool{false, true}) {
		t.Errorf("the second gets %v", theirs)
	}
	for range 2 { // a caller that gets nothing withdraws nothing
		third, thirdDone := order(time.Hour, "B000000002")
		if thirdDone(); third[0] {
			t.Error("an order of another worker was withdrawn")
		}
	}
	done()
	if again, _ := order(time.Second, "B000000001", "B000000003"); !slices.Equal(again, []bool{true, false}) {
		t.Errorf("after the first withdrew: %v", again)
	}
	theirsDone() // it withdraws its own and no other
	if again, _ := order(time.Second, "B000000002", "B000000003"); !slices.Equal(again, []bool{true, true}) {
		t.Errorf("after both withdrew: %v", again)
	}
	die()
	living = t.Context()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if again, _ := order(time.Second, "B000000001"); again[0] {
			break
		}
		if time.Now().After(end) {
			t.Fatal("an order outlives its life")
		}
	}
}

func TestManyOrdersArePlacedAndWithdrawnLikeFew(t *testing.T) {
	t.Parallel()
	b := open(t)
	living, die := context.WithCancel(t.Context())
	order := func(ctx context.Context, from, to int, life time.Duration) (mine int, done func()) {
		t.Helper()
		var keys []string
		for i := from; i < to; i++ {
			keys = append(keys, fmt.Sprintf("B%09d", i))
		}
		all, done, err := responses.Order(ctx, b, 1, pipeline.KindPeek, keys, life)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if m {
				mine++
			}
		}
		return mine, done
	}
	const many = 3 * bus.BatchLeast
	first, done := order(t.Context(), 0, many, time.Hour)
	second, _ := order(t.Context(), many-4, 2*many, time.Hour)
	if first != many || second != many {
		t.Errorf("the first gets %d of %d, the second, which wants four of these, %d of %d", first, many, second, many+4)
	}
	done()
	if n, done := order(t.Context(), 0, many, time.Hour); n != many {
		t.Errorf("after the first withdrew, another gets %d of %d", n, many)
	} else {
		done()
	}
	order(living, 2*many, 3*many, time.Second)
	die()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		n, done := order(t.Context(), 2*many, 3*many, time.Second)
		if done(); n == many {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("of a dead worker's %d orders %d have ended", many, n)
		}
	}
}

// TestAnOrderLivesAsLongAsItsWorkerWorks has one worker take one and a half lives of its order to store what it bought,
// and then one that stops in the middle and resumes when another has ordered.
func TestAnOrderLivesAsLongAsItsWorkerWorks(t *testing.T) {
	t.Parallel()
	b := open(t)
	order := func(ctx context.Context) (bool, func()) {
		t.Helper()
		mine, done, err := responses.Order(ctx, b, 1, pipeline.KindPeek, []string{"B000000001"}, 4*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		return mine[0], done
	}
	mine, done := order(t.Context())
	if !mine {
		t.Fatal("the first gets no order")
	}
	for end := time.Now().Add(6 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if again, _ := order(t.Context()); again {
			t.Fatal("another worker got the order of one that is still at work")
		}
	}
	done()
	stopped, stop := context.WithCancel(t.Context())
	mine, done = order(stopped)
	if stop(); !mine {
		t.Fatal("the order was not withdrawn")
	}
	late := time.Now().Add(time.Minute)
	for theirs := false; !theirs; time.Sleep(20 * time.Millisecond) {
		if theirs, _ = order(t.Context()); time.Now().After(late) {
			t.Fatal("the order of a worker that stopped does not expire")
		}
	}
	done()
	if third, _ := order(t.Context()); third {
		t.Error("a worker whose order had expired withdrew the next one's")
	}
}

func TestTheCallsForAWorkCountAcrossRestartsByTheLedger(t *testing.T) {
	t.Parallel()
	b := open(t)
	begin := func(claim string, works ...string) {
		t.Helper()
		if err := responses.RecordAttempts(t.Context(), b, 1, pipeline.KindPeek, works, claim); err != nil {
			t.Fatal(err)
		}
	}
	line := func(e pipeline.Entry) {
		t.Helper()
		e.Stage = pipeline.StagePeeker
		m, err := bus.Encode(pipeline.SubjectLedger(e.Stage, e.Event), pipeline.SchemaLedger, fmt.Sprint(e.Event, e.Claim, e.At), "", e)
		if err == nil {
			_, err = b.Publish(t.Context(), m)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tallies := func() map[string]token.Attempts {
		t.Helper()
		out, err := responses.Outcomes(t.Context(), b, 1, pipeline.KindPeek, []string{"w1", "w2", "w3", "none"})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := tallies(); len(got) != 0 {
		t.Errorf("before the first call: %+v", got)
	}
	begin("c1", "w1")
	begin("c1", "w1") // a repeat is one call
	line(pipeline.Entry{Event: pipeline.EventClose, Claim: "c1", Tokens: 1})
	begin("c2", "w1", "w2")
	line(pipeline.Entry{Event: pipeline.EventClose, Claim: "c2", Tokens: 0, Note: "failed: server"})
	begin("c3", "w2")
	line(pipeline.Entry{Event: pipeline.EventClose, Claim: "c3", Note: token.NoteUnknown + ": timeout"})
	got := tallies()
	if want := (token.Attempts{Calls: 2, Paid: 1, Answered: 1}); got["w1"] != want {
		t.Errorf("w1: %+v, want %+v", got["w1"], want)
	}
	if want := (token.Attempts{Calls: 2, Doubtful: 1}); got["w2"] != want {
		t.Errorf("w2: %+v, want %+v", got["w2"], want)
	}
	if _, there := got["none"]; there || len(got) != 2 {
		t.Errorf("got %v", got)
	}
	// tokend closes its books: a drift explains the call that timed out, first in the balance alone.
	kv, err := b.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	drift := `{"entry":{"event":"drift","tokens":1,"at":"` + at + `"}}`
	for _, c := range []struct {
		lines string
		want  token.Attempts
	}{{drift, token.Attempts{Calls: 2, Paid: 1}}, {"", token.Attempts{Calls: 2}}} {
		if _, err := kv.Put(t.Context(), pipeline.KeyBalance, []byte(`{"books":{"closed":"`+at+`","lines":[`+c.lines+`]}}`)); err != nil {
			t.Fatal(err)
		}
		if got := tallies(); got["w2"] != c.want {
			t.Errorf("after the books were closed with %q: %+v, want %+v", c.lines, got["w2"], c.want)
		}
	}
	// and then in the ledger, which keeps it
	line(pipeline.Entry{Event: pipeline.EventDrift, Tokens: 1, At: time.Now().Add(time.Minute)})
	if got, want := tallies(), (token.Attempts{Calls: 2, Paid: 1}); got["w2"] != want {
		t.Errorf("with a drift in the ledger: %+v, want %+v", got["w2"], want)
	}
	if other, err := responses.Outcomes(t.Context(), b, 1, pipeline.KindCommit, []string{"w1"}); err != nil || len(other) != 0 {
		t.Errorf("the commit of the same work: %+v, %v", other, err)
	}
}

func TestTheAnswersToACallOrAWorkAreFoundCompleteOrAsElements(t *testing.T) {
	t.Parallel()
	b := open(t)
	large := make([]byte, 9<<20) // random bytes do not pack: two messages
	rnd := rand.NewChaCha8([32]byte{1})
	if _, err := rnd.Read(large); err != nil {
		t.Fatal(err)
	}
	if err := responses.RecordAttempts(t.Context(), b, 1, pipeline.KindPeek, []string{"w1"}, "h.c1"); err != nil {
		t.Fatal(err)
	}
	odd := answer("h.c1", "", "", 0)
	odd.Body = large
	if err := responses.PutWhole(t.Context(), b, odd); err != nil {
		t.Fatal(err)
	}
	put(t, b, answer("h.c2", "B000000001", "w2", 0), answer("h.c2", "B000000002", "w3", 0), answer("h.c3", "B000000003", "w4", 0))
	for id, want := range map[string]int{"w1": 1, "h.c1": 1, "h.c2": 2, "h.c9": 0} {
		got, err := responses.AnswersTo(t.Context(), b, id)
		if err != nil || len(got) != want {
			t.Errorf("%s: %d answers (%v), want %d", id, len(got), err, want)
		}
		if want == 1 && len(got) == 1 && !bytes.Equal(got[0].Body, large) {
			t.Errorf("%s: %d bytes came back, and not those that were stored", id, len(got[0].Body))
		}
	}
}

func TestABodyThatNoMessageHoldsCostsItselfAlone(t *testing.T) {
	t.Parallel()
	large := make([]byte, 9<<20)
	rnd := rand.NewChaCha8([32]byte{2})
	if _, err := rnd.Read(large); err != nil {
		t.Fatal(err)
	}
	if fit, fits := responses.Fit(large); fits || len(fit) > 100 {
		t.Errorf("%d bytes that do not pack fit: %t", len(large), fits)
	}
	if _, fits := responses.Fit(make([]byte, 9<<20)); !fits {
		t.Error("what packs well does not fit")
	}
	if fit, fits := responses.Fit([]byte("{}")); !fits || string(fit) != "{}" {
		t.Errorf("%q, fits %t", fit, fits)
	}
}
