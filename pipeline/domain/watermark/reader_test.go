package watermark

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
)

// world is what a reader reads and writes, without I/O.
type world struct {
	t       *testing.T
	now     time.Time
	state   State
	list    []Page
	stored  []Answer
	known   map[Row]bool
	backlog int
	pages   int // that the credit pays for
	flaw    func(index int) Flaw
	tried   token.Attempts
	claim   func() Event // nil: claimed
	leads   bool
	fails   func(Effect) bool

	did    []string // effects by name, without their arguments
	bought []int
	held   bool
	lanes  map[Row]pipeline.Source
	lines  []token.Line
	dead   []DeadLetter
}

var errLost = errors.New("lost")

// newWorld returns a list of three full pages that was read an hour ago: the next read ends with its second page.
func newWorld(t *testing.T) *world {
	t.Helper()
	now := keepa.FromTime(t0)
	w := &world{t: t, now: t0, pages: 20, leads: true, known: map[Row]bool{}, lanes: map[Row]pipeline.Source{}}
	for i := range 3 {
		p := Page{Index: i, Total: 3 * RowsPerPage, Now: Mark(now), Updated: Mark(now)}
		for j := range RowsPerPage {
			p.Rows = append(p.Rows, Row{ASIN: fmt.Sprintf("B%09d", 1000*i+j), At: Mark(now) - Mark(149*i+j)})
		}
		w.list = append(w.list, p)
	}
	for i := range 2 {
		w.list[i+1].Rows[0] = w.list[i].Rows[RowsPerPage-1] // joined
	}
	w.state = State{Query: "q@1", Mark: Mark(now) - 180, ReadAt: t0.Add(-time.Hour), LastSweep: t0.Add(-time.Hour), IntervalS: 900, NextPoll: t0.Add(-time.Minute), Rows: 450, Pages: 3}
	return w
}

func (w *world) clock() time.Time { return w.now }

func (w *world) do(e Effect) (Event, error) {
	name := strings.TrimPrefix(fmt.Sprintf("%T", e), "watermark.")
	if s, ok := e.(Swap); ok {
		name = strings.TrimPrefix(fmt.Sprintf("%T", s.Edit), "watermark.")
	}
	if w.did = append(w.did, name); len(w.did) > 200 {
		w.t.Fatalf("the turn does not end: %v", w.did)
	}
	if w.fails != nil && w.fails(e) {
		if _, buy := e.(Buy); buy {
			w.held = false // a call closes its claim, whatever happens
		}
		return nil, errLost
	}
	switch e := e.(type) {
	case CountBacklog:
		return Counted{w.backlog}, nil
	case ReadFunds:
		return Funds{Pages: w.pages, Income: 5}, nil
	case Replay:
		return Replayed{w.stored[e.Since:]}, nil
	case Locate:
		return Located{uint64(len(w.stored))}, nil
	case Claim:
		if w.claim != nil {
			return w.claim(), nil
		}
		w.held = true
		return Claimed{}, nil
	case Wait:
		return Woke{w.leads}, nil
	case CountAttempts:
		return Tried{w.tried}, nil
	case Buy:
		w.held = false
		w.bought = append(w.bought, e.Index)
		a := Answer{Page: w.list[e.Index], Call: fmt.Sprintf("c%d", len(w.stored)), At: w.now}
		if w.flaw != nil {
			a.Flaw = w.flaw(e.Index)
		}
		w.stored = append(w.stored, a)
		return Bought{a}, nil
	case Release:
		w.held = false
	case Offer:
		var out []Row
		for _, row := range e.Rows {
			if !w.known[row.Row] {
				w.known[row.Row], w.lanes[row.Row] = true, row.Source
				out = append(out, row.Row)
			}
		}
		return Offered{out}, nil
	case DeadLetterRows:
		return Offered{}, nil
	case DeadLetter:
		w.dead = append(w.dead, e)
	case Append:
		if !slices.ContainsFunc(w.lines, func(l token.Line) bool { return l.ID == e.Line.ID }) {
			w.lines = append(w.lines, e.Line)
		}
	case Reload:
		return Reloaded{State: w.state, Income: 5}, nil
	case Swap:
		if next, write := e.Edit.Apply(w.state); write {
			w.state = next
		}
		return Swapped{w.state}, nil
	case BuyLater:
		return nil, fmt.Errorf("page %d: %w", e.Index, errLost)
	}
	return nil, nil //nolint:nilnil // an effect without an answer
}

// reader returns a reader that has just started.
func (w *world) reader() Reader {
	return NewReader(Setup{Query: "q@1", Plan: DefaultPlan(), Backlog: 10})
}

// turn gives a reader one turn.
func (w *world) turn(r Reader) (Reader, error) {
	w.did, w.bought = nil, nil
	return r.Run(Look{State: w.state}, w.clock, w.do)
}

// lost loses the effect at an index of a turn.
func lost(n int) func(Effect) bool {
	return func(Effect) bool { n--; return n == -1 }
}

func (w *world) want(name string, did ...string) {
	w.t.Helper()
	if !slices.Equal(w.did, did) {
		w.t.Errorf("%s: did %v\nwant %v", name, w.did, did)
	}
}

var (
	begins = []string{"CountBacklog", "ReadFunds", "ReportDue", "Show", "Locate", "Start"}
	buys   = []string{"Claim", "CountAttempts", "Attempt", "Buy", "Offer", "Append"}
	ends   = []string{"Reload", "Finish", "Stepped"}
)

func TestAReadOffersEveryPageBeforeItBuysTheNextAndThenRatchets(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, err := w.turn(w.reader())
	w.want("a read", slices.Concat(begins, buys, buys, ends)...)
	now := Mark(keepa.FromTime(t0))
	if err != nil || !r.Busy || r.Failures != 0 || w.state.Mark != now || w.state.Read != nil || w.state.Gaps == nil || !slices.Equal(w.bought, []int{0, 1}) {
		t.Errorf("%v, %+v, bought %v", err, w.state, w.bought)
	}
	if n := len(w.lanes); n != 2*RowsPerPage-1 {
		t.Errorf("%d candidates", n)
	}
	want := pipeline.Entry{
		Event: pipeline.EventPoll, Stage: pipeline.StageWatermarker, At: t0, Query: "q@1", From: int64(now) - 149, To: int64(now), RowsEstimate: RowsPerPage,
		Claim: "c0", Note: "page 0, 150 new, due 2026-01-05T11:59:00Z, every 900 s",
	}
	if w.lines[0].ID != "poll:c0" || !reflect.DeepEqual(w.lines[0].Entry, want) || w.lines[1].ID != "poll:c1" {
		t.Errorf("lines %+v", w.lines)
	}
	if !strings.HasPrefix(w.state.Why, "299 of 300 were new") {
		t.Errorf("why %q", w.state.Why)
	}
}

func TestAPollIsMadeOnlyWhenItIsDueAndWorkAndTokensAllowIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*world)
		look   Look
		did    []string
	}{
		"not due":             {change: func(w *world) { w.state.NextPoll = t0.Add(time.Second) }},
		"the breaker is open": {look: Look{Blocked: true}, did: []string{"Show"}},
		"the backlog is full": {change: func(w *world) { w.backlog = 10 }, did: []string{"CountBacklog", "Postpone"}},
		"too few tokens":      {change: func(w *world) { w.pages = 0 }, did: []string{"CountBacklog", "ReadFunds", "ReportDue", "Show"}},
	} {
		w := newWorld(t)
		if c.change != nil {
			c.change(w)
		}
		c.look.State = w.state
		r, err := w.reader().Run(c.look, w.clock, w.do)
		w.want(name, c.did...)
		if err != nil || r.Busy || w.state.Read != nil {
			t.Errorf("%s: %v, busy %t", name, err, r.Busy)
		}
	}
	w := newWorld(t)
	w.backlog, w.pages = 9, 1
	if r, _ := w.turn(w.reader()); !r.Busy || len(w.bought) != 2 {
		t.Error("with room for one more, and the tokens of one page, nothing was read")
	}
}

func TestAnAppliedListIsDueOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.state = State{}
	for range 2 {
		if _, err := w.reader().Run(Admit{w.state}, w.clock, w.do); err != nil {
			t.Fatal(err)
		}
	}
	w.want("introduced", "Introduce")
	if !w.state.Due(t0) || w.state.NextPoll.IsZero() {
		t.Errorf("%+v", w.state)
	}
}

// begun stores the state of a read that began a while ago, and its first page.
func (w *world) begun(ago time.Duration, flaws ...Flaw) {
	w.stored = []Answer{{Page: w.list[1], Call: "earlier"}}
	w.state = w.state.Begin("q@1", 1, DefaultPlan(), w.now.Add(-ago))
	for i, f := range flaws {
		w.stored = append(w.stored, Answer{Page: w.list[0], Call: fmt.Sprintf("s%d", i), At: w.now.Add(-ago), Flaw: f})
	}
}

func TestAReadUnderWayResumesAfterItsStoredPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begun(10*time.Minute, Partial, NoFlaw)
	id := w.state.Read.ID
	if _, err := w.turn(w.reader()); err != nil {
		t.Fatal(err)
	}
	w.want("resumed", slices.Concat(begins[:4], []string{"Replay", "Offer", "Append"}, buys, ends)...)
	if !slices.Equal(w.bought, []int{1}) || w.state.Read != nil || !strings.HasPrefix(id, "q@1.1") {
		t.Errorf("bought %v, %+v", w.bought, w.state)
	}
	if w.lines[0].ID != "poll:s1" || len(w.lanes) != 2*RowsPerPage-1 {
		t.Errorf("the page that came in part was taken: %+v", w.lines)
	}
}

func TestAReadOfAnotherQueryUnderTheSameNameIsNotResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begun(time.Minute, NoFlaw)
	w.state.Query = "q@0"
	if _, err := w.turn(w.reader()); err != nil || slices.Contains(w.did, "Replay") || w.bought[0] != 0 {
		t.Errorf("did %v, bought %v", w.did, w.bought)
	}
}

func TestAReadThatNoInstanceResumedForLongEndsAndOwesTheRest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.begun(90*time.Minute, NoFlaw)
	old := w.state.Read.ID
	w.fails = func(e Effect) bool { _, locate := e.(Locate); return locate }
	if _, err := w.turn(w.reader()); err == nil {
		t.Fatal("it did not begin again")
	}
	w.want("too old", slices.Concat(begins[:4], []string{"Replay", "Offer", "Append", "Reload", "Append", "Finish", "Locate"})...)
	now := Mark(keepa.FromTime(t0))
	if w.state.Mark != now || !w.state.Owes(now-170) || w.state.Owes(now-100) || w.state.Read.ID != old || !w.state.Read.Cut {
		t.Errorf("what was read must count, and the rest be owed: %+v", w.state)
	}
	w.fails = nil
	w.state = newWorld(t).state
	w.begun(90 * time.Minute)
	if _, err := w.turn(w.reader()); err != nil {
		t.Fatal(err)
	}
	w.want("too old, without a page", slices.Concat(begins[:4], []string{"Replay", "Locate", "Start"}, buys, buys, ends)...)
}

func TestALeaderThatWasDeposedWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pages := 0
	w.claim = func() Event {
		if pages++; pages == 1 {
			return Claimed{}
		}
		return Short{}
	}
	waits := 0
	w.fails = func(e Effect) bool {
		if _, wait := e.(Wait); wait {
			waits++
			w.leads = waits < 3
		}
		return false
	}
	r, err := w.turn(w.reader())
	w.want("deposed", slices.Concat(begins, buys, []string{"Claim", "Show", "Wait", "Claim", "Show", "Wait", "Claim", "Show", "Wait"})...)
	if err != nil || r.Failures != 0 || w.state.Read == nil || w.state.Read.Cut {
		t.Errorf("%v, %+v", err, w.state)
	}
}

func TestAQueryThatIsTakenOutOfForceOwesWhatItsReadDidNotReach(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pages := 0
	w.claim = func() Event {
		if pages++; pages == 1 {
			return Claimed{}
		}
		return Removed{}
	}
	w.stored = []Answer{{Page: w.list[2], Call: "earlier"}}
	r, err := w.turn(w.reader())
	w.want("removed", slices.Concat(begins, buys, []string{"Claim", "Reload", "Append", "Finish"})...)
	now := Mark(keepa.FromTime(t0))
	if err != nil || r.Failures != 0 || w.state.Mark != now || !w.state.Owes(now-170) || !w.state.NextPoll.Before(t0) {
		t.Errorf("%v, %+v", err, w.state)
	}
	if w.state.Read.Since != 1 {
		t.Errorf("the read's pages are the answers after %d, want 1", w.state.Read.Since)
	}
	w = newWorld(t)
	w.claim = func() Event { return Removed{} }
	if _, err := w.turn(w.reader()); err != nil {
		t.Fatal(err)
	}
	w.want("removed before its first page", slices.Concat(begins, []string{"Claim"})...)
}

func TestAPageIsNotBoughtWhileAnEarlierCallMayHaveBeenPaidForNorMoreThanAFewTimes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tried = token.Attempts{Paid: 2, Doubtful: 1}
	r, err := w.turn(w.reader())
	w.want("the price is not known", slices.Concat(begins, []string{"Claim", "CountAttempts", "BuyLater", "Release", "CutShort"})...)
	if err == nil || w.held || r.Failures != 1 {
		t.Errorf("%v, holds a claim %t", err, w.held)
	}
	w = newWorld(t)
	var works []string
	w.fails = func(e Effect) bool {
		if e, ok := e.(CountAttempts); ok {
			works = append(works, e.Work)
			w.tried.Paid = map[int]int{2: pipeline.MaxPaid}[len(works)]
		}
		return false
	}
	_, err = w.turn(w.reader())
	w.want("paid for often", slices.Concat(begins, buys, []string{"Claim", "CountAttempts", "Release", "DeadLetter"}, buys, []string{"Reload", "Append", "Finish", "Stepped"})...)
	if err != nil || w.held || len(w.dead) != 1 || w.dead[0].Index != 1 || w.dead[0].Work != works[1] || w.dead[0].Answer != nil {
		t.Errorf("%v, %+v", err, w.dead)
	}
	if works[0] == works[1] || len(works[0]) != 24 {
		t.Errorf("two pages are the same work: %v", works)
	}
}

func TestASweepThatPassesAgainOverTheListBuysItsPagesUnderANewName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.state.LastSweep = t0.Add(-24 * time.Hour) // two rows are on two pages, so two are missing
	works := map[string]bool{}
	w.fails = func(e Effect) bool {
		if e, ok := e.(CountAttempts); ok {
			works[e.Work] = true
		}
		return false
	}
	if _, err := w.turn(w.reader()); err != nil || len(w.bought) != 6 || len(works) != 6 {
		t.Errorf("%v, bought %v under %d names", err, w.bought, len(works))
	}
}

func TestAPageThatCannotBeReadIsSkippedWithADeadLetterAndOneInPartIsBoughtAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.flaw = func(index int) Flaw { return map[int]Flaw{1: Unreadable}[index] }
	if _, err := w.turn(w.reader()); err != nil {
		t.Fatal(err)
	}
	w.want("unreadable", slices.Concat(begins, buys, buys[:4], []string{"DeadLetter"}, buys, []string{"Reload", "Append", "Finish", "Stepped"})...)
	if len(w.dead) != 1 || w.dead[0].Answer.Call != "c1" || w.state.Mark != Mark(keepa.FromTime(t0)) {
		t.Errorf("%+v, %+v", w.dead, w.state)
	}
	w = newWorld(t)
	w.flaw = func(index int) Flaw { return map[int]Flaw{1: Partial}[index] }
	r, err := w.turn(w.reader())
	w.want("in part", slices.Concat(begins, buys, buys[:5], []string{"BuyLater", "Reload", "Append", "Finish", "CutShort"})...)
	if err == nil || r.Failures != 1 || len(w.lanes) != 2*RowsPerPage-1 || !w.state.NextPoll.Equal(t0.Add(firstRest)) {
		t.Errorf("%v, %d failures, %d candidates, %+v", err, r.Failures, len(w.lanes), w.state)
	}
	w.now, w.flaw = t0.Add(firstRest), nil
	if r, err = w.turn(r); err != nil || r.Failures != 0 || !slices.Equal(w.bought, []int{1}) {
		t.Errorf("%v, bought %v", err, w.bought)
	}
}

func TestNothingIsOfferedOfAPageOfAStrangeShape(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.list[0].Now += 4 * 24 * 60
	before := w.state.Mark
	if _, err := w.turn(w.reader()); err != nil {
		t.Fatal(err)
	}
	w.want("strange", slices.Concat(begins, buys[:4], []string{"Warn", "DeadLetterRows", "Append"}, ends)...)
	if len(w.lanes) != 0 || w.state.Mark != before || !strings.Contains(w.lines[0].Entry.Note, "page 0, list shape anomaly: its newest row is 4 days old") {
		t.Errorf("%d candidates, %+v, %+v", len(w.lanes), w.state, w.lines)
	}
}

func TestTheValidRowsOfAPageOfAStrangeShapeAreOfferedAndMoveNothing(t *testing.T) {
	t.Parallel()
	undated := page(0, 450, 0, 150)
	for i := range 76 {
		undated.Rows[i].At = 0
	}
	ahead := page(0, 1, -3*24*60, 1)
	for name, c := range map[string]struct {
		page Page
		want int
		why  string
	}{
		"more than half without a date": {undated, 74, "76 of 150 rows have no date"},
		"one row, in the future":        {ahead, 1, "its oldest row lies 3 days in the future"},
	} {
		w := newWorld(t)
		w.list = []Page{c.page}
		for i := range c.page.Rows {
			c.page.Rows[i].ASIN = fmt.Sprintf("C%09d", i)
		}
		before := w.state.Mark
		if _, err := w.turn(w.reader()); err != nil {
			t.Fatal(err)
		}
		w.want(name, slices.Concat(begins, buys[:4], []string{"Warn", "Offer", "Append"}, ends)...)
		note := fmt.Sprintf("page 0, list shape anomaly: %s, %d new", c.why, c.want)
		if len(w.lanes) != c.want || w.state.Mark != before || len(w.state.Covered) != 0 || !strings.Contains(w.lines[0].Entry.Note, note) {
			t.Errorf("%s: %d candidates, want %d; %+v, %+v", name, len(w.lanes), c.want, w.state, w.lines)
		}
	}
}

func TestARowTakesTheLaneOfTheReasonForItsReadAndIsOfferedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := Mark(keepa.FromTime(t0))
	w.state = w.state.addGap(Gap{ID: "g", From: now - 150, To: now - 120})
	w.state.LastSweep = time.Time{} // so that what is old is the backfill
	w.state.Mark = now - 50
	at := func(age Mark) Row { return Row{ASIN: fmt.Sprintf("C%09d", age), At: now - age} }
	w.list = []Page{{Total: 5, Now: now, Updated: now, Rows: []Row{
		at(5), at(5), at(130), at(60), at(100_000), {ASIN: "C000000005", At: now - 6}, {ASIN: "no asin", At: now}, {ASIN: "C999999999"},
	}}}
	var offered int
	w.fails = func(e Effect) bool {
		if e, ok := e.(Offer); ok {
			offered = len(e.Rows)
		}
		return false
	}
	if _, err := w.turn(w.reader()); err != nil {
		t.Fatal(err)
	}
	want := map[Row]pipeline.Source{
		at(5): pipeline.SourceLive, at(130): pipeline.SourceGap, at(60): pipeline.SourceLive, at(100_000): pipeline.SourceBackfill,
		{ASIN: "C000000005", At: now - 6}: pipeline.SourceLive,
	}
	if !reflect.DeepEqual(w.lanes, want) || offered != len(want) {
		t.Errorf("%d rows, %v\nwant %v", offered, w.lanes, want)
	}
	r := w.reader()
	r.phase, r.State, r.read, r.page = reading, w.state, NewRead(false, 0, 66, 0), Answer{Page: w.list[0]}
	r.State.Mark = now - 50
	r, _ = r.Step(Offered{[]Row{at(5), at(60), at(130)}}, t0)
	if r.read.Fresh != 1 || r.read.Late != 2 {
		t.Errorf("%d above the mark and %d below, want 1 and 2", r.read.Fresh, r.read.Late)
	}
	if again := r.lanes(w.list[0], t0); len(again) != 0 {
		t.Errorf("rows that this read has offered slipped onto its next page and are offered again: %v", again)
	}
}

func TestAReadEndsOnceAndOnlyWhileItIsTheOneUnderWay(t *testing.T) {
	t.Parallel()
	s := newWorld(t).state.Begin("q@1", 1, DefaultPlan(), t0)
	r := s.NewRead(DefaultPlan())
	r.Take(page(0, 20, 0, 20))
	finish := Finish{ID: s.Read.ID, Read: r, Plan: DefaultPlan(), Now: t0}
	other := s
	other.Read = &Progress{ID: "another", Begun: t0}
	if next, write := finish.Apply(other); write || !reflect.DeepEqual(next, other) {
		t.Errorf("the read of a leader that was deposed ended its successor's: %+v", next)
	}
	next, write := finish.Apply(s)
	if _, twice := finish.Apply(next); !write || twice || next.Read != nil || next.Gaps == nil {
		t.Errorf("written %t, twice %t: %+v", write, twice, next)
	}
	w := newWorld(t)
	w.fails = func(e Effect) bool {
		if _, reload := e.(Reload); reload {
			w.state.Read = &Progress{ID: "another", Begun: t0}
		}
		return false
	}
	if _, err := w.turn(w.reader()); err != nil || slices.Contains(w.did, "Finish") || w.state.Read == nil {
		t.Errorf("%v, did %v", err, w.did)
	}
}

func TestEveryGapHasItsOwnLinesAndOneThatExpiresWithRowsIsAWarning(t *testing.T) {
	t.Parallel()
	r := NewReader(Setup{Query: "q@1"})
	r.State, r.read = State{Read: &Progress{ID: "q@1.7"}}, NewRead(true, 0, 66, 0)
	r.read.Take(Page{Total: 0})
	effects := r.changed(Change{
		Opened: []Gap{{ID: "a", From: 1, To: 5, RowsEstimate: 2}, {ID: "b", From: 7, To: 9}},
		Filled: []Gap{{ID: "a"}}, Expired: []Gap{{ID: "c", RowsEstimate: 3}, {ID: "d"}},
		Missed: 4,
	}, t0)
	var ids []string
	warnings := 0
	for _, e := range effects {
		switch e := e.(type) {
		case Append:
			ids = append(ids, e.Line.ID)
		case Warn:
			warnings++
		}
	}
	if want := []string{"gap_opened:a", "gap_opened:b", "gap_filled:a", "gap_expired:c", "gap_expired:d", "sweep:q@1.7"}; !slices.Equal(ids, want) || warnings != 1 {
		t.Errorf("%v, %d warnings", ids, warnings)
	}
	want := pipeline.Entry{Event: pipeline.EventGapOpened, Stage: pipeline.StageWatermarker, Query: "q@1", At: t0, From: 1, To: 5, RowsEstimate: 2, Note: "a"}
	if line := effects[0].(Append).Line.Entry; !reflect.DeepEqual(line, want) { //nolint:forcetypeassert // see above
		t.Errorf("%+v", line)
	}
	sweep := effects[len(effects)-1].(Append).Line.Entry //nolint:forcetypeassert // see above
	if sweep.Note != "1 pages, 0 new, about 4 came and went unseen" {
		t.Errorf("%+v", sweep)
	}
}

// The fault table: each effect of a read that is resumed, buys a page and ends is lost once.
func TestAfterEveryLostEffectTheClaimIsClosedWhatWasReadCountsAndNoPageIsBoughtTwice(t *testing.T) {
	t.Parallel()
	count := newWorld(t)
	count.begun(time.Minute, NoFlaw)
	if _, err := count.turn(count.reader()); err != nil {
		t.Fatal(err)
	}
	for n, name := range count.did {
		if slices.Contains([]string{"ReportDue", "Show", "Stepped"}, name) {
			continue // they cannot fail
		}
		w := newWorld(t)
		w.begun(time.Minute, NoFlaw)
		w.fails = lost(n)
		r, err := w.turn(w.reader())
		at := fmt.Sprintf("effect %d, %s: did %v", n, name, w.did)
		if !errors.Is(err, errLost) || w.held {
			t.Errorf("%s: %v, holds a claim %t", at, err, w.held)
		}
		cut := slices.Contains(w.did, "CutShort")
		if cut != (r.Failures == 1) || !cut && slices.Contains(w.did, "Claim") {
			t.Errorf("%s: %d failures", at, r.Failures)
		}
		if rests := w.state.NextPoll.After(t0); cut && w.state.Read != nil && !rests {
			t.Errorf("%s: the list does not rest", at)
		}
		paid := slices.Clone(w.bought)
		w.fails, w.now = nil, t0.Add(time.Minute)
		for range 3 {
			if r, err = w.turn(r); err != nil {
				t.Fatal(at, err)
			}
			paid = append(paid, w.bought...)
			w.now = w.now.Add(time.Minute)
		}
		now := Mark(keepa.FromTime(t0))
		if !slices.Equal(paid, []int{1}) || w.state.Mark != now || w.state.Read != nil || w.state.Driving() != 0 || len(w.known) != 2*RowsPerPage-1 || r.Failures != 0 {
			t.Errorf("%s: bought %v, %d candidates, %+v", at, paid, len(w.known), w.state)
		}
	}
}

func TestAClaimIsReleasedEvenIfThatFailsOnceBeforeTheReadEnds(t *testing.T) {
	t.Parallel()
	for _, stored := range [][]Flaw{nil, {NoFlaw}} {
		w := newWorld(t)
		w.begun(time.Minute, stored...)
		w.fails = func(e Effect) bool {
			switch e.(type) {
			case Attempt, Release:
				return true
			}
			return false
		}
		r, err := w.turn(w.reader())
		if tail := w.did[slices.Index(w.did, "Release")+1:]; err == nil || !slices.Contains(tail, "CutShort") || slices.Contains(tail, "Finish") != (len(stored) > 0) || r.Failures != 1 {
			t.Errorf("%d stored pages: did %v, %d failures", len(stored), w.did, r.Failures)
		}
		if !w.state.NextPoll.Equal(t0.Add(firstRest)) {
			t.Errorf("the next poll is at %s", w.state.NextPoll)
		}
	}
}

func TestFailuresInARowBackOffAndASuccessForgetsThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.reader()
	for _, want := range []time.Duration{firstRest, 2 * firstRest, 4 * firstRest} {
		w.fails = func(e Effect) bool { _, buy := e.(Buy); return buy }
		r, _ = w.turn(r)
		if d := w.state.NextPoll.Sub(w.now); d != want {
			t.Errorf("after %d failures it is postponed by %s, want %s", r.Failures, d, want)
		}
		w.now = w.state.NextPoll
	}
	w.fails = nil
	if r, _ = w.turn(r); r.Failures != 0 || w.state.Read != nil {
		t.Errorf("%d failures, %+v", r.Failures, w.state)
	}
}

func TestAStepLeavesTheReaderBeforeItUnchanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var steps []Reader
	r := w.reader()
	r, queue := r.Step(Look{State: w.state}, t0)
	for len(queue) > 0 {
		event, err := w.do(queue[0])
		if err != nil {
			t.Fatal(err)
		}
		if queue = queue[1:]; event == nil {
			continue
		}
		if r.read != nil {
			pages, distinct := r.read.Pages, r.read.Distinct()
			first, one := r.Step(event, t0)
			second, two := r.Step(event, t0)
			if !reflect.DeepEqual(first, second) || !reflect.DeepEqual(one, two) || r.read.Pages != pages || r.read.Distinct() != distinct { //nolint:govet // the same errors
				t.Fatalf("%T: two steps from one reader differ", event)
			}
			steps = append(steps, first)
		}
		var more []Effect
		r, more = r.Step(event, t0)
		queue = append(more, queue...)
	}
	if len(steps) < 8 {
		t.Errorf("%d steps within a read", len(steps))
	}
}
