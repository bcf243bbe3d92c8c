// Package desk is a work place for tests of the daemons that spend: a real NATS in
// the process, a simulated Keepa that can be held up, grants without a tokend, and
// work to decide about.
package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/decide"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/platform/warehouse"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/messages"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/worker"
	"ratchet/schemas"
	"ratchet/test/streams"
)

// T0 is pipeline time at the start of every test.
var T0 = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// patience is how long something may take before a test fails. It
// is much longer than anything takes on a busy machine.
const patience = 3 * time.Minute

// Desk is what a test works with.
type Desk struct {
	Bus   *bus.Bus
	Env   process.Env
	Sim   *keepasim.Sim
	World *keepasim.Backlog

	keepa *httptest.Server
	calls chan string
	hold  sync.Mutex
	held  chan struct{} // nil: calls pass
	rows  map[string]json.RawMessage
}

// New opens a desk whose pipeline time runs speed times as fast as the machine's.
func New(t testing.TB, speed float64) *Desk {
	t.Helper()
	d, _ := open(t, speed, "")
	return d
}

// Listening is a desk whose NATS other processes reach at the address.
func Listening(t testing.TB, speed float64) (*Desk, string) {
	t.Helper()
	return open(t, speed, "127.0.0.1:0")
}

// Keepa is the address of the simulated Keepa.
func (d *Desk) Keepa() string { return d.keepa.URL }

// Offer publishes work as a candidate.
func (d *Desk) Offer(t testing.TB, w decide.Work) {
	t.Helper()
	d.publish(t, messages.Candidate("candidate", w.ID, w.Survivor.Candidate))
}

// publish returns the sequence of a message in its stream.
func (d *Desk) publish(t testing.TB, m bus.Message) uint64 {
	t.Helper()
	ack, err := d.Bus.Publish(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

// world is the list of every desk of a process: to make it takes longer than all else.
var world = sync.OnceValue(func() *keepasim.Backlog { return keepasim.Backlog400(1) })

func open(t testing.TB, speed float64, listen string) (*Desk, string) {
	t.Helper()
	env, srv := streams.Start(t, listen)
	env.Clock = process.NewClock(T0, speed)
	d := &Desk{
		Env: env, World: world(), calls: make(chan string, 1000), rows: map[string]json.RawMessage{},
	}
	d.Sim = keepasim.New(keepasim.Options{Now: d.Env.Now, Seed: 1, Rate: 5000, Catalogue: d.World, Instant: true})
	d.Sim.Start(T0)
	d.keepa = httptest.NewServer(http.HandlerFunc(d.serve))
	t.Cleanup(d.keepa.Close)
	t.Cleanup(d.Release)
	d.Bus = streams.Connect(t, env)
	d.list(t)
	return d, srv.URL()
}

// serve is the simulated Keepa behind a gate.
func (d *Desk) serve(w http.ResponseWriter, r *http.Request) {
	select {
	case d.calls <- r.URL.Path:
	default: // a test that counts calls reads them
	}
	d.hold.Lock()
	held := d.held
	d.hold.Unlock()
	if held != nil {
		<-held
	}
	d.Sim.ServeHTTP(w, r)
}

// Hold makes every call to Keepa wait until Release.
func (d *Desk) Hold() {
	d.hold.Lock()
	defer d.hold.Unlock()
	if d.held == nil {
		d.held = make(chan struct{})
	}
}

// Release lets the calls pass.
func (d *Desk) Release() {
	d.hold.Lock()
	defer d.hold.Unlock()
	if d.held != nil {
		close(d.held)
		d.held = nil
	}
}

// Call waits for the next call to Keepa and returns its path.
func (d *Desk) Call(t testing.TB) string {
	t.Helper()
	select {
	case path := <-d.calls:
		return path
	case <-time.After(patience):
		t.Fatalf("no call to Keepa within %s", patience)
		return ""
	}
}

// list reads the simulated deal list.
func (d *Desk) list(t testing.TB) {
	t.Helper()
	query, err := keepa.ParseQuery("used-books", schemas.UsedBooksQuery)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; len(d.rows) < 400 && n < 10; n++ {
		page, err := keepa.DecodeDealPage(d.ask(t, "/deal", url.Values{"selection": {string(query.Encode(n))}}))
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page.Rows {
			d.rows[row.ASIN] = row.Raw
		}
	}
}

func (d *Desk) ask(t testing.TB, path string, form url.Values) []byte {
	t.Helper()
	form.Set("key", "k")
	form.Set("domain", "1")
	w := httptest.NewRecorder()
	d.Sim.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+"?"+form.Encode(), nil))
	if w.Code != http.StatusOK {
		t.Fatalf("%s: status %d: %.300s", path, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

// Product returns Keepa's current answer about an ASIN, with or without offers.
func (d *Desk) Product(t testing.TB, asin string, offers bool) []byte {
	t.Helper()
	form := url.Values{"asin": {asin}, "stats": {"365"}, "history": {"1"}}
	if offers {
		form.Set("offers", "20")
	}
	_, raw, err := keepa.SplitProducts(d.ask(t, "/product", form))
	if err != nil || len(raw) != 1 {
		t.Fatalf("product %s: %d, %v", asin, len(raw), err)
	}
	return raw[0].Body
}

// ASINs are the books of a class, sorted.
func (d *Desk) ASINs(class keepasim.Class) []string {
	var out []string
	for _, asin := range d.World.ASINs() {
		if d.World.Truth(asin) == class {
			out = append(out, asin)
		}
	}
	slices.Sort(out)
	return out
}

// Grant issues credit to a stage, as tokend would.
func (d *Desk) Grant(t testing.TB, stage pipeline.Stage, tokens int) {
	t.Helper()
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bus.Change(t.Context(), bus.NewCell(kv, pipeline.KeyGrant(stage)), func(g token.Grant) (token.Grant, bool, error) {
		g.Epoch, g.Issued = 1, g.Issued+tokens
		return g, true, nil
	}); err != nil {
		t.Fatal(err)
	}
}

// Wish sets the operator's wish.
func (d *Desk) Wish(t testing.TB, wish token.Wish) {
	t.Helper()
	kv, err := d.Bus.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), pipeline.KeyMode, []byte(wish)); err != nil {
		t.Fatal(err)
	}
}

// Work is a unit of work about a listed book.
func (d *Desk) Work(t testing.TB, asin string, source pipeline.Source, generation pipeline.Generation) decide.Work {
	t.Helper()
	raw, ok := d.rows[asin]
	if !ok {
		t.Fatalf("%s is not listed", asin)
	}
	row, err := keepa.DecodeDealRow(raw)
	if err != nil {
		t.Fatal(err)
	}
	id := pipeline.Identity{Domain: 1, ASIN: asin, PriceType: int(keepa.Used), CreationDate: int64(row.CreationDate)}
	return decide.Work{ID: id.WorkID(generation), Row: row, Survivor: pipeline.Survivor{
		Candidate: pipeline.Candidate{Identity: id, Queries: []string{"used-books@1"}, Source: source, ListSeenAt: T0, Row: raw},
		RuleSet:   "test", ResponseIDs: []string{},
	}}
}

// Repriced returns the work as that of a later price of its book, which began an hour ago.
func (d *Desk) Repriced(t testing.TB, w decide.Work, cents int64) decide.Work {
	t.Helper()
	before, began := w.Row.CreationDate, keepa.FromTime(d.Env.Now().Add(-time.Hour))
	used, _ := w.Row.Current.Price(keepa.Used)
	raw := bytes.ReplaceAll(w.Survivor.Row, fmt.Append(nil, int(before)), fmt.Append(nil, int(began)))
	w.Survivor.Row = bytes.ReplaceAll(raw, fmt.Appendf(nil, ",%d,", used), fmt.Appendf(nil, ",%d,", cents))
	var err error
	if w.Row, err = keepa.DecodeDealRow(w.Survivor.Row); err != nil {
		t.Fatal(err)
	}
	if now, _ := w.Row.Current.Price(keepa.Used); w.Row.CreationDate != began || now != cents {
		t.Fatalf("the row has %d since %d", now, w.Row.CreationDate)
	}
	w.Survivor.CreationDate = int64(began)
	w.ID = w.Survivor.WorkID(pipeline.FirstGeneration)
	return w
}

// DecidedEarlier stores a peek of five hours ago about an earlier price, and the verdict of the work by it.
func (d *Desk) DecidedEarlier(t testing.TB, j *verdict.Judge, w decide.Work) pipeline.Verdict {
	t.Helper()
	asin := w.Survivor.ASIN
	d.Store(t, pipeline.KindPeek, asin, "the earlier price", d.Product(t, asin, false), 5*time.Hour)
	stored, err := responses.Find(t.Context(), d.Bus, 1, pipeline.KindPeek, []string{asin})
	if err != nil {
		t.Fatal(err)
	}
	a := stored[asin].Evidence()
	a.EarlierAt = stored[asin].AnsweredAt
	u := worker.Unit{Work: w, Origin: "SURVIVORS/1"}
	e := u.Conclude(decide.Peek(j, w, a, 0, nil, d.Env.Now()).Verdict, "")
	if err := worker.Apply(d.Bus)(t.Context(), []worker.Effect{e}); err != nil {
		t.Fatal(err)
	}
	return e.Verdict
}

// Survives publishes work as a survivor of a look on a lane, and returns its sequence in SURVIVORS.
func (d *Desk) Survives(t testing.TB, w decide.Work, look pipeline.Look, lane string) (sequence uint64) {
	t.Helper()
	s := w.Survivor
	s.Look = look
	if look == pipeline.LookPeek {
		s.Tier = pipeline.Tier(lane)
	}
	m, err := bus.Encode(pipeline.SubjectSurvivor(s.Domain, look, lane, s.ASIN), pipeline.SchemaSurvivor,
		fmt.Sprintf("survivor:%s:%s", w.ID, look), w.ID, s)
	if err != nil {
		t.Fatal(err)
	}
	return d.publish(t, m)
}

// Store puts an answer on RESPONSES as if it had been bought, and returns its id.
func (d *Desk) Store(t testing.TB, kind pipeline.Kind, key, workID string, body []byte, age time.Duration) string {
	t.Helper()
	kept, err := responses.Put(t.Context(), d.Bus, []responses.Answer{{
		Domain: 1, Kind: kind, Key: key, Body: body, Request: "/stored", RequestID: fmt.Sprintf("stored-%s-%s-%s", kind, workID, age),
		WorkID: workID, Cost: 1, AnsweredAt: d.Env.Now().Add(-age),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return kept[0].ID
}

// Settings is the environment of a daemon on this desk, with these variables.
func (d *Desk) Settings(settings map[string]string) process.Env {
	set := map[string]string{"NATS_URL": streams.URL, "KEEPA_URL": d.keepa.URL, "KEEPA_API_KEY": "k"}
	maps.Copy(set, settings)
	env := d.Env
	env.Lookup = envconfig.MapLookuper(set)
	return env
}

// Run starts a daemon and returns what stops it and waits for its end. A ClickHouse that the settings name is
// provisioned.
func (d *Desk) Run(t testing.TB, run func(context.Context, process.Env) error, settings map[string]string) (stop func()) {
	t.Helper()
	if dsn := settings["CLICKHOUSE_URL"]; dsn != "" {
		if err := warehouse.Provision(t.Context(), dsn, warehouse.KeepDays); err != nil {
			t.Fatal(err)
		}
	}
	env := d.Settings(settings)
	ready := make(chan struct{})
	env.Ready = sync.OnceFunc(func() { close(ready) })
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, env) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("daemon ended early: %v", err)
	case <-time.After(patience):
		t.Fatalf("daemon is not ready within %s", patience)
	}
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; process.ExitCode(err) != process.ExitDone {
			t.Errorf("daemon ended: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// Refuse makes a stream refuse every message until it accepts them again.
func (d *Desk) Refuse(t testing.TB, stream string) (accept func()) {
	t.Helper()
	streams.Change(t, d.Bus, stream, func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1 })
	return func() {
		t.Helper()
		streams.Change(t, d.Bus, stream, func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 })
	}
}

// Verdict is a stored verdict, its headers and its bytes.
type Verdict struct {
	pipeline.Verdict
	WorkID string
	Run    string
	Body   string
}

// Verdicts are all verdicts in the order of the stream.
func (d *Desk) Verdicts(t testing.TB) []Verdict {
	t.Helper()
	var out []Verdict
	if err := bus.ScanJSON(t.Context(), d.Bus, pipeline.StreamVerdicts, bus.From{}, func(r bus.Read, v pipeline.Verdict) error {
		out = append(out, Verdict{
			Verdict: v, WorkID: r.Header.Get(pipeline.HeaderWorkID), Run: r.Header.Get(pipeline.HeaderRunID), Body: string(r.Body),
		})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// AwaitVerdicts waits until n verdicts are stored and returns them.
func (d *Desk) AwaitVerdicts(t testing.TB, n int) []Verdict {
	t.Helper()
	var out []Verdict
	Await(t, fmt.Sprintf("%d verdicts", n), func() bool { out = d.Verdicts(t); return len(out) >= n })
	return out
}

// Await polls a condition until it holds, or fails the test when patience is at its end.
func Await(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	over := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-over:
			t.Fatalf("%s: still not the case after %s", what, patience)
		}
	}
}

// Spent are the tokens on the ledger's closes.
func (d *Desk) Spent(t testing.TB) int {
	t.Helper()
	sum := 0
	if err := bus.ScanJSON(t.Context(), d.Bus, pipeline.StreamLedger, bus.From{Subjects: []string{"ledger.*.close"}}, func(_ bus.Read, e pipeline.Entry) error {
		sum += e.Tokens
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return sum
}

// Accepts publishes that a book is a deal, as a committer would have at an instant:
// the deal, and then the verdict with the survivor that it is about.
func (d *Desk) Accepts(t testing.TB, asin string, at time.Time) decide.Work {
	t.Helper()
	w, v := d.commit(t, asin, at)
	origin := messages.Origin(pipeline.StreamSurvivors, d.Survives(t, w, pipeline.LookPeek, string(pipeline.TierA)))
	if err := d.Bus.PublishAll(t.Context(), []bus.Message{messages.Deal(w.ID, v), messages.Verdict(pipeline.RunLive, w.ID, origin, v)}); err != nil {
		t.Fatal(err)
	}
	return w
}

// Accepted publishes the deal that a commit of the book makes now.
func (d *Desk) Accepted(t testing.TB, asin string) {
	t.Helper()
	w, v := d.commit(t, asin, d.Env.Now())
	d.publish(t, messages.Deal(w.ID, v))
}

// commit is the verdict of a commit of the book, which must make a deal.
func (d *Desk) commit(t testing.TB, asin string, at time.Time) (decide.Work, pipeline.Verdict) {
	t.Helper()
	w := d.Work(t, asin, pipeline.SourceLive, pipeline.FirstGeneration)
	v := decide.Commit(BuiltIn(t), w, decide.Answer{ID: "1", Key: asin, Body: d.Product(t, asin, true)}, nil, 6, at).Verdict
	if v.Deal == nil {
		t.Fatalf("%s is not a deal: %s", asin, v.Reason)
	}
	return w, v
}

// PublishUnreadable publishes what no reader can read, on the subjects of verdicts about a book:
// published by hand, or by an earlier build.
func (d *Desk) PublishUnreadable(t testing.TB, asin string) {
	t.Helper()
	for n, body := range []string{
		`{`, `null`, `[]`, `{"asin":5}`, `{"look":"commit","outcome":"accept","asin":"` + asin + `"}`,
		`{"look":"commit","outcome":"accept","asin":"` + asin + `","domain":1,"decided_at":"2026-03-02T09:00:00Z","deal":5}`,
		`{"look":"commit","outcome":"accept","asin":"` + asin + `","domain":1,"decided_at":"2026-03-02T09:00:00Z","deal":null}`,
	} {
		d.publish(t, bus.Message{
			Subject: pipeline.SubjectVerdict(1, pipeline.LookCommit, pipeline.Accept, asin), Schema: pipeline.SchemaVerdict,
			ID: fmt.Sprintf("litter %s %d", asin, n), Run: pipeline.RunLive, Body: []byte(body),
		})
	}
}

// OneFinalEach fails for every ASIN that has more than one final verdict, and for a verdict that cannot be decoded.
func OneFinalEach(t testing.TB, b *bus.Bus) {
	t.Helper()
	finals := map[string]int{}
	if err := b.Scan(t.Context(), pipeline.StreamVerdicts, bus.From{}, func(r bus.Read) error {
		var v pipeline.Verdict
		if err := json.Unmarshal(r.Body, &v); err != nil {
			return err
		}
		if v.Outcome.Final() {
			finals[v.ASIN]++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for asin, n := range finals {
		if n != 1 {
			t.Errorf("%s has %d final verdicts", asin, n)
		}
	}
}
