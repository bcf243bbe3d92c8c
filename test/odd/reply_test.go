package odd_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/spend/gateway"
	"ratchet/pipeline/tokend"
	"ratchet/pipeline/watermarker"
	"ratchet/test/desk"
	"ratchet/test/odd"
)

const (
	// httpSpeed makes a call's longest time, 75 s, a second and a quarter.
	httpSpeed = 60
	forever   = 1 << 30
	// soon is within what a verdict, a dead letter or a named wait must be there.
	soon = 10 * time.Minute
	// aDesk is how many answers come one after the other on a desk.
	aDesk = 4
	// spare is what is spent before anything: five of the bucket's six parts.
	spare = 250_000
)

// gate bounds how many desks wait at the same time.
var gate = make(chan struct{}, 4)

// longest keeps the longest time of pipeline time that something took, and what it was.
type longest struct {
	mu   sync.Mutex
	took time.Duration
	what string
}

func (l *longest) saw(took time.Duration, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if took > l.took {
		l.took, l.what = took, what
	}
}

// within fails where something took longer than it may, and keeps the longest.
func (l *longest) within(t *testing.T, b *bench, since time.Time, what string) {
	t.Helper()
	took := b.Env.Now().Sub(since)
	if l.saw(took, what); took > soon {
		t.Errorf("%s took %s of pipeline time, want at most %s", what, took.Round(time.Second), soon)
	}
}

// inPart says that some answers stand for all: the whole table takes a quarter of an hour (make odd).
func inPart() bool { return os.Getenv("RATCHET_ODD") != "all" }

// inShort are the answers that stand for all.
var inShort = map[string]bool{"200 with HTML": true, "503 with text": true, "gzip with turned bytes": true}

// replies runs a case for every answer, some of them on a desk.
func replies(t *testing.T, has func(answer) bool, some func(*testing.T, *longest, []answer)) {
	t.Helper()
	if testing.Short() {
		t.Skip("waits for backoffs")
	}
	t.Parallel()
	l := &longest{}
	t.Run("some", func(t *testing.T) {
		for part := range slices.Chunk(slices.DeleteFunc(slices.Clone(ofHTTP), func(a answer) bool { return !has(a) || inPart() && !inShort[a.name] }), aDesk) {
			t.Run(part[0].name, func(t *testing.T) {
				t.Parallel()
				gate <- struct{}{}
				defer func() { <-gate }()
				some(t, l, part)
			})
		}
	})
	t.Logf("the longest: %s of pipeline time, %s", l.took.Round(time.Second), l.what)
}

func isFree(a answer) bool    { return a.free }
func isCharged(a answer) bool { return a.charged && a.word != gateway.Timeout } // those are apart

// patient is how long a call may take, 75 s of pipeline time.
var patient = map[string]string{"KEEPA_TIMEOUT": "1250ms", "PEEKER_BATCH": "1", "PEEKER_SHED": "false", "COMMITTER_SELLERS": "false"}

// spend leaves a sixth of the bucket: at a full one the next refill hides what was spent.
func (b *bench) spend() { b.Sim.Spend(spare) }

// open is a bench with a tokend, which finds out what a call cost that did not say so, and the verdicts that work gets
// where Keepa answers well.
func (l look) open(t *testing.T) (*bench, map[string]pipeline.Verdict) {
	t.Helper()
	return l.openAt(t, httpSpeed)
}

func (l look) openAt(t *testing.T, speed float64) (*bench, map[string]pipeline.Verdict) {
	t.Helper()
	b := newBench(t, speed)
	want := map[string]pipeline.Verdict{}
	for _, asin := range slices.Concat(b.good[:2*aDesk], b.rest[:2*aDesk]) { // somebody else's spending, before the books begin
		want[asin] = l.wants(t, b, b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration))
	}
	b.spend()
	b.start(t, tokend.Run, nil)
	return b, want
}

// offer is work for a look.
func (l look) offer(t *testing.T, b *bench, asins ...string) {
	t.Helper()
	for _, asin := range asins {
		b.Survives(t, b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), l.look, l.lane)
	}
}

// decided waits for the verdicts on these and returns them in their order.
func (b *bench) decided(t *testing.T, asins ...string) []desk.Verdict {
	t.Helper()
	out := make([]desk.Verdict, len(asins))
	desk.Await(t, "verdicts", func() bool {
		n := 0
		for _, v := range b.Verdicts(t) {
			if i := slices.Index(asins, v.ASIN); i >= 0 && v.Look != pipeline.LookGlance {
				out[i] = v
				n++
			}
		}
		return n >= len(asins)
	})
	return out
}

// status is what people read of the pipeline.
func (b *bench) status(t *testing.T) string {
	t.Helper()
	s, err := cli.ReadStatus(t.Context(), b.Bus)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := s.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// named waits until people can read why work waits.
func (b *bench) named(t *testing.T, a answer, before string) {
	t.Helper()
	last := ""
	over := time.After(30 * time.Second)
	for {
		if last = b.status(t); a.told(last, before) {
			return
		}
		select {
		case <-over:
			t.Fatalf("%q is reported nowhere:\n%s", a.word, last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// good fails where a verdict is not the one that good answers make, after so many payments.
func (l look) good(t *testing.T, b *bench, a answer, v desk.Verdict, want pipeline.Verdict, paid int) {
	t.Helper()
	if n := b.keepa.Paid(l.kind, v.ASIN); v.Outcome != want.Outcome || v.Reason != want.Reason || n != paid {
		t.Errorf("%s: %s: %s (%s) after %d payments, want %s (%s) after %d", a.name, v.ASIN, v.Outcome, v.Reason, n, want.Outcome, want.Reason, paid)
	}
}

// explained holds the books against each other: what the odd Keepa charged is on closes or was found as drift, every
// call that it saw was begun on RESPONSES, and what it answered for tokens is stored.
func (b *bench) explained(t *testing.T) {
	t.Helper()
	var unlike []string
	for over := time.Now().Add(time.Minute); time.Now().Before(over); <-time.After(20 * time.Millisecond) {
		if unlike = b.unlike(t); len(unlike) == 0 {
			return
		}
	}
	t.Errorf("the books differ: %s", strings.Join(unlike, "; "))
}

// unlike is where the books differ; while a call is under way, they may.
func (b *bench) unlike(t *testing.T) []string {
	t.Helper()
	var out []string
	if cost, spent := b.keepa.Tokens(), b.booked(t); cost != spent {
		out = append(out, fmt.Sprintf("the ledger says %d tokens, Keepa %d", spent, cost))
	}
	begun, made := map[string]int{}, map[string]int{}
	err := b.Bus.Scan(t.Context(), pipeline.StreamResponses, bus.From{Subjects: []string{"response.*.attempt.>"}, Headers: true}, func(r bus.Read) error {
		begun[r.Header.Get(pipeline.HeaderKind)]++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range b.keepa.Calls() {
		if kind, paid := kindOf[c.Kind()]; paid {
			made[kind] += len(c.Keys)
		}
	}
	for kind, n := range made {
		if begun[kind] != n {
			out = append(out, fmt.Sprintf("%d calls for a %s were begun, Keepa saw %d", begun[kind], kind, n))
		}
	}
	return out
}

// kindOf is the kind of an answer by that of the call; of sellers one call asks for one.
var kindOf = map[string]string{
	odd.Row: string(pipeline.KindDeals), odd.Peek: string(pipeline.KindPeek), odd.Commit: string(pipeline.KindCommit), odd.Seller: string(pipeline.KindSeller),
}

// booked are the tokens on closes and the drift.
func (b *bench) booked(t *testing.T) (sum int) {
	t.Helper()
	from := bus.From{Subjects: []string{"ledger.*.close", "ledger.*.drift"}}
	err := bus.ScanJSON(t.Context(), b.Bus, pipeline.StreamLedger, from, func(_ bus.Read, e pipeline.Entry) error {
		sum += e.Tokens
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// wholes is how many answers are stored whole.
func (b *bench) wholes(t *testing.T) (n int) {
	t.Helper()
	err := b.Bus.Scan(t.Context(), pipeline.StreamResponses, bus.From{Subjects: []string{"response.*.whole.>"}, Headers: true}, func(bus.Read) error { n++; return nil })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// free looks at work whose calls get an answer that is not Keepa's, for nothing, until somebody lifts it.
func (l look) free(t *testing.T, long *longest, all []answer) {
	t.Helper()
	b, want := l.open(t)
	b.start(t, l.run, patient)
	for i, a := range all {
		asin, beside := b.good[i], b.rest[2*i:2*i+2]
		b.keepa.Reply(l.kind, asin, forever, a.reply(false))
		since := b.Env.Now()
		l.offer(t, b, asin)
		b.named(t, a, "the call failed: ")
		long.within(t, b, since, l.kind+" of "+a.name+" until it is named")
		since = b.Env.Now()
		l.offer(t, b, beside...)
		for _, v := range b.decided(t, beside...) {
			l.good(t, b, a, v, want[v.ASIN], 1)
		}
		long.within(t, b, since, l.kind+" beside "+a.name+" until the others are decided")
		b.keepa.Reply(l.kind, asin, 0, odd.Reply{})
		since = b.Env.Now()
		l.good(t, b, a, b.decided(t, asin)[0], want[asin], 1)
		long.within(t, b, since, l.kind+" after "+a.name+" until it is decided")
	}
	b.explained(t)
	if n := len(b.letters(t)); n > 0 {
		t.Errorf("%d dead letters", n)
	}
}

// charged looks at work whose answers are lost on their way every time, and at some that loses one, beside others.
func (l look) charged(t *testing.T, long *longest, all []answer) {
	t.Helper()
	l.chargedAt(t, long, all, httpSpeed)
}

func (l look) chargedAt(t *testing.T, long *longest, all []answer, speed float64) {
	t.Helper()
	b, want := l.openAt(t, speed)
	settings := maps.Clone(patient)
	settings["KEEPA_TIMEOUT"] = time.Duration(75 * float64(time.Second) / speed).String()
	b.start(t, l.run, settings)
	for i, a := range all {
		always, once, beside := b.good[i], b.good[aDesk+i], b.rest[i]
		b.keepa.Reply(l.kind, always, forever, a.reply(true))
		b.keepa.Reply(l.kind, once, 1, a.reply(true))
		stored, since := b.wholes(t), b.Env.Now()
		l.offer(t, b, always, beside)
		vs := b.decided(t, always, beside)
		l.good(t, b, a, vs[0], pipeline.Verdict{Outcome: pipeline.Fail, Reason: decide.ReasonNoAnswer}, pipeline.MaxPaid)
		l.good(t, b, a, vs[1], want[beside], 1)
		desk.Await(t, "its letter", func() bool { return len(b.letters(t)[always]) == 1 })
		long.within(t, b, since, l.kind+" charged for "+a.name+" until its letter")
		l.offer(t, b, once)
		l.good(t, b, a, b.decided(t, once)[0], want[once], 2)
		if n := b.wholes(t) - stored; a.bytes && n != pipeline.MaxPaid+1 {
			t.Errorf("%s: %d answers are stored whole, want %d", a.name, n, pipeline.MaxPaid+1)
		}
	}
	b.explained(t)
}

func TestAPeekThatIsAnsweredByAStrangerForNothingWaitsByNameAndIsDecidedAfterIt(t *testing.T) {
	replies(t, isFree, aPeek.free)
}

func TestACommitThatIsAnsweredByAStrangerForNothingWaitsByNameAndIsDecidedAfterIt(t *testing.T) {
	replies(t, isFree, aCommit.free)
}

func TestAPeekWhoseAnswersAreLostIsPaidForThreeTimes(t *testing.T) {
	replies(t, isCharged, aPeek.charged)
}

func TestACommitWhoseAnswersAreLostIsPaidForThreeTimes(t *testing.T) {
	replies(t, isCharged, aCommit.charged)
}

// TestACallThatHangsIsPaidForThreeTimes takes three times the longest that a call may last, with the waits between
// them: pipeline time runs slower than elsewhere, so that a busy machine adds little to what is measured.
func TestACallThatHangsIsPaidForThreeTimes(t *testing.T) {
	if inPart() {
		t.Skip("waits for calls that never end")
	}
	t.Parallel()
	long := &longest{}
	t.Run("each", func(t *testing.T) {
		for _, l := range []look{aPeek, aCommit} {
			for _, a := range ofHTTP {
				if a.charged && a.word == gateway.Timeout {
					t.Run(l.kind+" "+a.name, func(t *testing.T) {
						t.Parallel()
						l.chargedAt(t, long, []answer{a}, 20)
					})
				}
			}
		}
	})
	t.Logf("the longest: %s of pipeline time, %s", long.took.Round(time.Second), long.what)
}

func TestAnEndlessBodyIsGivenUpAndPaidForThreeTimes(t *testing.T) {
	if testing.Short() {
		t.Skip("sends half a gigabyte")
	}
	long := &longest{}
	aPeek.free(t, long, []answer{anEndlessOne})
	aCommit.charged(t, long, []answer{anEndlessOne})
	t.Logf("the longest: %s of pipeline time, %s", long.took.Round(time.Second), long.what)
}

// listed is a bench with a reader of a list, and a peeker.
func listed(t *testing.T) *bench {
	t.Helper()
	b, _ := aPeek.open(t)
	b.list(t, b.rest[50])
	b.start(t, watermarker.Run, map[string]string{"KEEPA_TIMEOUT": "1250ms", "WATERMARKER_SHORTEST": "1m", "WATERMARKER_LONGEST": "1m"})
	b.start(t, peeker.Run, patient)
	b.glanced(t, b.rest[50]) // the first read is over before a case changes the list
	return b
}

// glanced waits until the row of a list is looked at.
func (b *bench) glanced(t *testing.T, asin string) {
	t.Helper()
	desk.Await(t, "the row is looked at", func() bool { _, ok := glances(t, b)[asin]; return ok })
}

func TestAListThatIsAnsweredByAStrangerForNothingWaitsByNameAndIsReadAfterIt(t *testing.T) {
	replies(t, isFree, func(t *testing.T, long *longest, all []answer) {
		t.Helper()
		b := listed(t)
		for i, a := range all {
			b.keepa.Reply(odd.Row, "list", forever, a.reply(false))
			b.list(t, b.good[i])
			since := b.Env.Now()
			b.named(t, a, "keepa /deal: ")
			long.within(t, b, since, "a list of "+a.name+" until it is named")
			aPeek.offer(t, b, b.rest[i])
			b.decided(t, b.rest[i])
			b.keepa.Reply(odd.Row, "list", 0, odd.Reply{})
			since = b.Env.Now()
			b.glanced(t, b.good[i])
			long.within(t, b, since, "a list after "+a.name+" until its row is decided")
		}
		b.explained(t)
	})
}

func TestAPageWhoseAnswersAreLostIsPaidForThreeTimesAndTheListIsReadAgain(t *testing.T) {
	replies(t, isCharged, func(t *testing.T, long *longest, all []answer) {
		t.Helper()
		b := listed(t)
		for i, a := range all {
			b.list(t, b.good[i])
			b.keepa.Reply(odd.Row, "list", pipeline.MaxPaid, a.reply(true))
			since := b.Env.Now()
			desk.Await(t, "the letter of the page", func() bool { return len(rowLetters(t, b)) == i+1 })
			long.within(t, b, since, "a page charged for "+a.name+" until its letter")
			if d := rowLetters(t, b)[i]; d.Reason != "no_answer" {
				t.Errorf("%s: the letter says %s: %s", a.name, d.Reason, d.Error)
			}
			b.glanced(t, b.good[i])
			long.within(t, b, since, "a page charged for "+a.name+" until the next read brings its row")
		}
		b.explained(t)
	})
}

func TestASellerWhoseAnswerIsLostLeavesTheDeal(t *testing.T) {
	if testing.Short() {
		t.Skip("buys many deals")
	}
	t.Parallel()
	for _, charged := range []bool{false, true} {
		all := slices.DeleteFunc(slices.Clone(ofHTTP), func(a answer) bool { return charged && !a.charged || !charged && !a.free })
		for part := range slices.Chunk(all, 16) {
			sellersLost(t, part, charged)
		}
	}
}

// sellersLost commits deals whose sellers are answered for by strangers.
func sellersLost(t *testing.T, all []answer, charged bool) {
	t.Helper()
	b := newBench(t, httpSpeed)
	answerOf, seller := map[string]answer{}, map[string]string{}
	for _, asin := range b.good {
		w := b.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
		id := decide.SellerWanted(b.judge, w, b.Product(t, asin, true), nil, b.Env.Now())
		if len(answerOf) == len(all) || id == "" || seller[id] != "" {
			continue
		}
		a := all[len(answerOf)]
		answerOf[asin], seller[id] = a, asin
		b.keepa.Reply(odd.Seller, id, forever, a.reply(charged))
		b.Survives(t, w, pipeline.LookPeek, "a")
	}
	if len(answerOf) < len(all) {
		t.Fatalf("%d sellers for %d answers", len(answerOf), len(all))
	}
	b.spend()
	b.start(t, tokend.Run, nil)
	b.start(t, committer.Run, map[string]string{"KEEPA_TIMEOUT": "1250ms", "COMMITTER_WORKERS": "2"})
	for _, v := range b.AwaitVerdicts(t, len(answerOf)) {
		if v.Outcome != pipeline.Accept {
			t.Errorf("%s: %s (%s), want accept", answerOf[v.ASIN].name, v.Outcome, v.Reason)
		}
	}
	for id, asin := range seller {
		if n := b.keepa.Paid(odd.Seller, id); n > pipeline.MaxPaid {
			t.Errorf("%s: the seller was paid for %d times", answerOf[asin].name, n)
		}
	}
	b.explained(t)
}

func TestABalanceThatAStrangerAnswersIsNamedAndNothingIsIssuedUntilKeepaSpeaks(t *testing.T) {
	replies(t, isFree, func(t *testing.T, long *longest, all []answer) {
		t.Helper()
		b := newBench(t, httpSpeed)
		for i, a := range all {
			b.keepa.Reply(odd.Token, "token", forever, a.reply(false))
			since := b.Env.Now()
			stop := silently(t, b)
			b.named(t, a, "keepa /token: ")
			long.within(t, b, since, "a balance of "+a.name+" until it is named")
			b.doctor(t, string(a.word))
			b.keepa.Reply(odd.Token, "token", 0, odd.Reply{})
			// It is asked for on the machine's clock, at most 10 s apart.
			desk.Await(t, "the balance is told", func() bool { return !strings.Contains(b.status(t), "keepa /token: ") })
			aPeek.offer(t, b, b.rest[i])
			stopPeeker := b.start(t, peeker.Run, patient)
			b.decided(t, b.rest[i])
			stopPeeker()
			stop()
		}
	})
}

// doctor holds what the doctor says of Keepa, by the daemons that run, against a word.
func (b *bench) doctor(t *testing.T, word string) {
	t.Helper()
	s, err := cli.ReadStatus(t.Context(), b.Bus)
	if err != nil {
		t.Fatal(err)
	}
	if _, wrong, runs := s.Keepa(); !runs || wrong == nil || !strings.Contains(wrong.Error(), word) {
		t.Errorf("the doctor says %v, want %s", wrong, word)
	}
}

// silently runs a tokend that is not ready before it knows the balance.
func silently(t *testing.T, b *bench) (stop func()) {
	t.Helper()
	env := b.Settings(map[string]string{"KEEPA_URL": b.keepa.URL, "KEEPA_TIMEOUT": "1250ms"})
	env.Ready = func() {}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = tokend.Run(ctx, env) // it is stopped
	}()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

func TestAPlanThatYieldsNothingIsNamedInTheStatusAndByTheDoctor(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ left, rate, flow, want string }{
		"nothing":            {"0", "0", "5", "the plan yields 0 tokens a minute, of which trackings take 5 (tokenFlowReduction)"},
		"nothing, some left": {"50", "0", "5", "the plan yields 0 tokens a minute, of which trackings take 5 (tokenFlowReduction)"},
		"negative":           {"-9", "-2", "7", "the plan yields -2 tokens a minute, of which trackings take 7 (tokenFlowReduction)"},
		"all taken":          {"100", "5", "5", "the plan yields 5 tokens a minute, of which trackings take 5 (tokenFlowReduction)"},
		"over":               {"50", "0", "0", "the plan yields 0 tokens a minute: check the subscription at Keepa"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, httpSpeed)
			plan := account(200, odd.Set(c.left, "tokensLeft"), odd.Set(c.rate, "refillRate"), odd.Set(c.flow, "tokenFlowReduction"))
			b.keepa.Reply(odd.Token, "token", forever, odd.Reply{Write: plan})
			silently(t, b)
			desk.Await(t, "the plan is named", func() bool { return strings.Contains(b.status(t), c.want) })
			b.doctor(t, c.want)
		})
	}
}
