package watermarker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/store/responses"
	"ratchet/pipeline/store/seen"
	"ratchet/schemas"
	"ratchet/test/desk"
)

// reader is a watermarker without its loop: a test gives its list each turn.
type reader struct {
	*watermarker
	t *testing.T
	d *desk.Desk

	list *list
}

func newReader(t *testing.T) reader {
	t.Helper()
	d := desk.New(t, 1)
	return again(t, d)
}

// again returns a watermarker that started later.
func again(t *testing.T, d *desk.Desk) reader {
	t.Helper()
	env := d.Settings(nil)
	cfg, err := process.Load[Config](t.Context(), env.Lookup)
	if err != nil {
		t.Fatal(err)
	}
	queries, err := Queries(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	w, err := open(t.Context(), cfg, env, d.Bus)
	if err != nil {
		t.Fatal(err)
	}
	w.current = &currentQueries{status: w.status, changed: w.hint.Give}
	w.current.hold(queries, 0)
	w.adopt()
	w.retired = true
	return reader{watermarker: w, t: t, d: d, list: w.lists[0]}
}

// pass is a read whose answers a test makes up: its rows are published by the real effects.
type pass struct {
	r     reader
	turn  *turn
	state watermark.Reader
	last  []watermark.Effect
}

// pass begins a read of a list in a state.
func (r reader) pass(s watermark.State) *pass {
	r.t.Helper()
	s.NextPoll = time.Time{}
	p := &pass{r: r, turn: &turn{w: r.watermarker, list: r.list, pages: map[string]*keepa.DealPage{}}}
	p.state = watermark.NewReader(watermark.Setup{Query: r.list.ID(), Plan: r.cfg.plan(), Backlog: 1})
	p.step(watermark.Look{State: s})
	p.step(watermark.Counted{})
	p.step(watermark.Funds{Pages: 20})
	p.step(watermark.Located{})
	p.step(watermark.Swapped{State: s.Begin(r.list.ID(), 0, r.cfg.plan(), r.env.Now())})
	return p
}

func (p *pass) step(e watermark.Event) {
	p.state, p.last = p.state.Step(e, p.r.env.Now())
}

// offer publishes a page of the list and returns how many rows were new, and the ledger's note about it.
func (p *pass) offer(index int, body []byte) (n int, note string) {
	p.r.t.Helper()
	p.step(watermark.Claimed{})
	p.step(watermark.Tried{})
	p.step(watermark.Bought{Answer: p.turn.decode(index, responses.Answer{Body: body, RequestID: "call"})})
	offer, ok := p.last[0].(watermark.Offer)
	if !ok {
		p.r.t.Fatalf("want an offer, got %+v", p.last)
	}
	event, err := p.turn.offer(p.r.t.Context(), offer)
	if err != nil {
		p.r.t.Fatal(err)
	}
	p.step(event)
	poll, ok := p.last[0].(watermark.Append)
	if !ok {
		p.r.t.Fatalf("want the line about the page, got %+v", p.last)
	}
	return len(event.(watermark.Offered).Rows), poll.Line.Entry.Note //nolint:forcetypeassert // it answers an offer
}

// now returns the stored state.
func (r reader) now() watermark.State {
	r.t.Helper()
	s, err := r.state(r.t.Context(), r.list.cell)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

// poll gives the list one turn.
func (r reader) poll(ctx context.Context) error {
	r.t.Helper()
	return r.step(ctx, r.list, watermark.Look{State: r.now()})
}

// body is a page of the list with these rows.
func (r reader) body(rows ...json.RawMessage) []byte {
	r.t.Helper()
	body, err := json.Marshal(map[string]any{
		"timestamp": r.env.Now().UnixMilli(), "tokensLeft": 100, "refillIn": 1000, "refillRate": 5, "tokensConsumed": 5,
		"deals": map[string]any{"dr": rows, "categoryIds": []int64{283155}, "categoryCount": []int{400}},
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return body
}

// rows are listed books, each with a date that is so many minutes old.
func (r reader) rows(ages ...int64) []json.RawMessage {
	r.t.Helper()
	asins := r.d.ASINs(keepasim.Good)
	var out []json.RawMessage
	for i, age := range ages {
		out = append(out, r.row(asins[i], age))
	}
	return out
}

func (r reader) row(asin string, age int64) json.RawMessage {
	r.t.Helper()
	var row map[string]any
	if err := json.Unmarshal(r.d.Work(r.t, asin, pipeline.SourceLive, pipeline.FirstGeneration).Survivor.Row, &row); err != nil {
		r.t.Fatal(err)
	}
	now := int64(keepa.FromTime(r.env.Now()))
	row["creationDate"], row["lastUpdate"] = now-age, now
	raw, err := json.Marshal(row)
	if err != nil {
		r.t.Fatal(err)
	}
	return raw
}

func (r reader) held(stream string) uint64 {
	r.t.Helper()
	n, err := r.bus.Held(r.t.Context(), stream)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func TestARowIsOfferedOnceForEachPriceHoweverOftenItIsListed(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	rows := r.rows(5, 6, 7)
	first := r.pass(watermark.State{})
	if n, note := first.offer(0, r.body(rows[0], rows[1], rows[0])); n != 2 || note != "page 0, 2 new" {
		t.Errorf("%d candidates of two rows, of which one was listed twice; %s", n, note)
	}
	if n, _ := first.offer(1, r.body(rows...)); n != 1 {
		t.Errorf("%d candidates of a row that slipped onto the next page and a new one, want 1", n)
	}
	offered := func(r reader, rows ...json.RawMessage) int {
		n, _ := r.pass(watermark.State{}).offer(0, r.body(rows...))
		return n
	}
	if n := offered(again(t, r.d), rows...); n != 0 {
		t.Errorf("%d candidates after a restart, of rows that were offered", n)
	}
	asins := r.d.ASINs(keepasim.Good)
	decided := pipeline.Identity{Domain: 1, ASIN: asins[4], PriceType: int(keepa.Used), CreationDate: int64(keepa.FromTime(r.env.Now())) - 9}
	m := pipeline.Seen{CreationDate: decided.CreationDate, Look: pipeline.LookCommit, Outcome: pipeline.Reject}
	if err := seen.Store(t.Context(), r.bus, decided, m); err != nil {
		t.Fatal(err)
	}
	if n := offered(r, r.row(asins[4], 9)); n != 0 {
		t.Error("a row that was decided is offered again")
	}
	if n := offered(r, r.row(asins[4], 3), r.row(asins[0], 2)); n != 2 {
		t.Errorf("%d candidates of rows that were decided and offered and whose price moved since, want 2", n)
	}
}

func TestAPageOfAStrangeShapeIsCountedAndEachOfItsRowsIsACandidateOrADeadLetter(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	asins := r.d.ASINs(keepasim.Good)
	undated := int64(keepa.FromTime(r.env.Now())) // an age at which creationDate is 0
	p := r.pass(watermark.State{})
	p.step(watermark.Claimed{})
	p.step(watermark.Tried{})
	body := r.body(r.row(asins[0], undated), r.row(asins[1], 5), r.row(asins[2], undated))
	p.step(watermark.Bought{Answer: p.turn.decode(0, responses.Answer{Body: body, RequestID: "call"})})
	for _, e := range p.last {
		if _, err := p.turn.finishing(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if n, dead := r.held(pipeline.StreamCandidates), r.held(pipeline.StreamDead); n != 1 || dead != 2 {
		t.Errorf("%d candidates and %d dead letters, want 1 and 2", n, dead)
	}
	if n := r.status.Beat().Counters["list_shape_anomaly"]; n != 1 {
		t.Errorf("counted %d times", n)
	}
}

func TestARowTakesTheLaneOfTheReasonForItsRead(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	now := watermark.Mark(keepa.FromTime(r.env.Now()))
	s := watermark.State{
		Mark: now - 30, ReadAt: r.env.Now().Add(-time.Hour), Gaps: []watermark.Gap{{ID: "g", From: now - 200, To: now - 100}},
	}
	if n, _ := r.pass(s).offer(0, r.body(r.rows(5, 150, 100_000)...)); n != 3 {
		t.Errorf("%d candidates", n)
	}
	got := map[string]int{}
	err := bus.ScanJSON(t.Context(), r.bus, pipeline.StreamCandidates, bus.From{}, func(m bus.Read, c pipeline.Candidate) error {
		got[fmt.Sprintf("%s %d", strings.Split(m.Subject, ".")[2], int64(now)-c.CreationDate)]++
		if c.Queries[0] != r.list.ID() || c.ListSeenAt.IsZero() {
			t.Errorf("%+v", c)
		}
		return nil
	})
	if err != nil || got["live 5"] != 1 || got["gap 150"] != 1 || got["backfill 100000"] != 1 {
		t.Errorf("lanes %v, %v", got, err)
	}
}

// stored is a page on RESPONSES as if it had been bought.
func (r reader) stored(key, call string, body []byte, age time.Duration) {
	r.t.Helper()
	_, err := responses.Put(r.t.Context(), r.bus, []responses.Answer{{
		Domain: 1, Kind: pipeline.KindDeals, Key: key, Body: body, RequestID: call, Cost: 5, AnsweredAt: r.env.Now().Add(-age),
	}})
	if err != nil {
		r.t.Fatal(err)
	}
}

// page is a full page of made-up rows, so that another follows.
func (r reader) page(index int) []byte {
	r.t.Helper()
	rows := make([]json.RawMessage, watermark.RowsPerPage)
	model := r.row(r.d.ASINs(keepasim.Good)[0], 0)
	for i := range rows {
		var row map[string]any
		if err := json.Unmarshal(model, &row); err != nil {
			r.t.Fatal(err)
		}
		row["asin"] = fmt.Sprintf("B%02d%07d", index, i)
		row["creationDate"] = int64(keepa.FromTime(r.env.Now())) - int64(150*index+i)
		rows[i], _ = json.Marshal(row) //nolint:errchkjson // it was JSON
	}
	return r.body(rows...)
}

// begun stores the state of a read that began now.
func (r reader) begun(s watermark.State) watermark.State {
	r.t.Helper()
	since, err := r.bus.Last(r.t.Context(), pipeline.StreamResponses)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(s.Begin(r.list.ID(), since, r.cfg.plan(), r.env.Now()))
	return r.now()
}

func TestAPageWithoutAUsableTimestampMovesTheMarkByItsArrival(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.d.Grant(t, pipeline.StageWatermarker, 5)
	at := r.env.Now().Add(-time.Minute)
	good := r.body(r.rows(5, 6)...)
	stamp := fmt.Appendf(nil, `"timestamp":%d`, r.env.Now().UnixMilli())
	whole := (&turn{list: r.list, pages: map[string]*keepa.DealPage{}}).decode(0, responses.Answer{Body: good, AnsweredAt: at.Add(-time.Hour)})
	if want := watermark.Mark(keepa.FromTime(r.env.Now())); whole.Page.Now < want-1 || whole.Page.Now > want {
		t.Errorf("Keepa's clock is %d, want its own %d", whole.Page.Now, want)
	}
	for name, odd := range map[string]string{
		"missing": `"x":1`, "null": `"timestamp":null`, "zero": `"timestamp":0`, "negative": `"timestamp":-1`,
		"seconds":      fmt.Sprintf(`"timestamp":%d`, at.Unix()),
		"microseconds": fmt.Sprintf(`"timestamp":%d`, at.UnixMicro()),
	} {
		start := bytes.Index(good, []byte(`"timestamp":`))
		body := slices.Concat(good[:start], []byte(odd), good[start+len(stamp):])
		s := r.begun(watermark.State{})
		r.stored("used-books-0", "call "+name, body, time.Minute)
		var ends [2]watermark.Mark
		for i := range ends { // the second as a replay
			turn := &turn{w: r.watermarker, list: r.list, pages: map[string]*keepa.DealPage{}}
			event, err := turn.replay(t.Context(), s.Read.Since)
			if err != nil {
				t.Fatal(err)
			}
			read := s.NewRead(r.cfg.plan())
			for _, a := range event.(watermark.Replayed).Answers { //nolint:forcetypeassert // it answers a replay
				read.Take(a.Page)
			}
			next, _ := s.End(read, r.cfg.plan(), r.env.Now())
			ends[i] = next.Mark
		}
		if low := watermark.Mark(keepa.FromTime(at)) - 10; ends[0] < low || ends[0] > low+10 || ends[1] != ends[0] {
			t.Errorf("%s: the mark is %d, and %d after a replay, want about %d", name, ends[0], ends[1], low+5)
		}
	}
}

func TestAReadWhoseInstanceDiedResumesFromItsStoredPages(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.d.Grant(t, pipeline.StageWatermarker, 5)
	r.stored("used-books-0", "before", r.page(7), 0) // of the read before
	begun := r.begun(watermark.State{})              // and it dies
	r.stored("used-books-0", "c1", r.page(0), time.Minute)
	r.stored("others-0", "c2", r.page(1), 0)               // another query's
	r.stored("used-books-1", "c3", r.page(1)[:5000], 0)    // it came in part
	r.stored("used-books-1", "c4", []byte(`{"a":1}`), 0)   // it holds no list
	r.stored("used-books-1", "c5", r.page(1), time.Minute) // it was bought again
	claimed := errors.New("the first claim")
	for restart := range 2 {
		next := again(t, r.d)
		turn := &turn{w: next.watermarker, list: next.list, pages: map[string]*keepa.DealPage{}}
		rd, err := next.list.reader.Run(watermark.Look{State: next.now()}, next.env.Now, func(e watermark.Effect) (watermark.Event, error) {
			if _, claims := e.(watermark.Claim); claims {
				return nil, claimed
			}
			if event, mine, err := turn.interruptible(t.Context(), e); mine {
				return event, err
			}
			return turn.finishing(t.Context(), e)
		})
		if !errors.Is(err, claimed) || !rd.Busy {
			t.Fatalf("it resumes: %v", err)
		}
		if n := next.held(pipeline.StreamCandidates); n != 2*watermark.RowsPerPage {
			t.Errorf("%d candidates of two stored pages, at restart %d", n, restart)
		}
		s := next.now()
		if s.Read == nil || s.Read.ID != begun.Read.ID || !s.Read.Cut || s.Owes(s.Mark-200) || !s.Owes(s.Mark-400) {
			t.Errorf("want two pages counted and the rest owed: %+v", s)
		}
		s.NextPoll = time.Time{}
		r.write(s)
	}
	if n, dead := r.lines(pipeline.EventPoll), r.held(pipeline.StreamDead); n != 2 || dead != 0 {
		t.Errorf("%d lines about two pages, %d dead letters", n, dead)
	}
}

func (r reader) write(s watermark.State) {
	r.t.Helper()
	_, err := bus.Change(r.t.Context(), r.list.cell, func(watermark.State) (watermark.State, bool, error) { return s, true, nil })
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r reader) lines(event pipeline.Event) int {
	r.t.Helper()
	n := 0
	from := bus.From{Subjects: []string{pipeline.SubjectLedger(pipeline.StageWatermarker, event)}}
	if err := r.bus.Scan(r.t.Context(), pipeline.StreamLedger, from, func(bus.Read) error { n++; return nil }); err != nil {
		r.t.Fatal(err)
	}
	return n
}

func TestALineOfTheLedgerIsAppendedOnceHoweverOftenTheReadEnds(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	turn := &turn{w: r.watermarker, list: r.list}
	for range 2 {
		for _, id := range []string{"a", "b"} {
			e := pipeline.Entry{Event: pipeline.EventGapOpened, Stage: pipeline.StageWatermarker, At: r.env.Now()}
			if _, err := turn.finishing(t.Context(), watermark.Append{Line: token.Line{ID: "gap_opened:" + id, Entry: e}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := r.lines(pipeline.EventGapOpened); n != 2 {
		t.Errorf("%d lines about two gaps", n)
	}
}

func TestAPageIsPaidForAFewTimesAndThenSkippedWithADeadLetter(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.d.Grant(t, pipeline.StageWatermarker, 100)
	turn := &turn{w: r.watermarker, list: r.list}
	do := func(e watermark.Effect) watermark.Event {
		t.Helper()
		event, mine, err := turn.interruptible(t.Context(), e)
		if !mine {
			event, err = turn.finishing(t.Context(), e)
		}
		if err != nil {
			t.Fatal(err)
		}
		return event
	}
	tried := func(work string) token.Attempts {
		return do(watermark.CountAttempts{Work: work}).(watermark.Tried).Attempts //nolint:forcetypeassert // its answer
	}
	for i := range pipeline.MaxPaid {
		if a := tried("w"); a.Spent() || a.Waits() || a.Paid != i {
			t.Fatalf("before call %d: %+v", i+1, a)
		}
		do(watermark.Claim{})
		do(watermark.Attempt{Work: "w"})
		if i == pipeline.MaxPaid-1 && !tried("w").Waits() { // the last may have cost something
			t.Error("it is bought again before it is known what the last call cost")
		}
		if err := turn.claim.Close(t.Context(), 5, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !tried("w").Spent() || tried("other").Spent() {
		t.Errorf("after %d paid calls: %+v; another page: %+v", pipeline.MaxPaid, tried("w"), tried("other"))
	}
	for range 2 {
		do(watermark.DeadLetter{Index: 1, Work: "w"})
	}
	if n := r.held(pipeline.StreamDead); n != 1 {
		t.Errorf("%d dead letters about one page", n)
	}
}

func TestARowWithoutAnIdentityIsADeadLetterOnceAndCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	rows := r.rows(5, 6, 7)
	rows[0] = []byte(strings.Replace(string(rows[0]), `"asin":"`, `"asin":"x.`, 1))
	rows[1] = []byte(strings.Replace(string(rows[1]), `"creationDate":`, `"creationDate":0,"was":`, 1))
	for range 2 {
		r.pass(watermark.State{}).offer(0, r.body(rows...))
	}
	if n := r.held(pipeline.StreamCandidates); n != 1 {
		t.Errorf("%d candidates, want the one that can be decided", n)
	}
	var reasons []string
	err := bus.ScanJSON(t.Context(), r.bus, pipeline.StreamDead, bus.From{}, func(_ bus.Read, d pipeline.Dead) error {
		reasons = append(reasons, d.Reason)
		return nil
	})
	slices.Sort(reasons)
	if err != nil || !slices.Equal(reasons, []string{"bad_asin", "no_date"}) {
		t.Errorf("dead letters %v, %v", reasons, err)
	}
}

func TestAFailingListIsRetriedWithBackoffAndStopsNoOtherList(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.d.Grant(t, pipeline.StageWatermarker, 100)
	r.d.Sim.Change(func(f *keepasim.Faults) {
		f.Rules = []keepasim.Rule{{Kind: keepasim.KindDeal, Do: keepasim.Fail, Status: 503, Probability: 1}}
	})
	for i, want := range []time.Duration{20 * time.Second, 40 * time.Second, 80 * time.Second} {
		s := r.now()
		s.NextPoll = time.Time{}
		r.write(s)
		before := r.env.Now()
		if err := r.poll(t.Context()); err != nil {
			t.Errorf("what Keepa refused is logged and counted already, and is an error: %v", err)
		}
		if n := r.status.Beat().Counters["failures"]; n != int64(i+1) {
			t.Fatalf("%d failures of %d calls", n, i+1)
		}
		if d := r.now().NextPoll.Sub(before); d < want || d > want+10*time.Second {
			t.Errorf("it is postponed by %s, want %s", d, want)
		}
	}
	kv, err := r.bus.Store(t.Context(), pipeline.BucketWatermarks)
	if err != nil {
		t.Fatal(err)
	}
	second := *r.list
	second.Name = "second"
	second.cell = bus.NewCell(kv, pipeline.KeyWatermark(1, "second"))
	r.lists = append(r.lists, &second)
	if _, err := kv.Put(t.Context(), r.list.cell.Key(), []byte(`{"mark":999999999}`)); err != nil { // far ahead
		t.Fatal(err)
	}
	if err := r.introduce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.round(t.Context()); err != nil {
		t.Errorf("a list that cannot be read stops the others: %v", err)
	}
	if s, err := r.state(t.Context(), second.cell); err != nil || s.Why != "never read" || s.NextPoll.IsZero() {
		t.Errorf("the second list: %+v, %v", s, err)
	}
	if stuck := r.status.Beat().Stuck; !strings.Contains(stuck, r.list.cell.Key()) {
		t.Errorf("the status says %q", stuck)
	}
}

func TestNoReadBeginsOnLessThanTheOperatorsCeilingOfAPage(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.d.Grant(t, pipeline.StageWatermarker, 9)
	kv, err := r.bus.Store(t.Context(), pipeline.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bus.Change(t.Context(), bus.NewCell(kv, pipeline.KeyGrant(pipeline.StageWatermarker)), func(g token.Grant) (token.Grant, bool, error) {
		g.Ceilings = map[pipeline.Kind]int{pipeline.KindDeals: 10}
		return g, true, nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.introduce(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second) // a read that began waits for its page's tokens
	defer cancel()
	if err := r.poll(ctx); err != nil || r.list.reader.Busy || r.now().Read != nil {
		t.Errorf("began %+v on 9 tokens at 10 a page: busy %t, %v", r.now().Read, r.list.reader.Busy, err)
	}
}

func TestAnOutageOfNATSIsLoggedOnceAndTriedLessAndLess(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	var log bytes.Buffer
	r.env.Log = slog.New(slog.NewTextHandler(&log, nil))
	r.bus.NC.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.run(ctx) }()
	desk.Await(t, "five attempts", func() bool { return r.status.Beat().Counters["failures"] >= 5 })
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended: %v", err)
	}
	if n := strings.Count(log.String(), "step failed, will retry"); n != 1 {
		t.Errorf("logged %d times, want once:\n%s", n, log.String())
	}
}

func TestPollingStopsWhileMoreWaitsThanCanBeDecided(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.d.Grant(t, pipeline.StageWatermarker, 100)
	if err := r.introduce(t.Context()); err != nil {
		t.Fatal(err)
	}
	due := r.now()
	if err := r.introduce(t.Context()); err != nil || !r.now().NextPoll.Equal(due.NextPoll) {
		t.Errorf("a list that is known is introduced again: %v", err)
	}
	r.list.reader.Backlog = 2
	r.pass(watermark.State{}).offer(0, r.body(r.rows(5)...))
	r.d.Survives(t, r.d.Work(t, r.d.ASINs(keepasim.Good)[3], pipeline.SourceRefresh, pipeline.FirstGeneration), pipeline.LookGlance, string(pipeline.SourceRefresh))
	r.write(due)
	if err := r.poll(t.Context()); r.list.reader.Busy || err != nil {
		t.Errorf("polled %t, %v", r.list.reader.Busy, err)
	}
	if s := r.now(); s.Read != nil || s.NextPoll.Before(r.env.Now().Add(r.cfg.Shortest-time.Minute)) {
		t.Errorf("%+v", s)
	}
	r.list.reader.Backlog = 3
	r.write(due)
	if err := r.poll(t.Context()); !r.list.reader.Busy || err != nil || r.now().Mark == 0 {
		t.Errorf("with room for more: polled %t, %v", r.list.reader.Busy, err)
	}
}

func TestTheSameDeadRowHasOneDeadLetterAlsoAfterTheDedupWindow(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	row := []byte(strings.Replace(string(r.rows(5)[0]), `"asin":"`, `"asin":"x.`, 1))
	letter := bus.Message{Subject: pipeline.SubjectDead(string(pipeline.StageWatermarker), rowKey(row)), ID: "of last week", Body: []byte("{}")}
	if _, err := r.bus.Publish(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	r.pass(watermark.State{}).offer(0, r.body(row))
	if n := r.held(pipeline.StreamDead); n != 1 {
		t.Errorf("%d dead letters about one row", n)
	}
}

func TestAReadThatWaitsForTokensEndsOnceAnotherInstanceLeads(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	other := bus.NewLease(r.d.Bus, pipeline.KeyWatermarkerLeader)
	turn := &turn{w: r.watermarker, list: r.list}
	woke := func() watermark.Event {
		t.Helper()
		r.hint.Give()
		e, mine, err := turn.interruptible(t.Context(), watermark.Wait{})
		if err != nil || !mine {
			t.Fatalf("it waits: %t, %v", mine, err)
		}
		return e
	}
	if e := woke(); e != (watermark.Woke{Leads: true}) {
		t.Errorf("no other instance runs: %+v", e)
	}
	r.lease.Release()
	if leads, _, err := other.Hold(t.Context()); !leads || err != nil {
		t.Fatalf("the other leads: %t, %v", leads, err)
	}
	if e := woke(); e != (watermark.Woke{Leads: false}) {
		t.Errorf("another instance leads: %+v", e)
	}
}

func TestAReadThatWasFrozenClaimsNoPageOnceAnotherInstanceLeads(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.d.Grant(t, pipeline.StageWatermarker, 100)
	turn := &turn{w: r.watermarker, list: r.list}
	claimed := func() watermark.Event {
		t.Helper()
		e, mine, err := turn.interruptible(t.Context(), watermark.Claim{})
		if err != nil || !mine {
			t.Fatalf("it claims: %t, %v", mine, err)
		}
		return e
	}
	if e := claimed(); e != (watermark.Claimed{}) {
		t.Errorf("no other instance runs: %+v", e)
	}
	r.lease.Release()
	if leads, _, err := bus.NewLease(r.d.Bus, pipeline.KeyWatermarkerLeader).Hold(t.Context()); !leads || err != nil {
		t.Fatalf("the other leads: %t, %v", leads, err)
	}
	if e := claimed(); e != (watermark.Woke{Leads: false}) {
		t.Errorf("another instance leads: %+v", e)
	}
}

func TestRowsThatTheStreamRefusesAreNotOffered(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.d.Grant(t, pipeline.StageWatermarker, 100)
	if err := r.introduce(t.Context()); err != nil {
		t.Fatal(err)
	}
	repair := r.d.Refuse(t, pipeline.StreamCandidates)
	if err := r.poll(t.Context()); err == nil {
		t.Error("what the stream refuses counts as offered")
	}
	if s := r.now(); s.Mark != 0 || r.status.Beat().Counters["candidates"] != 0 {
		t.Errorf("nothing was offered, and the watermark is at %d: %v", s.Mark, r.status.Beat().Counters)
	}
	repair()
	s := r.now()
	s.NextPoll = time.Time{} // the time of the backoff has passed
	r.write(s)
	r.lease.Release()
	next := again(t, r.d)
	if err := next.poll(t.Context()); err != nil || next.now().Mark == 0 || r.held(pipeline.StreamCandidates) == 0 {
		t.Errorf("repaired: %d candidates, the watermark is at %d: %v", r.held(pipeline.StreamCandidates), next.now().Mark, err)
	}
}

func TestAQueryThatChangedUnderItsNameIsReadAsANewOne(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	changed, err := keepa.ParseQuery(r.list.Name, bytes.Replace(schemas.UsedBooksQuery, []byte(`[2000, 45100]`), []byte(`[3000, 45100]`), 1))
	if err != nil || changed.ID() == r.list.ID() {
		t.Fatalf("%s, %v", changed.ID(), err)
	}
	r.d.Grant(t, pipeline.StageWatermarker, 100)
	claims := func(l *list) watermark.Event {
		t.Helper()
		e, _, err := (&turn{w: r.watermarker, list: l}).interruptible(t.Context(), watermark.Claim{})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	r.current.hold([]keepa.Query{r.list.Query}, 1)
	if r.adopt(); r.lists[0] != r.list {
		t.Error("a query that is applied again loses its reader")
	}
	r.current.hold([]keepa.Query{changed}, 2)
	r.adopt()
	if got := r.lists[0]; got.ID() != changed.ID() || got.cell.Key() != r.list.cell.Key() {
		t.Fatalf("%s is read at %s where %s is current", got.ID(), got.cell.Key(), changed.ID())
	}
	if e := claims(r.list); e != (watermark.Removed{}) {
		t.Errorf("a page of the old query is claimed: %T", e)
	}
	if e := claims(r.lists[0]); e != (watermark.Claimed{}) {
		t.Errorf("no page of the new query is claimed: %T", e)
	}
}

func TestAWrongSettingIsNamed(t *testing.T) {
	t.Parallel()
	good := again(t, desk.New(t, 1)).cfg
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string]func(*Config){
		"WATERMARKER_SHORTEST": func(c *Config) { c.Shortest = 0 },
		"WATERMARKER_LONGEST":  func(c *Config) { c.Longest = c.Shortest - 1 },
		"WATERMARKER_SWEEP":    func(c *Config) { c.Sweep = 0 },
		"WATERMARKER_BACKLOG":  func(c *Config) { c.Backlog = 0 },
		"WATERMARKER_GRACE":    func(c *Config) { c.Grace = -1 },
	} {
		c := good
		wrong(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
