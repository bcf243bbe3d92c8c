package watermarker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	"ratchet/pipeline/worker"
	"ratchet/test/desk"
)

// reader is a watermarker whose verbs a test calls itself.
type reader struct {
	*watermarker
	t *testing.T
	d *desk.Desk
	q query
}

func newReader(t *testing.T) reader {
	t.Helper()
	d := desk.New(t, 1)
	return again(t, d)
}

// again is a watermarker that started later.
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
	w.inForce = &inForce{pulse: w.pulse}
	w.inForce.hold(queries, 0)
	w.take()
	w.retired = true
	return reader{watermarker: w, t: t, d: d, q: w.queries[0]}
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

func (r reader) begun(s watermark.State) *read {
	r.t.Helper()
	out, err := r.begin(r.t.Context(), r.q, s)
	if err != nil || out == nil {
		r.t.Fatal(out, err)
	}
	return out
}

// published makes candidates of a page and returns how many were new.
func (r reader) published(rd *read, body []byte) int {
	r.t.Helper()
	list, err := keepa.DecodeDealPage(body)
	if err != nil {
		r.t.Fatal(err)
	}
	n, err := rd.publish(r.t.Context(), &list, "call")
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r reader) now() watermark.State {
	r.t.Helper()
	s, err := r.state(r.t.Context(), r.q)
	if err != nil {
		r.t.Fatal(err)
	}
	return s
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
	first := r.begun(watermark.State{})
	if n := r.published(first, r.body(rows[0], rows[1], rows[0])); n != 2 || first.moves.Fresh+first.moves.Late != 2 {
		t.Errorf("%d candidates of two rows, of which one was listed twice; counted %d", n, first.moves.Fresh+first.moves.Late)
	}
	if n := r.published(first, r.body(rows...)); n != 1 {
		t.Errorf("%d candidates of a row that slipped onto the next page and a new one, want 1", n)
	}
	later := again(t, r.d)
	if n := later.published(later.begun(watermark.State{}), r.body(rows...)); n != 0 {
		t.Errorf("%d candidates after a restart, of rows that were offered", n)
	}
	asins := r.d.ASINs(keepasim.Good)
	decided := pipeline.Identity{Domain: 1, ASIN: asins[4], PriceType: int(keepa.Used), CreationDate: int64(keepa.FromTime(r.env.Now())) - 9}
	m := pipeline.Seen{CreationDate: decided.CreationDate, Look: pipeline.LookCommit, Outcome: pipeline.Reject}
	if err := seen.Remember(t.Context(), r.bus, decided, m); err != nil {
		t.Fatal(err)
	}
	if n := r.published(r.begun(watermark.State{}), r.body(r.row(asins[4], 9))); n != 0 {
		t.Error("a row that was decided is offered again")
	}
	if n := r.published(r.begun(watermark.State{}), r.body(r.row(asins[4], 3), r.row(asins[0], 2))); n != 2 {
		t.Errorf("%d candidates of rows that were decided and offered and whose price moved since, want 2", n)
	}
}

func TestARowComesByTheLaneThatSaysWhyItIsReadNow(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	now := watermark.Mark(keepa.FromTime(r.env.Now()))
	s := watermark.State{Mark: now - 30, ReadAt: r.env.Now().Add(-time.Hour)}.Owe(watermark.Gap{ID: "g", From: now - 200, To: now - 100})
	rd := r.over(r.q, s.Begin(r.q.ID(), 0, r.plan, r.env.Now()), r.plan)
	if n := r.published(rd, r.body(r.rows(5, 150, 100_000)...)); n != 3 || rd.moves.Fresh != 1 || rd.moves.Late != 2 {
		t.Errorf("%d candidates, %d above the mark and %d below", n, rd.moves.Fresh, rd.moves.Late)
	}
	got := map[string]int{}
	err := bus.ScanJSON(t.Context(), r.bus, pipeline.StreamCandidates, bus.From{}, func(m bus.Read, c pipeline.Candidate) error {
		got[fmt.Sprintf("%s %d", strings.Split(m.Subject, ".")[2], int64(now)-c.CreationDate)]++
		if c.Queries[0] != r.q.ID() || c.ListSeenAt.IsZero() {
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

func TestAReadWhoseInstanceDiedResumesFromItsStoredPages(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.stored("used-books-0", "before", r.page(7), 0) // of the read before
	r.begun(watermark.State{})                       // and it dies
	if s := r.now(); s.Read == nil {
		t.Fatal("no read is under way")
	}
	r.stored("used-books-0", "c1", r.page(0), time.Minute)
	r.stored("others-0", "c2", r.page(1), 0)               // another query's
	r.stored("used-books-1", "c3", r.page(1)[:5000], 0)    // it came in part
	r.stored("used-books-1", "c4", []byte(`{"a":1}`), 0)   // it holds no list
	r.stored("used-books-1", "c5", r.page(1), time.Minute) // it was bought again
	next := again(t, r.d)
	rd := next.begun(next.now())
	if index, more := rd.moves.Next(); index != 2 || !more || rd.moves.Pages != 2 || rd.state.Read.ID != r.now().Read.ID {
		t.Errorf("it resumes at page %d after %d pages, as %s", index, rd.moves.Pages, rd.state.Read.ID)
	}
	if n := next.held(pipeline.StreamCandidates); n != 2*watermark.RowsPerPage {
		t.Errorf("%d candidates of two stored pages", n)
	}
	rd = next.begun(next.now()) // and once more
	if n := next.held(pipeline.StreamCandidates); n != 2*watermark.RowsPerPage || rd.moves.Fresh+rd.moves.Late != 0 {
		t.Errorf("%d candidates after another restart", n)
	}
}

func TestAReadThatNobodyResumedForLongIsEndedAndOwesTheRest(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	now := watermark.Mark(keepa.FromTime(r.env.Now()))
	known := watermark.State{Query: r.q.ID(), Mark: now - 5000, ReadAt: r.env.Now().Add(-3 * time.Hour), LastSweep: r.env.Now().Add(-3 * time.Hour), IntervalS: 900}
	r.write(known)
	died := r.begun(known).state.Read.ID
	r.change(func(s watermark.State) watermark.State { s.Read.Begun = s.Read.Begun.Add(-2 * time.Hour); return s })
	r.stored("used-books-0", "c1", r.page(0), 90*time.Minute)
	if next := r.begun(r.now()); next.state.Read.ID == died || next.moves.Pages != 0 {
		t.Fatalf("a read of two hours ago is resumed: %+v", next.state.Read)
	}
	s := r.now()
	if s.Mark < now-5 || !s.Owes(now-2000) {
		t.Errorf("mark %d minutes ago, owed %+v; want what was read counted and the rest owed", now-s.Mark, s.Gaps)
	}
	if got := r.held(pipeline.StreamCandidates); got != watermark.RowsPerPage {
		t.Errorf("%d candidates", got)
	}
}

func (r reader) write(s watermark.State) {
	r.change(func(watermark.State) watermark.State { return s })
}

func (r reader) change(f func(watermark.State) watermark.State) {
	r.t.Helper()
	_, err := bus.Change(r.t.Context(), r.q.cell, func(s watermark.State) (watermark.State, bool, error) { return f(s), true, nil })
	if err != nil {
		r.t.Fatal(err)
	}
}

func TestAReadEndsOnceAndOnlyWhileItIsTheOneUnderWay(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	rd := r.begun(watermark.State{})
	list, err := keepa.DecodeDealPage(r.body(r.rows(5, 6)...))
	if err != nil {
		t.Fatal(err)
	}
	if err := rd.take(t.Context(), 0, &list, "c1"); err != nil {
		t.Fatal(err)
	}
	rd.moves.Done = true
	other := rd.state
	other.Read = &watermark.Progress{ID: "another", Begun: r.env.Now()}
	mine := r.now()
	r.write(other)
	if err := rd.end(t.Context()); err != nil || r.now().Read == nil || r.now().Read.ID != "another" || r.now().Mark != 0 {
		t.Errorf("the read of a leader that was deposed ended its successor's: %+v, %v", r.now(), err)
	}
	r.write(mine)
	for range 2 {
		if err := rd.end(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	s := r.now()
	if s.Read != nil || s.Mark == 0 || s.Gaps == nil {
		t.Errorf("after its end: %+v", s)
	}
	if r.lines(pipeline.EventPoll) != 1 {
		t.Errorf("%d lines about one page", r.lines(pipeline.EventPoll))
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

func TestWhatAReadDidToWhatIsOwedIsToldOnceWhereverItDies(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	rd := r.begun(watermark.State{})
	rd.moves.Take(rd.q.page(0, &keepa.DealPage{}))
	c := watermark.Change{
		Opened: []watermark.Gap{{ID: "a", From: 1, To: 5}, {ID: "b", From: 7, To: 9}},
		Filled: []watermark.Gap{{ID: "a"}}, Expired: []watermark.Gap{{ID: "c", RowsEstimate: 3}},
	}
	for range 2 {
		if err := rd.tell(t.Context(), c, r.env.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for event, want := range map[pipeline.Event]int{pipeline.EventGapOpened: 2, pipeline.EventGapFilled: 1, pipeline.EventGapExpired: 1, pipeline.EventSweep: 1} {
		if n := r.lines(event); n != want {
			t.Errorf("%d lines %s, want %d", n, event, want)
		}
	}
}

func TestAPageIsPaidForAFewTimesAndThenSkippedWithADeadLetter(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	r.d.Grant(t, pipeline.StageWatermarker, 100)
	rd := r.begun(watermark.State{})
	for i := range pipeline.MaxPaid {
		c, err := r.spender.Claim(t.Context(), token.PricePage, pipeline.KindDeals, 1)
		if err != nil {
			t.Fatal(err)
		}
		if spent, err := rd.begin(t.Context(), 1, c); spent || err != nil {
			t.Fatalf("call %d: spent %t, %v", i+1, spent, err)
		}
		if i < pipeline.MaxPaid-1 {
			err = c.Close(t.Context(), 5, nil)
		} else {
			_, waits := rd.begin(t.Context(), 1, c) // the last may have cost something
			if !errors.Is(waits, worker.ErrPrice) {
				t.Errorf("it is bought again before anybody knows what the last call cost: %v", waits)
			}
			err = c.Close(t.Context(), 5, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := r.spender.Claim(t.Context(), token.PricePage, pipeline.KindDeals, 1)
	if err != nil {
		t.Fatal(err)
	}
	spent, err := rd.begin(t.Context(), 1, c)
	if !spent || err != nil || r.held(pipeline.StreamDead) != 1 {
		t.Errorf("spent %t, %v, %d dead letters", spent, err, r.held(pipeline.StreamDead))
	}
	if next, _ := rd.moves.Next(); next != 2 {
		t.Errorf("it continues at page %d, want 2", next)
	}
	if spent, err := rd.begin(t.Context(), 2, c); spent || err != nil {
		t.Errorf("another page is spent too: %t, %v", spent, err)
	}
}

func TestARowWithoutAnIdentityIsADeadLetterOnceAndCostsTheOthersNothing(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	rows := r.rows(5, 6, 7)
	rows[0] = []byte(strings.Replace(string(rows[0]), `"asin":"`, `"asin":"x.`, 1))
	rows[1] = []byte(strings.Replace(string(rows[1]), `"creationDate":`, `"creationDate":0,"was":`, 1))
	for range 2 {
		rd := r.begun(watermark.State{})
		r.published(rd, r.body(rows...))
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

func TestAListThatFailsRestsLongerEachTimeAndAListThatCannotBeReadStopsNoOther(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	for _, want := range []time.Duration{20 * time.Second, 40 * time.Second, 80 * time.Second} {
		r.write(watermark.State{Read: &watermark.Progress{ID: "r"}})
		before := r.env.Now()
		if err := r.postpone(t.Context(), r.q); err != nil {
			t.Fatal(err)
		}
		if d := r.now().NextPoll.Sub(before); d < want || d > want+10*time.Second {
			t.Errorf("it rests for %s, want %s", d, want)
		}
	}
	for range 20 {
		r.write(watermark.State{Read: &watermark.Progress{ID: "r"}})
		if err := r.postpone(t.Context(), r.q); err != nil {
			t.Fatal(err)
		}
	}
	if d := r.now().NextPoll.Sub(r.env.Now()); d > r.plan.Shortest {
		t.Errorf("it rests for %s at most, want %s", d, r.plan.Shortest)
	}
	// Its own end has set the next poll: that stands.
	far := r.env.Now().Add(time.Hour).Truncate(time.Second)
	r.write(watermark.State{Read: &watermark.Progress{ID: "r"}, NextPoll: far})
	if err := r.postpone(t.Context(), r.q); err != nil || !r.now().NextPoll.Equal(far) {
		t.Errorf("next poll %s, %v", r.now().NextPoll, err)
	}
	kv, err := r.bus.Store(t.Context(), pipeline.BucketWatermarks)
	if err != nil {
		t.Fatal(err)
	}
	second := r.q
	second.Name = "second"
	second.cell = bus.NewCell(kv, pipeline.KeyWatermark(1, "second"))
	r.queries = append(r.queries, second)
	if _, err := kv.Put(t.Context(), r.q.cell.Key(), []byte(`{"mark":999999999}`)); err != nil { // far ahead
		t.Fatal(err)
	}
	if err := r.introduce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.round(t.Context()); err != nil {
		t.Errorf("a list that cannot be read stops the others: %v", err)
	}
	if s, err := r.state(t.Context(), second); err != nil || s.Why != "never read" || s.NextPoll.IsZero() {
		t.Errorf("the second list: %+v, %v", s, err)
	}
	if stuck := r.pulse.Beat().Stuck; !strings.Contains(stuck, r.q.cell.Key()) {
		t.Errorf("the status says %q", stuck)
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
	r.cfg.Backlog = 2
	r.published(r.begun(watermark.State{}), r.body(r.rows(5)...))
	r.d.Survives(t, r.d.Work(t, r.d.ASINs(keepasim.Good)[3], pipeline.SourceRefresh, pipeline.FirstGeneration), pipeline.LookGlance, string(pipeline.SourceRefresh))
	r.write(due)
	if did, err := r.poll(t.Context(), r.q, due); did || err != nil {
		t.Errorf("polled %t, %v", did, err)
	}
	if s := r.now(); s.Read != nil || s.NextPoll.Before(r.env.Now().Add(r.plan.Shortest-time.Minute)) {
		t.Errorf("%+v", s)
	}
	r.cfg.Backlog = 3
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if did, err := r.poll(ctx, r.q, due); !did || err != nil || r.now().Mark == 0 {
		t.Errorf("with room for more: polled %t, %v", did, err)
	}
}

func TestTheSameDeadRowIsOneLetterAlsoAfterTheDedupWindow(t *testing.T) {
	t.Parallel()
	r := newReader(t)
	row := []byte(strings.Replace(string(r.rows(5)[0]), `"asin":"`, `"asin":"x.`, 1))
	letter := bus.Message{Subject: pipeline.SubjectDead(string(pipeline.StageWatermarker), rowKey(row)), ID: "of last week", Body: []byte("{}")}
	if _, err := r.bus.Publish(t.Context(), letter); err != nil {
		t.Fatal(err)
	}
	r.published(r.begun(watermark.State{}), r.body(row))
	if n := r.held(pipeline.StreamDead); n != 1 {
		t.Errorf("%d letters about one row", n)
	}
}

func TestNonsenseInTheConfigurationIsNamed(t *testing.T) {
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
