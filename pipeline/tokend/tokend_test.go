package tokend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/spend/claims"
	"ratchet/pipeline/spend/gateway"
	"ratchet/test/streams"
)

const testKey = "the-key-that-nobody-may-print"

// world is a real NATS, a simulated Keepa and a clock.
type world struct {
	t   testing.TB
	env process.Env
	bus *bus.Bus
	sim *keepasim.Sim
	asn []string
	log *lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// t0 is pipeline time at the start of every test, and catalogue the list of all.
var (
	t0        = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	catalogue = sync.OnceValue(func() *keepasim.Backlog { return keepasim.Backlog400(1) })
)

func newWorld(t testing.TB, speed float64, o keepasim.Options) *world {
	t.Helper()
	w := &world{t: t, log: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	env, _ := streams.Start(t, "")
	clock := process.NewClock(t0, speed)
	o.Now, o.After, o.Catalogue, o.Key, o.Instant = clock.Now, clock.After, catalogue(), testKey, true
	w.sim, w.asn = keepasim.New(o), catalogue().ASINs()
	w.sim.Start(t0)
	keepa := httptest.NewServer(w.sim)
	t.Cleanup(keepa.Close)
	env.Log, env.Clock = log, clock
	env.Lookup = envconfig.MapLookuper(map[string]string{"NATS_URL": streams.URL, "KEEPA_URL": keepa.URL, "KEEPA_API_KEY": testKey})
	w.env = env
	w.bus = streams.Connect(t, env)
	return w
}

// tokend returns one instance, whose turns the test runs.
func (w *world) tokend() *tokend {
	w.t.Helper()
	cfg, err := process.Load[Config](w.t.Context(), w.env.Lookup)
	if err != nil {
		w.t.Fatal(err)
	}
	t, err := open(w.t.Context(), w.env, streams.Connect(w.t, w.env), w.gateway(), cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return t
}

// pass advances an instance's clocks by so much time, in one step.
func (t *tokend) pass(pipelineTime, machine time.Duration) {
	before := t.now
	t.now = func() token.Moment {
		m := before()
		return token.Moment{Now: m.Now.Add(pipelineTime), Machine: m.Machine.Add(machine)}
	}
}

func (w *world) gateway() *gateway.Gateway {
	w.t.Helper()
	cfg, err := process.Load[Config](w.t.Context(), w.env.Lookup)
	if err != nil {
		w.t.Fatal(err)
	}
	g, err := gateway.New(cfg.Keepa, w.env)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

func (w *world) turn(d *tokend) {
	w.t.Helper()
	if _, err := d.turn(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) purse(s pipeline.Stage) *claims.Spender {
	w.t.Helper()
	p, err := claims.Open(w.t.Context(), streams.Connect(w.t, w.env), w.env, s)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// survivors makes n products wait for a look.
func (w *world) survivors(l pipeline.Look, lane string, n int) {
	w.t.Helper()
	for i := range n {
		subject := pipeline.SubjectSurvivor(1, l, lane, w.asn[i])
		if _, err := w.bus.Publish(w.t.Context(), bus.Message{Subject: subject, ID: subject, Schema: pipeline.SchemaSurvivor, Body: []byte("{}")}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) grant(s pipeline.Stage) token.Grant {
	w.t.Helper()
	kv, err := w.bus.Store(w.t.Context(), pipeline.BucketTokens)
	if err != nil {
		w.t.Fatal(err)
	}
	var g token.Grant
	read(w.t, kv, pipeline.KeyGrant(s), &g)
	return g
}

func (w *world) state() token.Balance {
	w.t.Helper()
	kv, err := w.bus.Store(w.t.Context(), pipeline.BucketTokens)
	if err != nil {
		w.t.Fatal(err)
	}
	var s token.Balance
	read(w.t, kv, pipeline.KeyBalance, &s)
	return s
}

func (w *world) put(key, value string) {
	w.t.Helper()
	kv, err := w.bus.Store(w.t.Context(), pipeline.BucketTokens)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := kv.Put(w.t.Context(), key, []byte(value)); err != nil {
		w.t.Fatal(err)
	}
}

func read(t testing.TB, kv jetstream.KeyValue, key string, v any) {
	t.Helper()
	e, err := kv.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(e.Value(), v); err != nil {
		t.Fatal(err)
	}
}

// ledger returns every line so far, and the tokens by event.
func (w *world) ledger() (lines []pipeline.Entry, tokens map[pipeline.Event]int) {
	w.t.Helper()
	tokens = map[pipeline.Event]int{}
	err := bus.ScanJSON(w.t.Context(), w.bus, pipeline.StreamLedger, bus.From{}, func(_ bus.Read, e pipeline.Entry) error {
		lines = append(lines, e)
		tokens[e.Event] += e.Tokens
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return lines, tokens
}

func (w *world) spent() int {
	n := 0
	for _, v := range w.sim.Account().Tokens {
		n += v
	}
	return n
}

// buy claims and pays for one product and settles it.
func (w *world) buy(p *claims.Spender, g *gateway.Gateway, asin string, offers bool) error {
	kind := pipeline.KindPeek
	if offers {
		kind = pipeline.KindCommit
	}
	c, err := p.Claim(w.t.Context(), token.Price(kind), kind, 1)
	if err != nil {
		return err
	}
	a, err := g.Products(w.t.Context(), c, 1, []string{asin}, offers)
	var e *gateway.Error
	switch {
	case err == nil:
		return c.Close(w.t.Context(), a.Consumed, a.Reading)
	case errors.As(err, &e) && e.MayHaveCost():
		return c.CloseUnknown(w.t.Context(), string(e.Kind))
	case errors.As(err, &e):
		return c.Close(w.t.Context(), e.Consumed, e.Reading)
	default:
		return err
	}
}

func TestNothingIsIssuedBeforeTheFirstAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100, Faults: keepasim.Faults{Rules: []keepasim.Rule{keepasim.Outage(0, 0)}}})
	w.survivors(pipeline.LookGlance, "live", 3)
	d := w.tokend()
	for range 3 {
		w.turn(d)
	}
	if g := w.grant(pipeline.StagePeeker); g.Credit() != 0 {
		t.Errorf("issued %d without knowing the balance", g.Credit())
	}
	if s := w.state(); s.State != "unknown" || s.Note == "" {
		t.Errorf("state %q, note %q", s.State, s.Note)
	}
}

func TestWhatWaitsIsIssuedForAndTheLedgerAgreesWithKeepa(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100})
	w.survivors(pipeline.LookGlance, "live", 20)
	w.survivors(pipeline.LookPeek, "a", 3)
	d, g := w.tokend(), w.gateway()
	peeker, committer := w.purse(pipeline.StagePeeker), w.purse(pipeline.StageCommitter)
	w.turn(d)
	for i := range 20 {
		if err := w.buy(peeker, g, w.asn[i], false); err != nil {
			t.Fatal(err)
		}
		w.turn(d)
	}
	for i := range 3 {
		if err := w.buy(committer, g, w.asn[i], true); err != nil {
			t.Fatal(err)
		}
		w.turn(d)
	}
	w.sim.Spend(7)                   // another client with the same key
	d.pass(2*time.Hour, time.Minute) // an old reading is requested again
	w.turn(d)
	w.turn(d)
	_, tokens := w.ledger()
	if want := w.spent() + 7; tokens[pipeline.EventClose]+tokens[pipeline.EventDrift] != want || tokens[pipeline.EventDrift] != 7 {
		t.Errorf("ledger says %d closed and %d drift, Keepa %d and 7 by another", tokens[pipeline.EventClose], tokens[pipeline.EventDrift], w.spent())
	}
	b := w.sim.Account()
	if b.Minimum < 0 || len(b.Refused) > 0 {
		t.Errorf("balance fell to %d, %d refusals", b.Minimum, len(b.Refused))
	}
}

func TestATimeoutThatCostTokensShowsAsDriftToTheToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100, Faults: keepasim.Faults{Rules: []keepasim.Rule{
		{Kind: keepasim.KindCommit, Do: keepasim.Cut, Times: 1}, {Kind: keepasim.KindCommit, Do: keepasim.NoBalance, Times: 1},
	}}})
	w.survivors(pipeline.LookPeek, "a", 5)
	d, g, p := w.tokend(), w.gateway(), w.purse(pipeline.StageCommitter)
	w.turn(d)
	for i := range 3 {
		if err := w.buy(p, g, w.asn[i], true); err != nil {
			t.Fatal(err)
		}
		d.pass(0, time.Minute) // the test does not wait between questions
		w.turn(d)
		w.turn(d)
	}
	_, tokens := w.ledger()
	if got := tokens[pipeline.EventClose] + tokens[pipeline.EventDrift]; got != w.spent() {
		t.Errorf("ledger explains %d tokens (%v), Keepa took %d", got, tokens, w.spent())
	}
	if n := w.sim.Account().Calls[keepasim.KindCommit]; n != 3 {
		t.Errorf("%d calls reached Keepa, want 3: nothing may be sent twice behind our back", n)
	}
}

func TestADeadClaimIsGivenUpAndAThawedWorkerSettlesItOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100})
	w.survivors(pipeline.LookPeek, "a", 2)
	d, p := w.tokend(), w.purse(pipeline.StageCommitter)
	w.turn(d)
	c, err := p.Claim(t.Context(), token.PriceCommit, pipeline.KindCommit, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.turn(d)
	d.pass(0, time.Hour)
	w.turn(d)
	if g := w.grant(pipeline.StageCommitter); len(g.Open) != 0 || g.Lost != token.PriceCommit {
		t.Fatalf("after the reap: %+v", g)
	}
	for range 2 { // a close may be repeated
		if err := c.Close(t.Context(), 6, nil); err != nil {
			t.Fatal(err)
		}
	}
	if g := w.grant(pipeline.StageCommitter); g.Settled != 6 || g.Lost != 0 {
		t.Errorf("after the thaw: settled %d, lost %d; want 6 and 0", g.Settled, g.Lost)
	}
	lines, _ := w.ledger()
	n := 0
	for _, l := range lines {
		if l.Event == pipeline.EventClose {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d close lines for one claim", n)
	}
}

func TestTheSecondTokendIsOnStandbyAndAnOldOneIsFencedOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100})
	first, second := w.tokend(), w.tokend()
	w.turn(first)
	w.turn(second)
	if second.leads || !first.leads {
		t.Fatalf("leads: %t and %t: want the first to lead", first.leads, second.leads)
	}
	// The first is suspended and its lease goes to the second.
	first.lease.Release()
	w.turn(second)
	if second.issuer.Epoch <= first.issuer.Epoch {
		t.Fatalf("epoch %d after %d", second.issuer.Epoch, first.issuer.Epoch)
	}
	// It resumes in the middle of a turn, with a plan made before.
	w.survivors(pipeline.LookGlance, "live", 3)
	plan := token.Issue{Epoch: first.issuer.Epoch, From: first.issuer.Grants[pipeline.StagePeeker].Issued, Tokens: 50}
	_, err := first.issuer.CarryOut([]token.Effect{token.Swap{Stage: pipeline.StagePeeker, Change: plan}}, first.now, first.do(t.Context()))
	if err == nil || first.fenced(err) == nil || first.leads {
		t.Errorf("the old tokend issued: %v", err)
	}
	if g := w.grant(pipeline.StagePeeker); g.Credit() != 0 {
		t.Errorf("credit %d from a fenced tokend", g.Credit())
	}
}

func TestASuccessorGoesOnFromTheBooks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100})
	w.survivors(pipeline.LookGlance, "live", 20)
	d, g, p := w.tokend(), w.gateway(), w.purse(pipeline.StagePeeker)
	w.turn(d)
	for i := range 5 {
		if err := w.buy(p, g, w.asn[i], false); err != nil {
			t.Fatal(err)
		}
	}
	w.turn(d)
	// It dies; workers continue with the credit they have, and another client spends.
	d.lease.Release()
	for i := range 5 {
		if err := w.buy(p, g, w.asn[5+i], false); err != nil {
			t.Fatal(err)
		}
	}
	w.sim.Spend(3)
	next := w.tokend()
	w.turn(next)
	w.turn(next)
	_, tokens := w.ledger()
	if got := tokens[pipeline.EventClose] + tokens[pipeline.EventDrift]; got != w.spent()+3 {
		t.Errorf("ledger explains %d tokens (%v), Keepa took %d and 3 went elsewhere", got, tokens, w.spent())
	}
}

func TestThePauseTakesBackCreditAndTheModeIsSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100})
	w.survivors(pipeline.LookGlance, "live", 5)
	d := w.tokend()
	w.turn(d)
	if w.grant(pipeline.StagePeeker).Credit() == 0 {
		t.Fatal("nothing issued")
	}
	w.put(pipeline.KeyMode, "paused")
	w.turn(d)
	if c := w.grant(pipeline.StagePeeker).Credit(); c != 0 {
		t.Errorf("credit %d while paused", c)
	}
	if s := w.state(); s.State != "paused" {
		t.Errorf("state %q", s.State)
	}
	w.put(pipeline.KeyMode, `{"mode":"run"}`)
	w.turn(d)
	if c := w.grant(pipeline.StagePeeker).Credit(); c != 5 {
		t.Errorf("credit %d after the pause, want 5", c)
	}
}

func TestAChangeOfModeIsRecordedOnceWhereverTokendDiesBetweenItsWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100})
	d := w.tokend()
	w.turn(d)
	w.put(pipeline.KeyMode, "paused")
	w.turn(d)
	w.turn(d)
	changes := func() (notes []string) {
		lines, _ := w.ledger()
		for _, e := range lines {
			if e.Event == pipeline.EventMode && strings.Contains(e.Note, " to ") {
				notes = append(notes, e.Note)
			}
		}
		return notes
	}
	if got := changes(); len(got) == 0 || got[len(got)-1] != "burst to paused" {
		t.Fatalf("recorded changes: %q, want burst to paused at the end", got)
	}
	told := len(changes())
	// It writes the next change into its state and dies before the line is written.
	died := w.state()
	died.State, died.Since = "burst", died.Since.Add(time.Minute)
	died.StateLine = &token.Line{ID: "mode:died", Entry: pipeline.Entry{Event: pipeline.EventMode, Stage: "tokend", At: died.Since, Note: "paused to burst"}}
	raw, err := json.Marshal(died)
	if err != nil {
		t.Fatal(err)
	}
	w.put(pipeline.KeyBalance, string(raw))
	w.put(pipeline.KeyMode, "run")
	d.lease.Release()
	next := w.tokend()
	w.turn(next)
	w.turn(next)
	got := changes()
	if n := slices.Index(got, "paused to burst"); n != told {
		t.Errorf("recorded changes: %q, want paused to burst in place %d", got, told)
	}
	next.lease.Release() // a successor repeats the last line
	last := w.tokend()
	w.turn(last)
	if again := changes(); len(again) != len(got) {
		t.Errorf("recorded changes: %q after a repeat, want %q", again, got)
	}
}

func TestAPolicyThatCannotBeReachedIsRefusedWithTheArithmetic(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100})
	w.put(pipeline.KeyPolicy, `{"policy":"heartbeat","target":480}`)
	d := w.tokend()
	w.turn(d)
	if s := w.state(); !strings.Contains(s.Note, "60 × 5 a minute = 300") {
		t.Errorf("note %q", s.Note)
	}
}

func TestABadKeyIsReportedAndNeverPrinted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100})
	const wrong = "a-wrong-key-that-nobody-may-print"
	g, err := gateway.New(gateway.Config{URL: mustURL(t, w), Key: wrong, Timeout: time.Second}, w.env)
	if err != nil {
		t.Fatal(err)
	}
	d := w.tokend()
	d.keepa = g
	w.turn(d)
	s := w.state()
	if s.State != "unknown" || !strings.Contains(s.Note, "KEEPA_API_KEY") || !strings.Contains(d.heartbeat().LastError, "bad_key") {
		t.Errorf("state %q, note %q, last error %q", s.State, s.Note, d.heartbeat().LastError)
	}
	if all := w.log.String() + fmt.Sprintf("%+v", s); strings.Contains(all, wrong) || strings.Contains(all, testKey) {
		t.Errorf("the key is in: %s", all)
	}
}

func mustURL(t *testing.T, w *world) string {
	t.Helper()
	u, _ := w.env.Lookup.Lookup("KEEPA_URL")
	return u
}

func TestRunIssuesAtHighSpeedAndStopsWhenAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 600, keepasim.Options{Rate: 5, Balance: 20})
	w.survivors(pipeline.LookGlance, "live", 100)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	env, ready := w.env, make(chan struct{})
	env.Ready = func() { close(ready) }
	done := make(chan error, 1)
	go func() { done <- Run(ctx, env) }()
	<-ready
	p, g := w.purse(pipeline.StagePeeker), w.gateway()
	consumer, err := w.bus.JS.Consumer(ctx, pipeline.StreamSurvivors, pipeline.DurablePeek(pipeline.SourceLive))
	if err != nil {
		t.Fatal(err)
	}
	for bought := 0; bought < 60; {
		if credit, err := p.Affords(ctx, pipeline.KindPeek); err != nil || credit == 0 {
			select {
			case <-p.Changed():
				continue
			case <-ctx.Done():
				t.Fatalf("bought %d of 60 in time; %+v", bought, w.state())
			}
		}
		if err := w.buy(p, g, w.asn[bought], false); err != nil {
			t.Fatal(err)
		}
		m, err := consumer.Next()
		if err != nil {
			t.Fatal(err)
		}
		if err := m.DoubleAck(ctx); err != nil {
			t.Fatal(err)
		}
		bought++
	}
	cancel()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Fatal("did not stop")
	}
	if b := w.sim.Account(); b.Minimum < 0 || len(b.Refused) > 0 {
		t.Errorf("balance fell to %d, %d refusals", b.Minimum, len(b.Refused))
	}
}

func TestADeposedTokendWritesNoBalance(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 60, keepasim.Options{Rate: 5, Balance: 100})
	first, second := w.tokend(), w.tokend()
	w.turn(first)
	first.lease.Release()
	w.turn(second)
	old := token.Balance{Epoch: first.issuer.Epoch, State: "burst", Est: 7}
	if err := first.write(t.Context(), old); !errors.Is(err, token.ErrEpoch) {
		t.Errorf("the old tokend writes: %v", err)
	}
	if got := w.state(); got.Epoch != second.issuer.Epoch || got.Est == 7 {
		t.Errorf("the balance is of epoch %d, want %d", got.Epoch, second.issuer.Epoch)
	}
}

// TestSettledWorkIsSeenByItsAcknowledgement also shows that nobody asks while nothing is settled.
func TestSettledWorkIsSeenByItsAcknowledgement(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, keepasim.Options{Rate: 5})
	w.survivors(pipeline.LookGlance, string(pipeline.SourceLive), 1) // before tokend listens
	in, err := w.bus.Inlet(t.Context(), pipeline.StreamSurvivors, pipeline.DurablePeek(pipeline.SourceLive))
	if err != nil {
		t.Fatal(err)
	}
	items, err := in.Take(t.Context(), 1, 5*time.Second)
	if err != nil || len(items) != 1 {
		t.Fatalf("took %d: %v", len(items), err)
	}
	d := w.tokend()
	asked, err := w.bus.NC.SubscribeSync("$JS.API.CONSUMER.LIST." + pipeline.StreamSurvivors)
	if err == nil {
		err = w.bus.NC.Flush()
	}
	if err != nil {
		t.Fatal(err)
	}
	unsettled := func() int {
		t.Helper()
		demand, err := d.readDemand(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return demand.Backlogs[pipeline.StagePeeker].Unsettled
	}
	for end := time.Now().Add(3 * settledAgain / 2); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if n := unsettled(); n != 1 {
			t.Fatalf("%d unsettled, want 1", n)
		}
	}
	if n, _, err := asked.Pending(); err != nil || n != 1 {
		t.Errorf("asked %d times while nothing was settled (%v), want once", n, err)
	}
	if err := items[0].Settle.Done(t.Context()); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); unsettled() != 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > unsettledAtMost/4 { // without a hint half of it, of this clock
			t.Fatal("what was settled is not seen")
		}
	}
}
