package watermark

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// keepaNow is Keepa's clock in these tests.
const keepaNow = Mark(8_000_000)

// page returns a page of rows, newest first, whose ages in minutes are from, from+1, …
func page(index, total int, from Mark, n int) Page {
	p := Page{Index: index, Total: total, Now: keepaNow, Updated: keepaNow}
	for i := range n {
		p.Rows = append(p.Rows, Row{ASIN: fmt.Sprintf("A%d", from+Mark(i)), At: keepaNow - from - Mark(i)})
	}
	return p
}

// state returns one that has read everything older than an hour, an hour ago.
func state() State {
	return State{
		Query: "q@1", Mark: keepaNow - 60, ReadAt: t0.Add(-time.Hour), LastSweep: t0.Add(-time.Hour), IntervalS: 3600, Rows: 450, PerHour: 40, Pages: 3,
	}
}

func read(s State, pages ...Page) (State, *Read, Change) {
	s = s.Begin("q@1", 1, DefaultPlan(), t0)
	r := s.NewRead(DefaultPlan())
	for _, p := range pages {
		r.Take(p)
	}
	next, c := s.End(r, DefaultPlan(), t0.Add(time.Minute))
	return next, r, c
}

func TestTheEmptyPageIsNeverBought(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		index, rows, total int
		last               bool
	}{
		{0, 150, 150, true},
		{0, 150, 151, false},
		{2, 150, 450, true},
		{2, 150, -1, false}, // the list did not say
		{2, 149, -1, true},
	} {
		if got := page(c.index, c.total, 0, c.rows).Last(); got != c.last {
			t.Errorf("page %d of %d rows with %d: last %v, want %v", c.index, c.total, c.rows, got, c.last)
		}
	}
}

func TestNoSingleRowEndsARead(t *testing.T) {
	t.Parallel()
	bottom := keepaNow - 400
	for name, c := range map[string]struct {
		rows  func() Page
		below bool
	}{
		"all of it is older":          {func() Page { return page(0, 450, 500, 150) }, true},
		"its last rows are older":     {func() Page { return page(0, 450, 300, 150) }, true},
		"its last row alone is older": {func() Page { return page(0, 450, 252, 150) }, false},
		"a new row among old ones":    {func() Page { p := page(0, 450, 500, 150); p.Rows[149].At = keepaNow; return p }, false},
		"old rows above the newest":   {func() Page { p := page(0, 450, 300, 150); slices.Reverse(p.Rows); return p }, false},
	} {
		if got := c.rows().Below(bottom); got != c.below {
			t.Errorf("%s: the read ends %v, want %v", name, got, c.below)
		}
	}
}

func TestARunOfOldRowsAtTheEndOfAPageEndsARead(t *testing.T) {
	t.Parallel()
	p := page(0, 450, 0, 150) // ages 0 to 149
	for bottom, want := range map[Mark]bool{keepaNow - 100: true, keepaNow - 99: true, keepaNow - 101: false, keepaNow - 149: false} {
		if p.Below(bottom) != want {
			t.Errorf("with a bottom %d minutes ago: %v, want %v", keepaNow-bottom, !want, want)
		}
	}
	if few := page(0, 20, 0, 20); few.Below(keepaNow-1) || !few.Below(keepaNow) {
		t.Error("of a page with few rows not all were judged")
	}
	if _, r, _ := read(State{Query: "q@1", Mark: keepaNow - 10, ReadAt: t0.Add(-time.Hour), LastSweep: t0.Add(-time.Hour), IntervalS: 3600, Rows: 450, Pages: 3}, p); !r.Done || r.Pages != 1 {
		t.Errorf("the second page of a quiet list is bought: %+v", r)
	}
}

func TestAnIncrementalReadEndsBelowTheWatermarkAndItsMargin(t *testing.T) {
	t.Parallel()
	s := state()
	s.Mark = keepaNow - 100
	next, r, c := read(s, page(0, 450, 0, 150), page(1, 450, 149, 150))
	if !r.Done || r.Pages != 2 || next.Mark != keepaNow || len(next.Gaps) != 0 || next.Read != nil {
		t.Errorf("%d pages, done %v: %+v", r.Pages, r.Done, next)
	}
	if len(c.Opened) != 0 {
		t.Errorf("opened %v", c.Opened)
	}
}

func TestAReadGoesTenMinutesBelowTheMarkAndBuysNoPageForMore(t *testing.T) {
	t.Parallel()
	for ago, pages := range map[Mark]int{60: 1, 90: 1, 91: 2, 99: 2} { // the last fifty rows of the first page are 100 to 149 minutes old
		s := state()
		s.Mark = keepaNow - ago
		begun := s.Begin("q@1", 1, DefaultPlan(), t0)
		r := begun.NewRead(DefaultPlan())
		for i := 0; !r.Done; i++ {
			r.Take(page(i, 450, Mark(149*i), 150))
		}
		if r.Pages != pages {
			t.Errorf("with the mark %d minutes ago %d pages are bought, want %d", ago, r.Pages, pages)
		}
	}
}

func TestASeamWithoutACommonRowIsOwed(t *testing.T) {
	t.Parallel()
	s := state()
	s.Mark = keepaNow - 250
	next, _, c := read(s, page(0, 450, 0, 150), page(1, 450, 151, 150), page(2, 450, 400, 150))
	if len(c.Opened) != 1 || !next.Owes(keepaNow-150) || next.Owes(keepaNow-100) || !next.Gaps[0].Deep {
		t.Errorf("opened %+v", c.Opened)
	}
	if got := next.Bottom(60); got != keepaNow-60 {
		t.Errorf("the next read goes down %d minutes for a seam", keepaNow-got)
	}
}

func TestAReadCutShortRatchetsAndOwesTheRest(t *testing.T) {
	t.Parallel()
	s := state()
	s.Mark = keepaNow - 400
	next, _, c := read(s, page(0, 450, 0, 150))
	if next.Mark != keepaNow || len(c.Opened) != 1 || next.Read == nil || !next.Read.Cut {
		t.Fatalf("cut short: %+v, %+v", next, c)
	}
	if g := c.Opened[0]; g.From != s.Mark || g.Deep || g.RowsEstimate < 200 || g.RowsEstimate > 300 {
		t.Errorf("owes %+v, want about 250 rows from %d", g, s.Mark)
	}
	if next.Bottom(60) != s.Mark-60 {
		t.Error("the next read does not go down to what is owed")
	}
	// The read goes on where it was.
	r := next.NewRead(DefaultPlan())
	r.Take(page(0, 450, 0, 150))
	if i, _ := r.Next(); i != 1 {
		t.Errorf("continues at page %d", i)
	}
	r.Take(page(1, 450, 149, 150))
	r.Take(page(2, 446, 298, 148))
	last, c := next.End(r, DefaultPlan(), t0.Add(time.Hour))
	if len(last.Gaps) != 0 || len(c.Filled) != 1 || last.Read != nil {
		t.Errorf("after it went on: %+v, %+v", last, c)
	}
}

func TestAnOutageIsOneGapRecordAndNoFalseCaughtUp(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{time.Hour, 13 * time.Hour, 48 * time.Hour} {
		s := state()
		s.ReadAt, s.LastSweep, s.Mark = t0.Add(-away), t0.Add(-away), keepaNow-Mark(away/time.Minute)
		next, r, c := read(s, page(0, 446, 0, 150), page(1, 446, 149, 150), page(2, 446, 298, 148))
		if away < 10*time.Hour {
			if len(c.Opened) != 0 {
				t.Errorf("away for %v: %+v", away, c)
			}
			continue
		}
		if !r.ReachedEnd() || len(c.Opened) != 1 || len(c.Expired) != 1 || len(c.Filled) != 0 || len(next.Gaps) != 0 {
			t.Errorf("away for %v: %+v", away, c)
			continue
		}
		if g := c.Expired[0]; g.From != s.Mark || g.To != keepaNow || g.RowsEstimate < 100 {
			t.Errorf("away for %v: %+v", away, g)
		}
	}
}

func TestAnOutageWhoseSweepHasASeamIsStillOneRecordOfAllThatWasMissed(t *testing.T) {
	t.Parallel()
	s := state()
	s.ReadAt, s.LastSweep, s.Mark = t0.Add(-13*time.Hour), t0.Add(-13*time.Hour), keepaNow-780
	next, _, c := read(s, page(0, 446, 0, 150), page(1, 446, 151, 150), page(2, 446, 300, 147))
	if len(c.Expired) != 1 || c.Expired[0].From != s.Mark || c.Expired[0].To != keepaNow || c.Expired[0].RowsEstimate < 100 {
		t.Errorf("expired %+v", c.Expired)
	}
	if len(next.Gaps) != 1 || !next.Gaps[0].Deep || !next.Owes(keepaNow-150) {
		t.Errorf("owes %+v", next.Gaps)
	}
}

func TestARowFromTheFutureMovesNothing(t *testing.T) {
	t.Parallel()
	for _, ahead := range []Mark{60, 24 * 60, 365 * 24 * 60} {
		p := page(0, 450, 0, 150)
		p.Rows[0].At = keepaNow + ahead
		next, _, _ := read(state(), p, page(1, 450, 149, 150))
		if next.Mark != keepaNow-1 {
			t.Errorf("%d minutes ahead: the mark is %d minutes after the newest row", ahead, next.Mark-keepaNow+1)
		}
	}
}

func TestAListOfAStrangeShapeMovesNothing(t *testing.T) {
	t.Parallel()
	old := page(0, 450, 11*365*24*60, 150)
	old.Updated = keepaNow - 11*365*24*60
	ahead := page(0, 450, -11*365*24*60, 150)
	bare := page(0, 450, 0, 150)
	for i := range bare.Rows {
		bare.Rows[i].At = 0
	}
	for name, p := range map[string]Page{"years old": old, "years ahead": ahead, "without dates": bare} {
		s := state()
		next, r, c := read(s, p)
		if r.Odd == "" || next.Mark != s.Mark || len(c.Opened) > 0 || next.ReadAt != s.ReadAt || !strings.HasPrefix(next.Why, "list shape anomaly") {
			t.Errorf("%s: %+v, %+v", name, next, c)
		}
	}
	quiet := page(0, 30, 5*24*60, 30) // nothing moved for days, but Keepa visits it
	if odd := quiet.Odd(); odd != "" {
		t.Errorf("a quiet list is %s", odd)
	}
}

func TestAPageOfAStrangeShapeBelowTheFirstIsOwedAndTheReadGoesOn(t *testing.T) {
	t.Parallel()
	undated := page(2, 302, 298, 4)
	for i := range 3 {
		undated.Rows[i].At = 0
	}
	old := page(2, 302, 5*24*60, 4)
	old.Updated = keepaNow - 3*24*60
	for name, last := range map[string]Page{"without dates": undated, "not visited": old} {
		s := state()
		s.LastSweep = time.Time{}
		next, r, c := read(s, page(0, 302, 0, 150), page(1, 302, 149, 150), last)
		if !r.Done || r.Odd != "" || r.Pages != 3 || next.Mark != keepaNow || next.LastSweep.IsZero() {
			t.Errorf("%s: %+v, %+v", name, r, next)
		}
		if len(c.Opened) != 1 || c.Opened[0].From != 0 || c.Opened[0].To < keepaNow-299 || !c.Opened[0].Deep {
			t.Errorf("%s: owed is %+v, want everything below the second page", name, c.Opened)
		}
	}
	_, r, _ := read(state(), page(0, 450, 0, 150), func() Page { p := old; p.Index = 1; return p }(), old)
	if !r.Done || r.Odd == "" {
		t.Errorf("two in a row: %+v", r)
	}
}

func TestAPageWithoutVisitsMayHaveOldPrices(t *testing.T) {
	t.Parallel()
	for _, rows := range []int{1, 150} {
		p := page(0, rows, 5*24*60, rows)
		p.Updated = 0
		if next, r, _ := read(state(), p); r.Odd != "" || next.ReadAt.Equal(state().ReadAt) {
			t.Errorf("%d rows: %q, %+v", rows, r.Odd, next)
		}
	}
}

func TestAnotherOrderTurnsAReadIntoASweepThatEndsByItsCount(t *testing.T) {
	t.Parallel()
	mixed := page(0, 300, 0, 150)
	mixed.Rows[3], mixed.Rows[90] = mixed.Rows[90], mixed.Rows[3]
	next, r, c := read(state(), mixed, page(1, 300, 100, 150))
	if !r.Sweep || r.Done || len(c.Opened) != 1 || next.LastSweep != state().LastSweep {
		t.Fatalf("50 rows were never shown: %+v, %+v", r, c)
	}
	_, r, _ = read(state(), mixed, page(1, 300, 100, 150), mixed, page(1, 300, 150, 150))
	if !r.ReachedEnd() || r.Lacks() != 0 {
		t.Errorf("all 300 were shown: %+v", r)
	}
}

func TestAListThatCountsTooManyIsReadTwiceOnlyOnce(t *testing.T) {
	t.Parallel()
	s := state()
	s.LastSweep = time.Time{}
	pages := []Page{page(0, 303, 0, 150), page(1, 303, 149, 150), page(2, 303, 298, 2)}
	next, r, _ := read(s, append(pages, pages...)...)
	if !r.Done || next.Overstates != 3 {
		t.Fatalf("done %v, overstates %d, want 3", r.Done, next.Overstates)
	}
	next.LastSweep = t0.Add(-13 * time.Hour)
	next = next.Begin("q@1", 2, DefaultPlan(), t0)
	again := next.NewRead(DefaultPlan())
	for _, p := range pages {
		again.Take(p)
	}
	if !again.Done {
		t.Error("it is gone through again")
	}
}

func TestAQueryThatChangedIsReadFromTheStart(t *testing.T) {
	t.Parallel()
	s := state().addGap(Gap{ID: "g", From: 1, To: 9})
	if next := s.Begin("q@2", 1, DefaultPlan(), t0); next.Mark != 0 || len(next.Gaps) != 0 || !next.Read.Sweep {
		t.Errorf("%+v", next)
	}
	if next := s.Begin("q@1", 1, DefaultPlan(), t0); next.Mark != s.Mark || next.Read.Sweep {
		t.Errorf("%+v", next)
	}
}

func TestTheFirstIntervalIsWhatTheDatesPromise(t *testing.T) {
	t.Parallel()
	const now = Mark(8_000_000)
	page := func(minutesApart, rows int) Page {
		p := Page{Now: now, Total: rows}
		for i := range rows {
			p.Rows = append(p.Rows, Row{ASIN: fmt.Sprintf("B%09d", i), At: now - Mark(i*minutesApart)})
		}
		return p
	}
	for _, c := range []struct {
		name string
		page Page
		want time.Duration
	}{
		{"a row a minute", page(1, 150), 36*time.Minute + 45*time.Second},
		{"many rows of one minute", page(0, 150), 15 * time.Minute},
		{"a row in an hour", page(60, 50), 2 * time.Hour},
		{"one row", page(1, 1), 15 * time.Minute},
		{"an empty list", page(1, 0), 15 * time.Minute},
	} {
		r := NewRead(true, 0, 66, 0)
		r.Take(c.page)
		if got, why := DefaultPlan().Next(State{}, r); got != c.want {
			t.Errorf("%s: %v (%s), want %v", c.name, got, why, c.want)
		}
	}
}

func TestTheIntervalFollowsWhatIsNewAndStaysWithinTheIncome(t *testing.T) {
	t.Parallel()
	p := DefaultPlan()
	p.Income = 5
	fresh := func(n int) *Read {
		r := NewRead(false, 0, 66, 0)
		r.Listed, r.Fresh, r.Pages = 150, n, 1
		return r
	}
	long := fresh(60)
	long.Pages = 3
	if got, why := p.Next(State{IntervalS: 1000}, long); got != 30*time.Minute {
		t.Errorf("after a read of three pages: %v (%s), want 30m, in which a tenth of the income pays for three", got, why)
	}
	long.Sweep = true
	if got, why := p.Next(State{IntervalS: 1000}, long); got != 15*time.Minute {
		t.Errorf("after a sweep of three pages: %v (%s), want 15m: the next read is incremental", got, why)
	}
	for _, c := range []struct {
		name   string
		income float64
		state  State
		fresh  int
		want   time.Duration
	}{
		{"nothing new", 5, State{IntervalS: 1800}, 0, time.Hour},
		{"bounded above", 5, State{IntervalS: 7200}, 0, 2 * time.Hour},
		{"a few new", 5, State{IntervalS: 1800}, 20, 37*time.Minute + 30*time.Second},
		{"much new", 5, State{IntervalS: 3600}, 60, 30 * time.Minute},
		{"bounded below", 5, State{IntervalS: 1000}, 60, 15 * time.Minute},
		{"a gap is owed", 5, State{IntervalS: 7200, Gaps: []Gap{{ID: "g"}}}, 0, 15 * time.Minute},
		{"a seam is owed", 5, State{IntervalS: 3600, Gaps: []Gap{{ID: "g", Deep: true}}}, 0, 2 * time.Hour},
		{"little income, much new", 0.2, State{IntervalS: 3600}, 60, 250 * time.Minute},
		{"little income, nothing new", 0.2, State{IntervalS: 90000}, 0, 2500 * time.Minute},
	} {
		p.Income = c.income
		if got, why := p.Next(c.state, fresh(c.fresh)); got != c.want || why == "" {
			t.Errorf("%s: %v (%s), want %v", c.name, got, why, c.want)
		}
	}
}
