package worker_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/spend/gateway"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/store/seen"
	"ratchet/pipeline/worker"
	"ratchet/test/streams"
)

// payer holds a real grant of the peeker.
type payer struct {
	env process.Env
	bus *bus.Bus
	p   *claims.Spender
}

func newPayer(t *testing.T) payer {
	t.Helper()
	env, b := streams.Open(t)
	kv, err := b.Store(t.Context(), pipeline.BucketTokens)
	if err == nil {
		_, err = kv.Put(t.Context(), pipeline.KeyGrant(pipeline.StagePeeker), []byte(`{"epoch":1,"issued":1000}`))
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := claims.Open(t.Context(), b, env, pipeline.StagePeeker)
	if err != nil {
		t.Fatal(err)
	}
	return payer{env: env, bus: b, p: p}
}

func (p payer) claim(t *testing.T) *claims.Claim {
	t.Helper()
	c, err := p.p.Claim(t.Context(), 5, pipeline.KindPeek, 5)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (p payer) grant(t *testing.T) (g token.Grant) {
	t.Helper()
	kv, err := p.bus.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	e, err := kv.Get(t.Context(), pipeline.KeyGrant(pipeline.StagePeeker))
	if err == nil {
		err = json.Unmarshal(e.Value(), &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestTheClaimOfAFailedCallIsClosedAtWhatItMayHaveCost(t *testing.T) {
	t.Parallel()
	p := newPayer(t)
	for _, c := range []struct {
		name            string
		cause           error
		settled, unsure int
	}{
		{"it timed out", &gateway.Error{Kind: gateway.Timeout}, 0, 5},
		{"the connection broke", &gateway.Error{Kind: gateway.Cut}, 0, 5},
		{"Keepa said what it cost", &gateway.Error{Kind: gateway.Rejected, Consumed: 3, Reading: &pipeline.Reading{TS: 1, Left: 9, Rate: 5}}, 3, 0},
		{"it was refused", &gateway.Error{Kind: gateway.InDebt}, 0, 0},
		{"nothing was called", errors.New("no claim"), 0, 0},
	} {
		before := p.grant(t)
		status, breaker := worker.NewStatus(p.env), &worker.Breaker{}
		if err := worker.CallFailed(t.Context(), p.env, status, breaker, p.claim(t), c.cause); err != nil {
			t.Fatal(err)
		}
		g := p.grant(t)
		if settled, unsure := g.Settled-before.Settled, g.Unsure-before.Unsure; settled != c.settled || unsure != c.unsure || len(g.Open) != 0 {
			t.Errorf("%s: %d settled, %d in doubt, open %v; want %d and %d", c.name, settled, unsure, g.Open, c.settled, c.unsure)
		}
		if !breaker.Open() || status.Beat().Counters["failures"] != 1 {
			t.Errorf("%s: the next call goes out at once", c.name)
		}
	}
}

func TestTheClaimOfAnAnsweredCallIsClosedAtItsPriceOrInDoubt(t *testing.T) {
	t.Parallel()
	p := newPayer(t)
	reading := &pipeline.Reading{TS: 1, Left: 9, Rate: 5}
	cut := &gateway.Error{Kind: gateway.Cut}
	for _, c := range []struct {
		name            string
		answer          gateway.Answer
		settled, unsure int
		blown           bool
	}{
		{"whole", gateway.Answer{Consumed: 4, ConsumedKnown: true, Reading: reading}, 4, 0, false},
		{"in part", gateway.Answer{Consumed: 4, ConsumedKnown: true, Reading: reading, Part: cut}, 4, 0, true},
		{"in part, by its own words", gateway.Answer{Consumed: 4, ConsumedKnown: true, Reading: reading, Part: errors.New("breaks off")}, 4, 0, false},
		{"without its price", gateway.Answer{}, 0, 5, false},
	} {
		before := p.grant(t)
		breaker := &worker.Breaker{}
		breaker.Failed(p.env)
		if err := worker.End(t.Context(), p.env, worker.NewStatus(p.env), breaker, p.claim(t), c.answer); err != nil {
			t.Fatal(err)
		}
		g := p.grant(t)
		if settled, unsure := g.Settled-before.Settled, g.Unsure-before.Unsure; settled != c.settled || unsure != c.unsure || breaker.Open() != c.blown {
			t.Errorf("%s: %d settled, %d in doubt, blown %t", c.name, settled, unsure, breaker.Open())
		}
	}
}

// whole are the calls of which all bytes are stored.
func whole(t *testing.T, b *bus.Bus) (calls []string) {
	t.Helper()
	err := b.Scan(t.Context(), pipeline.StreamResponses, bus.From{Headers: true}, func(r bus.Read) error {
		if r.Header.Get(pipeline.HeaderPart) != "" {
			calls = append(calls, r.Header.Get(pipeline.HeaderRequestID))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return calls
}

func TestAllBytesOfAnAnswerAreStoredWhereAPartOfItIsOddAndMayHaveBeenPaidFor(t *testing.T) {
	t.Parallel()
	p := newPayer(t)
	body := []byte(`{"asin":"B000000001"}`)
	for _, c := range []struct {
		name  string
		buy   worker.Purchase
		whole bool
	}{
		{"plain", worker.Purchase{Answer: gateway.Answer{Consumed: 1, ConsumedKnown: true}}, false},
		{"odd", worker.Purchase{Odd: true, Answer: gateway.Answer{Consumed: 1, ConsumedKnown: true}}, true},
		{"odd, and its price is not known", worker.Purchase{Odd: true}, true},
		{"odd, and free", worker.Purchase{Odd: true, Answer: gateway.Answer{ConsumedKnown: true}}, false},
	} {
		c.buy.Call, c.buy.Domain, c.buy.Kind, c.buy.Body, c.buy.AnsweredAt = "call-"+c.name, 1, pipeline.KindPeek, body, time.Now()
		c.buy.Call = "call" + c.buy.Call[len(c.buy.Call)-4:] // an id has no blanks
		before := len(whole(t, p.bus))
		kept, err := c.buy.Keep(t.Context(), p.bus, []responses.Answer{c.buy.Part("B000000001", "w1", keepa.Element{Body: body}, 1)})
		if err != nil || len(kept) != 1 || kept[0].ID == "" || kept[0].WorkID != "w1" || kept[0].Cost != 1 {
			t.Fatalf("%s: %+v, %v", c.name, kept, err)
		}
		if got := len(whole(t, p.bus)) > before; got != c.whole {
			t.Errorf("%s: all bytes stored %t, want %t", c.name, got, c.whole)
		}
	}
}

func TestTheBytesOfAFailedCallAreStoredIfItMayHaveCostSomething(t *testing.T) {
	t.Parallel()
	p := newPayer(t)
	for call, c := range map[string]struct {
		cause  error
		stored bool
	}{
		"a": {&gateway.Error{Kind: gateway.Malformed, Body: []byte("<")}, true},
		"b": {&gateway.Error{Kind: gateway.Rejected, Body: []byte("{}"), Consumed: 1}, true},
		"c": {&gateway.Error{Kind: gateway.Rejected, Body: []byte("{}")}, false},
		"d": {&gateway.Error{Kind: gateway.Timeout}, false},
		"e": {errors.New("nothing was called"), false},
	} {
		before := len(whole(t, p.bus))
		buy := &worker.Purchase{Call: call, Domain: 1, Kind: pipeline.KindPeek, Answer: gateway.Answer{AnsweredAt: time.Now()}}
		if err := worker.KeepFailed(t.Context(), p.bus, buy, c.cause); err != nil {
			t.Fatal(err)
		}
		if got := len(whole(t, p.bus)) > before; got != c.stored {
			t.Errorf("%v: stored %t, want %t", c.cause, got, c.stored)
		}
	}
}

func identity(asin string, created int64) pipeline.Identity {
	return pipeline.Identity{Domain: 1, ASIN: asin, PriceType: 2, CreationDate: created}
}

func TestADecisionIsRememberedOnlyAfterItsMessagesAreStored(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	id := identity("B000000001", 7_000_000)
	v := pipeline.Verdict{Identity: id, Look: pipeline.LookPeek, Outcome: pipeline.Reject, Reason: "rank", DecidedAt: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), RuleSet: "r"}
	good := bus.Message{Subject: "verdict.1.peek.reject.B000000001", Schema: pipeline.SchemaVerdict, ID: "v", Body: []byte("{}")}
	remembered := func() bool {
		t.Helper()
		m, err := seen.Read(t.Context(), b, []pipeline.Identity{id})
		if err != nil {
			t.Fatal(err)
		}
		return m[id] == *worker.SeenOf(v)
	}
	tooLarge := bus.Message{Subject: good.Subject, ID: "x", Body: make([]byte, 9<<20)}
	survivor := tooLarge
	survivor.Subject = "survivor.1.peek.B000000001"
	if err := worker.Apply(b)(t.Context(), []worker.Effect{{Messages: []bus.Message{good, survivor}, ID: id, Seen: worker.SeenOf(v)}}); err == nil || remembered() {
		t.Errorf("a survivor was not stored: error %v, remembered %t", err, remembered())
	}
	if n, err := b.Held(t.Context(), pipeline.StreamVerdicts); n != 0 || err != nil {
		t.Errorf("%d verdicts are stored (%v) whose survivor is not", n, err)
	}
	lost := worker.Effect{Messages: []bus.Message{good, tooLarge}, ID: id, Seen: worker.SeenOf(v)}
	if err := worker.Apply(b)(t.Context(), []worker.Effect{lost}); err == nil || remembered() {
		t.Errorf("a message was not stored: error %v, remembered %t", err, remembered())
	}
	open := worker.Effect{Messages: []bus.Message{good}, ID: id}
	if err := worker.Apply(b)(t.Context(), []worker.Effect{open}); err != nil || remembered() {
		t.Errorf("a decision that is not final: error %v, remembered %t", err, remembered())
	}
	done := worker.Effect{Messages: []bus.Message{good}, ID: id, Seen: worker.SeenOf(v)}
	if err := worker.Apply(b)(t.Context(), []worker.Effect{open, done}); err != nil || !remembered() {
		t.Errorf("error %v, remembered %t", err, remembered())
	}
	if n, err := b.Held(t.Context(), pipeline.StreamVerdicts); n != 1 || err != nil {
		t.Errorf("%d verdicts are stored (%v), want one", n, err)
	}
	if worker.SeenOf(pipeline.Verdict{Outcome: pipeline.Survive}) != nil {
		t.Error("a survivor is remembered, and its commit would never be offered again")
	}
}

func TestAVerdictIsStoredAfterItsConsequences(t *testing.T) {
	t.Parallel()
	u := worker.Unit{Origin: "SURVIVORS/7"}
	u.ID, u.Survivor.Identity = "w1", identity("B000000001", 7_000_000)
	for _, c := range []struct {
		v     pipeline.Verdict
		first string
		final bool
	}{
		{pipeline.Verdict{Look: pipeline.LookPeek, Outcome: pipeline.Survive}, "survivor.1.peek.a.B000000001", false},
		{pipeline.Verdict{Look: pipeline.LookCommit, Outcome: pipeline.Accept, Deal: json.RawMessage("{}")}, "deal.1.2.B000000001", true},
		{pipeline.Verdict{Look: pipeline.LookCommit, Outcome: pipeline.Reject}, "", true},
	} {
		c.v.Identity = u.Survivor.Identity
		e := u.Conclude(c.v, "a")
		last := e.Messages[len(e.Messages)-1]
		if want := pipeline.SubjectVerdict(1, c.v.Look, c.v.Outcome, "B000000001"); last.Subject != want || last.Header[pipeline.HeaderOrigin] != "SURVIVORS/7" || last.WorkID != "w1" {
			t.Errorf("%s: the last message is %+v", c.v.Outcome, last)
		}
		if c.first != "" && (len(e.Messages) != 2 || e.Messages[0].Subject != c.first) || c.first == "" && len(e.Messages) != 1 {
			t.Errorf("%s: %d messages, the first %s", c.v.Outcome, len(e.Messages), e.Messages[0].Subject)
		}
		if (e.Seen != nil) != c.final || e.ID != u.Survivor.Identity {
			t.Errorf("%s: memory %+v", c.v.Outcome, e.Seen)
		}
	}
	if d := worker.Dead(loop.Decision[worker.Effect]{Out: []worker.Effect{{}}}, "no_answer", "paid 3 times"); d.Never != "no_answer" || d.Cause != "paid 3 times" || len(d.Out) != 1 {
		t.Errorf("%+v", d)
	}
}

func TestWhatIsDecidedNamesTheQueriesThatListedItSince(t *testing.T) {
	t.Parallel()
	_, b := streams.Open(t)
	id, moved := identity("B000000001", 7_000_000), identity("B000000001", 7_000_100)
	if err := seen.Want(t.Context(), b, id, "late@1", time.Now()); err != nil {
		t.Fatal(err)
	}
	units := make([]worker.Unit, 2)
	units[0].Survivor.Identity, units[0].Survivor.Queries = id, []string{"first@1"}
	units[1].Survivor.Identity, units[1].Survivor.Queries = moved, []string{"first@1"}
	if err := worker.AddQueries(t.Context(), b, units); err != nil {
		t.Fatal(err)
	}
	if q := units[0].Survivor.Queries; len(q) != 2 || q[0] != "first@1" || q[1] != "late@1" {
		t.Errorf("queries %v", q)
	}
	if q := units[1].Survivor.Queries; len(q) != 1 {
		t.Errorf("another price is named for %v", q)
	}
}
