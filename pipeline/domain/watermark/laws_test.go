package watermark

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var t0 = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

func mark(t *rapid.T, name string) Mark { return Mark(rapid.Int64Range(1, 400).Draw(t, name)) }

func marks() *rapid.Generator[[]Mark] {
	return rapid.SliceOf(rapid.Map(rapid.Int64Range(1, 5000), func(n int64) Mark { return Mark(n) }))
}

func drawSpans(t *rapid.T, name string) Spans {
	var s Spans
	for range rapid.IntRange(0, 8).Draw(t, name) {
		lo := mark(t, "lo")
		s = s.Add(Span{lo, lo + Mark(rapid.Int64Range(-2, 60).Draw(t, "len"))})
	}
	return s
}

// union is everything that either covers.
func union(s, o Spans) Spans {
	for _, x := range o {
		s = s.Add(x)
	}
	return s
}

func TestCoverageIsIdempotentCommutativeAndAssociative(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawSpans(t, "a"), drawSpans(t, "b"), drawSpans(t, "c")
		if !reflect.DeepEqual(union(a, b), union(b, a)) {
			t.Fatalf("order matters: %v, %v", union(a, b), union(b, a))
		}
		if !reflect.DeepEqual(union(union(a, b), c), union(a, union(b, c))) {
			t.Fatal("grouping matters")
		}
		if !reflect.DeepEqual(union(a, a), a) {
			t.Fatalf("seeing it again changed %v to %v", a, union(a, a))
		}
		for i := 1; i < len(a); i++ {
			if a[i-1].Hi+1 >= a[i].Lo {
				t.Fatalf("%v is not the one way to write it", a)
			}
		}
	})
}

func TestWhatIsMissingAndWhatIsCoveredAreAllOfASpanAndShareNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := drawSpans(t, "s")
		lo := mark(t, "from")
		x := Span{lo, lo + Mark(rapid.Int64Range(0, 200).Draw(t, "len"))}
		missing := s.Missing(x)
		for m := x.Lo - 3; m <= x.Hi+3; m++ {
			want := x.Has(m) && !s.Has(m)
			if missing.Has(m) != want {
				t.Fatalf("minute %d: missing %v, covered %v, in the span %v", m, missing.Has(m), s.Has(m), x.Has(m))
			}
			if s.Within(x).Has(m) != (x.Has(m) && s.Has(m)) {
				t.Fatalf("minute %d within %v", m, x)
			}
		}
	})
}

func TestTheNewestOfRowsIsThatOfTheirParts(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b, now := marks().Draw(t, "a"), marks().Draw(t, "b"), Mark(rapid.Int64Range(0, 6000).Draw(t, "now"))
		if one, two := Newest(slices.Concat(a, b), now), max(Newest(b, now), Newest(a, now)); one != two {
			t.Fatalf("in one go %v, in two %v", one, two)
		}
	})
}

// drawPages draws the pages of a list in any state of disorder: rising dates, rows that slip to the next page,
// full pages, a count that changes or is absent.
func drawPages(t *rapid.T) []Page {
	n := rapid.IntRange(1, 6).Draw(t, "pages")
	total, rising, joined := n*RowsPerPage, rapid.IntRange(0, 3).Draw(t, "rising") == 0, rapid.Bool().Draw(t, "joined")
	if rapid.IntRange(0, 3).Draw(t, "silent") == 0 {
		total = -1
	}
	var out []Page
	for i := range n {
		p := Page{Index: i, Total: total, Now: mark(t, "now") + 300, Updated: 300}
		at := Mark(400 - 50*i)
		if joined && i > 0 && len(out[i-1].Rows) > 0 {
			p.Rows = append(p.Rows, out[i-1].Rows[len(out[i-1].Rows)-1])
			at = p.Rows[0].At
		}
		least := int64(-1)
		if rising {
			least = -20
		}
		for j := range rapid.OneOf(rapid.IntRange(0, 12), rapid.Just(RowsPerPage)).Draw(t, "rows") {
			if len(p.Rows) == RowsPerPage {
				break
			}
			at -= Mark(rapid.Int64Range(least, 9).Draw(t, "step"))
			p.Rows = append(p.Rows, Row{ASIN: fmt.Sprintf("%d-%d", i, j), At: max(1, at)})
		}
		if total >= 0 {
			total = max(0, total+rapid.SampledFrom([]int{0, 0, 0, 1, -1, 150}).Draw(t, "change"))
		}
		out = append(out, p)
	}
	return out
}

// reached counts what reads came to, so that a law is not held by reads in which nothing happens.
type reached map[string]int

func (c reached) add(pages []Page, s State, r *Read, change Change) {
	c["reads"]++
	for what, is := range map[string]bool{
		"disordered": r.disorder, "joined": r.joined(), "full pages": r.Listed >= RowsPerPage, "a changing total": r.least != r.most,
		"no total": r.Total < 0, "cut short": !r.Done, "whole": r.ReachedEnd(), "odd": r.Odd != "", "gaps opened": len(change.Opened) > 0,
		"gaps filled": len(change.Filled) > 0, "gaps expired": len(change.Expired) > 0, "sweeps": s.Read.Sweep, "no sweeps": !s.Read.Sweep,
		"several pages": r.Pages > 1 && len(pages) > 1,
	} {
		if is {
			c[what]++
		}
	}
}

// joined reports whether two neighbours showed a row in common.
func (r *Read) joined() bool {
	for i, page := range r.shown {
		for row := range page.rows {
			if above, read := r.shown[i-1]; read && above.rows[row] {
				return true
			}
		}
	}
	return false
}

// want fails if no read ever came to one of these. The few reads of a short run may miss one by chance.
func (c reached) want(t *testing.T, all ...string) {
	t.Helper()
	if c["reads"] < 100 {
		t.Logf("only %d reads: not judged", c["reads"])
		return
	}
	for _, what := range all {
		if c[what] == 0 {
			t.Errorf("of %d reads none had %s", c["reads"], what)
		}
	}
}

func drawState(t *rapid.T) State {
	s := State{Mark: mark(t, "mark"), ReadAt: t0.Add(-time.Duration(rapid.IntRange(0, 3000).Draw(t, "idle")) * time.Minute), IntervalS: 900}
	s.LastSweep = t0.Add(-time.Duration(rapid.IntRange(0, 20).Draw(t, "swept")) * time.Hour)
	for range rapid.IntRange(0, 3).Draw(t, "gaps") {
		from := min(mark(t, "from"), s.Mark-1)
		to := min(s.Mark, from+Mark(rapid.Int64Range(1, 80).Draw(t, "span")))
		if slices.ContainsFunc(s.Gaps, func(g Gap) bool { return g.From <= to && from <= g.To }) {
			continue
		}
		s = s.addGap(Gap{ID: fmt.Sprintf("%d-%d", from, to), From: from, To: to, Opened: t0.Add(-time.Duration(rapid.IntRange(0, 40).Draw(t, "age")) * time.Hour), Deep: rapid.Bool().Draw(t, "deep")})
	}
	return s.Begin("q@1", 7, DefaultPlan(), t0)
}

// after returns the state after a read of some of the pages.
func after(t *rapid.T, s State, pages []Page) (State, *Read, Change) {
	r := s.NewRead(DefaultPlan())
	for _, p := range pages {
		if _, more := r.Next(); !more {
			break
		}
		r.Take(p)
	}
	next, c := s.End(r, DefaultPlan(), t0.Add(time.Minute))
	return next, r, c
}

func TestAMarkNeverGoesBackNeverPassesWhatWasSeenAndNeverLiesInTheFuture(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, pages := drawState(t), drawPages(t)
		next, r, _ := after(t, s, pages)
		if next.Mark < s.Mark {
			t.Fatalf("went back from %d to %d", s.Mark, next.Mark)
		}
		if next.Mark == s.Mark {
			return
		}
		for _, p := range pages[:r.Pages] {
			for _, row := range p.Rows {
				if row.At == next.Mark && row.At <= p.Now+Ceiling {
					return
				}
			}
		}
		t.Fatalf("moved to %d, which was not seen or lies in the future", next.Mark)
	})
}

func TestWhatAReadDoesNotProveIsOwedAndWhatWasOwedIsProvenOwedOrExpired(t *testing.T) {
	t.Parallel()
	came := reached{}
	rapid.Check(t, func(t *rapid.T) {
		s, pages := drawState(t), drawPages(t)
		next, r, c := after(t, s, pages)
		came.add(pages, s, r, c)
		covered := r.Covered()
		ended := func(m Mark) bool {
			return slices.ContainsFunc(c.Expired, func(g Gap) bool { return g.span().Has(m) })
		}
		for m := Mark(1); m <= next.Mark; m++ {
			mustSee := m > s.Mark || s.Owes(m)
			switch {
			case mustSee && !covered.Has(m) && !next.Owes(m) && !ended(m):
				t.Fatalf("minute %d was to be seen, is not covered by %v, and is not owed: %+v", m, covered, next)
			case covered.Has(m) && next.Owes(m):
				t.Fatalf("minute %d was covered and is owed: %+v", m, next.Gaps)
			}
		}
		for i, g := range next.Gaps {
			for _, h := range next.Gaps[i+1:] {
				if g.ID == h.ID || g.span().Lo <= h.span().Hi && h.span().Lo <= g.span().Hi {
					t.Fatalf("owed twice: %+v and %+v", g, h)
				}
			}
		}
	})
	came.want(t, "disordered", "joined", "full pages", "a changing total", "no total", "cut short", "whole", "gaps opened", "gaps filled",
		"gaps expired", "sweeps", "no sweeps", "several pages")
}

func TestAReadThatDiedResumesFromItsStoredPages(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, pages := drawState(t), drawPages(t)
		whole, r, _ := after(t, s, pages)
		died := rapid.IntRange(0, r.Pages).Draw(t, "died after")
		cut, _, _ := after(t, s, pages[:min(died, len(pages))])
		if cut.Read == nil {
			return // it had ended by then
		}
		again, _, _ := after(t, cut, pages)
		if again.Mark != whole.Mark || !reflect.DeepEqual(again.Covered, whole.Covered) {
			t.Fatalf("at once %+v\nin two  %+v", whole, again)
		}
		for m := Mark(1); m <= whole.Mark; m++ {
			if again.Owes(m) != whole.Owes(m) && whole.Read == nil {
				t.Fatalf("minute %d: owed %v at once, %v in two", m, whole.Owes(m), again.Owes(m))
			}
		}
	})
}

func TestTheSameGapIsOwedOnce(t *testing.T) {
	t.Parallel()
	g := Gap{ID: "g", From: 1, To: 9, Opened: t0}
	if s := (State{}).addGap(g).addGap(g); len(s.Gaps) != 1 {
		t.Fatalf("owed %d times", len(s.Gaps))
	}
}
