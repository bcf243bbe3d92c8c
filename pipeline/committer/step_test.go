package committer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/health"
	"ratchet/pipeline/platform/loop"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/spend/gateway"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/worker"
	"ratchet/schemas"
	"ratchet/test/desk"
	"ratchet/test/streams"
)

// stepper is a step whose verbs a test calls itself.
type stepper struct {
	*step
	t *testing.T
	d *desk.Desk
}

func newStepper(t *testing.T, d *desk.Desk) stepper {
	t.Helper()
	return stepperOn(t, d, d.Bus)
}

// stepperOn is newStepper with a connection of its own.
func stepperOn(t *testing.T, d *desk.Desk, b *bus.Bus) stepper {
	t.Helper()
	env := d.Settings(nil)
	cfg, err := process.Load[Config](t.Context(), env.Lookup)
	if err != nil {
		t.Fatal(err)
	}
	judge, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	c, err := open(t.Context(), cfg, env, b, judge)
	if err != nil {
		t.Fatal(err)
	}
	return stepper{step: c.step(), t: t, d: d}
}

func openStepper(t *testing.T) stepper {
	t.Helper()
	d := desk.New(t, 1)
	d.Grant(t, pipeline.StageCommitter, 1000)
	return newStepper(t, d)
}

func TestWhatACommitterCountsBeginsAtZeroBeforeTheFirstDeal(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	d.Env.Health = health.New("committer")
	newStepper(t, d)
	families, err := d.Env.Health.Metrics().Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if c := m.GetCounter(); c != nil && strings.HasPrefix(f.GetName(), "ratchet_") {
				key := f.GetName()
				for _, l := range m.GetLabel() {
					key += " " + l.GetValue()
				}
				got = append(got, fmt.Sprint(key, " ", c.GetValue()))
			}
		}
	}
	for _, want := range []string{
		"ratchet_decisions_total commit accept ok 0", "ratchet_calls_total commit answered committer 0", "ratchet_tokens_spent_total commit committer 0",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("a scrape after the start has %q, want %s", got, want)
		}
	}
}

func (s stepper) unit(n int, source pipeline.Source, g pipeline.Generation) worker.Unit {
	s.t.Helper()
	return worker.Unit{Work: s.d.Work(s.t, s.d.ASINs(keepasim.Good)[n], source, g), Deliveries: 1}
}

// decide is the decision by the step's rules.
func (s stepper) decide(u worker.Unit, f fact) loop.Decision[worker.Effect] {
	f.Judge = s.Judge
	return decideCommit(u, f, s.env.Now())
}

// fetched is the fact of a step under a claim of its own, and what the step paid.
func (s stepper) fetched(u worker.Unit) (fact, int) {
	s.t.Helper()
	var err error
	before := s.d.Sim.Account().Consumed()
	if s.Claim, err = s.spender.Claim(s.t.Context(), token.PriceCommit, pipeline.KindCommit, 1); err != nil {
		s.t.Fatal(err)
	}
	facts, err := s.gather(s.t.Context(), []worker.Unit{u})
	if err != nil {
		s.t.Fatal(err)
	}
	if s.Claim != nil {
		s.t.Error("the claim of a step that has ended is open")
	}
	return facts[0], s.d.Sim.Account().Consumed() - before
}

func (s stepper) grant() token.Grant {
	s.t.Helper()
	kv, err := s.bus.Store(s.t.Context(), pipeline.BucketTokens)
	if err != nil {
		s.t.Fatal(err)
	}
	cell := bus.NewCell(kv, pipeline.KeyGrant(pipeline.StageCommitter))
	raw, _, err := cell.Read(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	g, err := bus.Decode[token.Grant](cell, raw)
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}

func TestACommitAndItsSellerArePaidForOnce(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	u := s.unit(0, pipeline.SourceLive, pipeline.FirstGeneration)
	first, paid := s.fetched(u)
	if paid == 0 || len(first.Sellers) == 0 || first.Product.WorkID != u.ID {
		t.Fatalf("paid %d: %+v", paid, first)
	}
	if g := s.grant(); g.Settled != paid || len(g.Open) != 0 || g.Unsure != 0 {
		t.Errorf("the grant settled %d of the %d that Keepa took, %+v", g.Settled, paid, g)
	}
	cost := first.Product.CostTo(u.ID)
	for _, a := range first.Sellers {
		cost += a.CostTo(u.ID)
	}
	if cost != paid {
		t.Errorf("the answers cost %d, want %d", cost, paid)
	}
	other := newStepper(t, s.d)
	if f, paid := other.fetched(u); paid != 0 || f.Product.ID != first.Product.ID || len(f.Sellers) != len(first.Sellers) {
		t.Errorf("redelivered: paid %d, %+v", paid, f)
	}
	again := s.unit(0, pipeline.SourceRetry, "retry-1")
	if f, paid := other.fetched(again); paid != 0 || f.Product.CostTo(again.ID) != 0 {
		t.Errorf("other work of a young answer: paid %d, and it cost it %d", paid, f.Product.CostTo(again.ID))
	}
	refresh := s.unit(0, pipeline.SourceRefresh, "refresh-1")
	if f, paid := other.fetched(refresh); paid == 0 || f.Product.WorkID != refresh.ID {
		t.Errorf("a refresh wants news: paid %d", paid)
	}
	again.Survivor.Pay = true
	if d := again.Limit(other.cfg.Fresh, other.env.Now()); d != 0 {
		t.Errorf("the operator wants to pay again, and an answer of %s serves", d)
	}
	fresh := s.unit(1, pipeline.SourceLive, pipeline.FirstGeneration)
	fresh.Row.CreationDate = 0
	if d := fresh.Limit(other.cfg.Fresh, other.env.Now()); d != other.cfg.Fresh {
		t.Errorf("an answer of %s serves an old price, want %s", d, other.cfg.Fresh)
	}
}

func TestAnAnswerFromBeforeThePriceBeganDoesNotServe(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	s.cfg.Sellers = false
	for n, c := range []struct {
		began time.Duration // ago
		buys  bool
	}{{30 * time.Minute, true}, {2 * time.Hour, false}} {
		u := s.unit(n, pipeline.SourceLive, pipeline.FirstGeneration)
		other := s.d.Store(t, pipeline.KindCommit, u.Survivor.ASIN, "another", s.d.Product(t, u.Survivor.ASIN, true), time.Hour)
		u.Row.CreationDate = keepa.FromTime(s.env.Now().Add(-c.began))
		f, paid := s.fetched(u)
		if used := f.Product.ID == other; (paid > 0) != c.buys || used == c.buys {
			t.Errorf("a price of %s ago and an answer of an hour ago: paid %d and used it %t", c.began, paid, used)
		}
	}
}

// rated is Keepa's answer about a seller of whose ratings so many percent are positive.
func rated(seller string, percent int) []byte {
	return fmt.Appendf(nil, `{"sellerId":%q,"currentRating":%d,"currentRatingCount":1000}`, seller, percent)
}

func TestASellerThatTheRulesRefuseIsRememberedBesideTheNext(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	u, body, refused, next := s.twoCopies()
	s.d.Store(t, pipeline.KindCommit, u.Survivor.ASIN, u.ID, body, time.Minute)
	s.d.Store(t, pipeline.KindSeller, refused, "another", rated(refused, 10), time.Minute)
	s.d.Store(t, pipeline.KindSeller, next, "another", rated(next, 97), time.Minute)
	f, _ := s.fetched(u)
	var asked []string
	for _, a := range f.Sellers {
		asked = append(asked, a.Key)
	}
	if want := slices.Sorted(slices.Values([]string{refused, next})); !slices.Equal(asked, want) {
		t.Errorf("it rests on the sellers %q, want %q", asked, want)
	}
	if v := s.decide(u, f).Out[0].Verdict; v.Outcome != pipeline.Accept || !bytes.Contains(v.Deal, fmt.Appendf(nil, `"seller_id":%q`, next)) {
		t.Errorf("%s (%s) of %s, want the copy of the next seller", v.Outcome, v.Reason, v.Deal)
	}
}

// What is stored costs nothing, so it takes none of the rounds in which sellers may be bought.
func TestSellersThatAreStoredLeaveEveryRoundForOneThatMustBeBought(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	judge, err := verdict.NewJudge([]byte("name: x\nrules:\n  - id: x\n    look: commit\n    when: seller_rating < 80\n    reason: x\n    unknown: pass\n    says: x.\n"))
	if err != nil {
		t.Fatal(err)
	}
	s.Judge = judge
	body := s.d.Product(t, s.d.ASINs(keepasim.Good)[0], true)
	for n := range decide.SellerRounds {
		body = withCopy(t, body, fmt.Sprintf("MORE%d", n), 9000)
	}
	u := s.unit(0, pipeline.SourceLive, pipeline.FirstGeneration)
	var known []decide.Answer
	for range decide.SellerRounds {
		id := decide.SellerWanted(judge, u.Work, body, known, s.env.Now())
		known = append(known, decide.Answer{Key: id, Body: rated(id, 10)})
		s.d.Store(t, pipeline.KindSeller, id, "another", rated(id, 10), time.Minute)
	}
	last := decide.SellerWanted(judge, u.Work, body, known, s.env.Now())
	s.d.Store(t, pipeline.KindSeller, last, "another", rated(last, 97), time.Minute)
	s.d.Store(t, pipeline.KindCommit, u.Survivor.ASIN, u.ID, body, time.Minute)
	if s.Claim, err = s.spender.Claim(t.Context(), token.PriceCommit, pipeline.KindCommit, 1); err != nil {
		t.Fatal(err)
	}
	f, err := s.fetch(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	if v := s.decide(u, f).Out[0].Verdict; last == "" || v.Outcome != pipeline.Accept || !bytes.Contains(v.Deal, []byte(`"seller_rating":97`)) {
		t.Errorf("%s (%s) by %d sellers of %s, want the copy of %q", v.Outcome, v.Reason, len(f.Sellers), v.Deal, last)
	}
}

// twoCopies returns a book with two copies that are worth buying, and their sellers: that of the best one first.
func (s stepper) twoCopies() (u worker.Unit, body []byte, best, next string) {
	s.t.Helper()
	for n, asin := range s.d.ASINs(keepasim.Good) {
		u, one := s.unit(n, pipeline.SourceLive, pipeline.FirstGeneration), s.d.Product(s.t, asin, true)
		for cents := 2000; cents < 9000; cents += 100 {
			body := withCopy(s.t, one, "ANOTHER", cents)
			wanted := func(known ...decide.Answer) string {
				return decide.SellerWanted(s.Judge, u.Work, body, known, s.env.Now())
			}
			best := wanted()
			if next := wanted(decide.Answer{Key: best, Body: rated(best, 10)}); next != "" {
				return u, body, best, next
			}
		}
	}
	s.t.Fatal("no good book is worth buying from either of two sellers")
	return u, nil, "", ""
}

// withCopy returns a product that one more seller offers, as good as new.
func withCopy(t *testing.T, product []byte, seller string, cents int) []byte {
	t.Helper()
	var p map[string]json.RawMessage
	var offers []map[string]any
	var order []int
	err := json.Unmarshal(product, &p)
	if err := errors.Join(err, json.Unmarshal(p["offers"], &offers), json.Unmarshal(p["liveOffersOrder"], &order)); err != nil {
		t.Fatal(err)
	}
	added := maps.Clone(offers[0])
	added["sellerId"], added["offerId"], added["condition"] = seller, 999_999, 2
	added["offerCSV"] = []any{added["lastSeen"], cents, 0}
	for name, v := range map[string]any{"offers": append(offers, added), "liveOffersOrder": append(order, len(offers))} {
		if p[name], err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	body, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestASellerThatABrokenAnswerLacksIsNotUnknown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, sellers, want string }{
		{"both came", `{"A":{"sellerId":"A"},"B":{"sellerId":"B"}}}`, `A {"sellerId":"A"}, B {"sellerId":"B"}`},
		{"Keepa knows one", `{"A":{"sellerId":"A"}}}`, `A {"sellerId":"A"}, B null`},
		{"it broke off behind one", `{"A":{"sellerId":"A"}`, `A {"sellerId":"A"}`},
		{"it broke off within one", `{"A":{"sellerI`, ``},
		{"it broke off before the first", `{`, ``},
	} {
		bought := &worker.Purchase{Answer: gateway.Answer{Body: []byte(`{"tokensConsumed":1,"sellers":` + c.sellers), Consumed: 1, ConsumedKnown: true}}
		var got []string
		for _, a := range sellerParts(worker.Unit{}, bought, []string{"A", "B"}) {
			got = append(got, a.Key+" "+string(a.Body))
		}
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%s: stored is %s, want %s", c.name, got, c.want)
		}
	}
}

// spied is a connection that calls before once, before it sends what contains a text.
type spied struct {
	net.Conn
	text   string
	before sync.Once
	do     func()
}

func (c *spied) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(c.text)) {
		c.before.Do(c.do)
	}
	return c.Conn.Write(b)
}

// InProcessConn makes it the way to the server.
func (c *spied) InProcessConn() (net.Conn, error) { return c, nil }

func TestASellerThatWasStoredWhileItWasOrderedIsNotBought(t *testing.T) {
	t.Parallel()
	d := desk.New(t, 1)
	d.Grant(t, pipeline.StageCommitter, 1000)
	var way nats.Options
	if err := d.Env.NATSOptions[0](&way); err != nil {
		t.Fatal(err)
	}
	conn, err := way.InProcessServer.InProcessConn()
	if err != nil {
		t.Fatal(err)
	}
	judge := desk.BuiltIn(t)
	w := d.Work(t, d.ASINs(keepasim.Good)[0], pipeline.SourceLive, pipeline.FirstGeneration)
	body := d.Product(t, w.Survivor.ASIN, true)
	seller := decide.SellerWanted(judge, w, body, nil, d.Env.Now())
	d.Store(t, pipeline.KindCommit, w.Survivor.ASIN, w.ID, body, time.Minute)
	stored := ""
	env := d.Env
	env.NATSOptions = []nats.Option{nats.InProcessServer(&spied{
		Conn: conn, text: pipeline.KeySubject(pipeline.BucketOrders, pipeline.KeyOrder(1, pipeline.KindSeller, seller)),
		do: func() {
			stored = d.Store(t, pipeline.KindSeller, seller, "another", []byte(`{"sellerId":"S","sellerName":"Good","currentRating":97}`), 0)
		},
	})}
	s := stepperOn(t, d, streams.Connect(t, env))
	f, paid := s.fetched(worker.Unit{Work: w, Deliveries: 1})
	if paid != 0 || len(f.Sellers) != 1 || stored == "" || f.Sellers[0].ID != stored {
		t.Errorf("another committer stored it as %q, and this one paid %d: %+v", stored, paid, f.Sellers)
	}
}

func TestWhatAnotherWorkerIsBuyingIsNotBought(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	u := s.unit(0, pipeline.SourceLive, pipeline.FirstGeneration)
	order := func(kind pipeline.Kind, key string) func() {
		t.Helper()
		_, done, err := responses.Order(t.Context(), s.bus, 1, kind, []string{key}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	done := order(pipeline.KindCommit, u.Survivor.ASIN)
	if f, paid := s.fetched(u); paid != 0 || !errors.Is(f.Err, worker.ErrOrdered) {
		t.Errorf("paid %d, %+v", paid, f)
	}
	done()
	seller := decide.SellerWanted(s.Judge, u.Work, s.d.Product(t, u.Survivor.ASIN, true), nil, s.env.Now())
	done = order(pipeline.KindSeller, seller)
	f, paid := s.fetched(u)
	if paid == 0 || !errors.Is(f.Err, worker.ErrOrdered) || !s.decide(u, f).Returns() {
		t.Errorf("its seller is being bought: paid %d, %+v", paid, f)
	}
	done()
	if f, paid := s.fetched(u); paid != 1 || f.Err != nil || len(f.Sellers) != 1 {
		t.Errorf("the product is stored, its seller is not: paid %d, %+v", paid, f)
	}
	s.Claim = nil
	facts, err := s.gather(t.Context(), []worker.Unit{s.unit(2, pipeline.SourceLive, pipeline.FirstGeneration)})
	if err != nil || !errors.Is(facts[0].Err, worker.ErrNoSpend) {
		t.Errorf("without a claim: %+v, %v", facts, err)
	}
}

func TestACallThatFailsIsSettledAndItsWorkComesBackAFewTimes(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	u := s.unit(0, pipeline.SourceLive, pipeline.FirstGeneration)
	s.d.Sim.Change(func(f *keepasim.Faults) {
		f.Rules = []keepasim.Rule{{Kind: keepasim.KindCommit, Do: keepasim.Fail, Status: 503, Probability: 1, Times: 1}}
	})
	f, _ := s.fetched(u)
	var e *gateway.Error
	if !errors.As(f.Err, &e) || !s.breaker.Open() {
		t.Fatalf("%+v", f)
	}
	if d := s.decide(u, f); d.Again == nil || len(d.Out) != 0 {
		t.Errorf("decided %+v", d)
	}
	if g := s.grant(); len(g.Open) != 0 || g.Unsure != token.PriceCommit {
		t.Errorf("a call without an answer leaves %+v", g)
	}
	s.breaker.Succeeded()
	for range pipeline.MaxPaid - 1 {
		s.begun(pipeline.KindCommit, u, 6)
	}
	if f, paid := s.fetched(u); paid != 0 || !errors.Is(f.Err, worker.ErrPrice) {
		t.Errorf("it cannot be known yet whether the first was paid for: paid %d, %+v", paid, f)
	}
	s.begun(pipeline.KindCommit, u, 6)
	f, paid := s.fetched(u)
	if d := s.decide(u, f); paid != 0 || d.Never != decide.ReasonNoAnswer || len(d.Out) != 1 {
		t.Errorf("paid for %d times: paid %d more, %+v", pipeline.MaxPaid, paid, d)
	}
	for answered := range pipeline.MaxPaid {
		d := s.decide(u, fact{Missing: true, Attempts: token.Attempts{Answered: answered}})
		if last := answered+1 == pipeline.MaxPaid; last != (d.Never == decide.ReasonNotFound) || last == d.Returns() {
			t.Errorf("left out %d times: %+v", answered+1, d)
		}
	}
}

func TestACommitThatIsCutAfterItsProductReturnsForWhatItLacks(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	for n, c := range []struct {
		known bool
		why   error
	}{{true, worker.ErrPart}, {false, worker.ErrPrice}} {
		u := s.unit(n, pipeline.SourceLive, pipeline.FirstGeneration)
		var err error
		if s.Claim, err = s.spender.Claim(t.Context(), token.PriceCommit, pipeline.KindCommit, 1); err != nil {
			t.Fatal(err)
		}
		f, err := s.keep(t.Context(), u, fact{}, worker.Bought(s.Claim, 1, pipeline.KindCommit, gateway.Answer{
			Body:     slices.Concat([]byte(`{"products":[`), s.d.Product(t, u.Survivor.ASIN, true), []byte(`],"processing`)),
			Consumed: 6, ConsumedKnown: c.known, Part: errors.New("cut"), AnsweredAt: s.env.Now(),
		}))
		if err != nil || !errors.Is(f.Err, c.why) || !s.decide(u, f).Returns() {
			t.Errorf("its cost is known %t: %v, want %v; %v", c.known, f.Err, c.why, err)
		}
		if f, paid := s.fetched(u); paid > 1 || f.Product.Body == nil {
			t.Errorf("its cost is known %t: the product is bought again for %d, %+v", c.known, paid, f.Err)
		}
	}
}

func TestAfterAnOutageOneCommitTriesWhetherKeepaAnswersAgain(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	for _, asin := range s.d.ASINs(keepasim.Good)[:2] {
		s.d.Survives(t, s.d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration), pipeline.LookPeek, string(pipeline.TierA))
	}
	others := func() bool { // may look for work
		if !s.taking.TryLock() {
			return false
		}
		s.taking.Unlock()
		return true
	}
	past := s.env
	past.Clock = process.NewClock(desk.T0, 1e12)
	s.breaker.Failed(past) // some time ago
	trial, err := s.take(t.Context())
	if err != nil || len(trial.Items) != 1 {
		t.Fatalf("took %d, %v", len(trial.Items), err)
	}
	if others() {
		t.Error("another worker calls before the trial has ended")
	}
	s.breaker.Succeeded()
	trial.Release(t.Context())
	next, err := s.take(t.Context())
	if err != nil || len(next.Items) != 1 || !others() {
		t.Errorf("after the trial: took %d, %v, others look %t", len(next.Items), err, others())
	}
}

// begun is a call for a unit that cost so much and brought nothing.
func (s stepper) begun(kind pipeline.Kind, u worker.Unit, cost int) {
	s.t.Helper()
	c, err := s.spender.Claim(s.t.Context(), 1, kind, 1)
	if err == nil {
		err = responses.RecordAttempts(s.t.Context(), s.bus, 1, kind, []string{u.ID}, c.ID())
	}
	if err == nil {
		err = c.CloseFailed(s.t.Context(), cost, nil, "malformed")
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestASellerThatCannotBeHadLosesNoCommitAndNoToken(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	u := s.unit(0, pipeline.SourceLive, pipeline.FirstGeneration)
	s.d.Sim.Change(func(f *keepasim.Faults) {
		f.Rules = []keepasim.Rule{{Kind: keepasim.KindSeller, Do: keepasim.Fail, Status: 503, Probability: 1, Times: 1}}
	})
	f, paid := s.fetched(u)
	if paid == 0 || f.Err != nil || len(f.Sellers) != 0 {
		t.Fatalf("paid %d: %+v", paid, f)
	}
	// No reading shows what the second call cost: all of the claim's price is in doubt.
	if g := s.grant(); g.Settled != paid || g.Unsure != paid || len(g.Open) != 0 {
		t.Errorf("settled %d and in doubt %d of %d", g.Settled, g.Unsure, paid)
	}
	d := s.decide(u, f)
	if d.Returns() || d.Never != "" || len(d.Out) != 1 || len(d.Out[0].Messages) != 2 {
		t.Errorf("decided %+v", d)
	}
	// Sellers that were paid for as often as work may be stay unknown.
	v := s.unit(1, pipeline.SourceLive, pipeline.FirstGeneration)
	for range pipeline.MaxPaid {
		s.begun(pipeline.KindSeller, v, 1)
	}
	calls := s.d.Sim.Account().Calls[keepasim.KindSeller]
	if f, _ := s.fetched(v); len(f.Sellers) != 0 || f.Err != nil || s.d.Sim.Account().Calls[keepasim.KindSeller] != calls {
		t.Errorf("its sellers are asked for a fourth time: %+v", f)
	}
	// Beyond what the claim holds nothing is asked for.
	w := s.unit(2, pipeline.SourceLive, pipeline.FirstGeneration)
	var err error
	if s.Claim, err = s.spender.Claim(t.Context(), token.PriceCommit, pipeline.KindCommit, 1); err != nil {
		t.Fatal(err)
	}
	product := responses.Answer{Key: w.Survivor.ASIN, Body: s.d.Product(t, w.Survivor.ASIN, true)}
	calls = s.d.Sim.Account().Calls[keepasim.KindSeller]
	if f, err = s.enrich(t.Context(), w, product, token.PriceCommit, nil); err != nil || len(f.Sellers) != 0 || s.d.Sim.Account().Calls[keepasim.KindSeller] != calls {
		t.Errorf("a claim that is used up pays for sellers: %+v, %v", f, err)
	}
}

func TestACallForSellersAloneThatMayHaveCostSomethingIsLeftToTokend(t *testing.T) {
	t.Parallel()
	s := openStepper(t)
	u := s.unit(0, pipeline.SourceLive, pipeline.FirstGeneration)
	s.d.Store(t, pipeline.KindCommit, u.Survivor.ASIN, u.ID, s.d.Product(t, u.Survivor.ASIN, true), 0)
	s.d.Sim.Change(func(f *keepasim.Faults) {
		f.Rules = []keepasim.Rule{{Kind: keepasim.KindSeller, Do: keepasim.Fail, Status: 503, Probability: 1, Times: 1}}
	})
	if f, _ := s.fetched(u); f.Err != nil || f.Product.ID == "" || len(f.Sellers) != 0 {
		t.Fatalf("the product is stored and its seller does not answer: %+v", f)
	}
	if g := s.grant(); g.Settled != 0 || g.Unsure != token.PriceCommit || len(g.Open) != 0 {
		t.Errorf("settled %d and in doubt %d, want all %d of the claim in doubt", g.Settled, g.Unsure, token.PriceCommit)
	}
}

func TestTheBestTierIsServedFirstAndTheWorstNowAndThen(t *testing.T) {
	t.Parallel()
	var tr tiers
	got := map[pipeline.Tier]int{}
	for range 100 {
		tier, ok := tr.next(func(pipeline.Tier) bool { return true })
		if !ok {
			t.Fatal("nothing waits")
		}
		got[tier]++
	}
	if got[pipeline.TierA] != 90 || got[pipeline.TierC] != 10 {
		t.Errorf("served %v of 100", got)
	}
	waits := []pipeline.Tier{pipeline.TierB}
	if tier, ok := tr.next(func(x pipeline.Tier) bool { return slices.Contains(waits, x) }); tier != pipeline.TierB || !ok {
		t.Errorf("only %v wait, and %s is served", waits, tier)
	}
	if _, ok := tr.next(func(pipeline.Tier) bool { return false }); ok {
		t.Error("something of nothing is served")
	}
}
