package watermark

import (
	"maps"
	"slices"
	"time"
)

// Read is one movement over the list, page after page: an incremental read from the newest row down, or a
// full sweep. It is a function of its pages alone, so a read that died resumes from the stored pages.
//
// Its coverage follows from the dates that it saw. Between two pages the list moves, and a row may
// slip from the next page to the one that was read: so a page covers the dates between its first
// and its last row, and a seam is covered only if two neighbours have a row in common. In a list
// without order dates prove nothing, and only the count of the rows does.
type Read struct {
	Sweep      bool // all of the list is wanted
	Bottom     Mark // an incremental read ends below it
	Most       int  // pages that Keepa serves
	Overstates int  // by how many rows the list is known to count too many

	Pages  int
	Listed int    // rows on them
	Top    Mark   // the newest row that is not in the future
	Total  int    // last known size of the list; negative: unknown
	Done   bool   // it went as far as it had to
	Odd    string // what is wrong with the list's shape; nothing may be concluded

	// Fresh and Late are the rows that became candidates, newer than the mark and older; the publisher counts them.
	Fresh, Late int

	seen     set[string] // ASINs
	distinct int
	shown    map[int]shown // the rows of each page, newest version
	spans    Spans
	disorder bool
	least    int // smallest total
	most     int
	round    int
	news     int // ASINs that this round was first to show
	next     int
	skipped  bool // the page before could not be read, or has a strange shape
}

// shown is what the next page is compared with.
type shown struct {
	rows   map[Row]bool
	oldest Mark
	hi     Mark // up to where the stretch of joined pages that it ends covers the list
}

// rounds is the most passes of a sweep over a list that keeps showing new rows.
const rounds = 16

// NewRead returns a read without pages.
func NewRead(sweep bool, bottom Mark, most, overstates int) *Read {
	return &Read{
		Sweep: sweep, Bottom: bottom, Most: most, Overstates: overstates, Total: -1,
		shown: map[int]shown{}, least: -1, most: -1,
	}
}

// Next returns the page to read next; false when the read has ended.
func (r *Read) Next() (index int, more bool) { return r.next, !r.Done }

// Ordered reports whether every page so far descended.
func (r *Read) Ordered() bool { return !r.disorder }

// quarter returns how long the list took to gain a quarter of a page, by
// the dates of its newest rows; 0 when they do not show it.
func (r *Read) quarter() time.Duration {
	first := r.shown[0]
	if r.disorder || len(first.rows) == 0 {
		return 0
	}
	span := time.Duration(max(0, r.Top-first.oldest)) * time.Minute
	return (span * quarterPage / time.Duration(len(first.rows))).Round(time.Second)
}

// Distinct returns how many products were seen.
func (r *Read) Distinct() int { return r.distinct }

// Take adds a page. One of a strange shape proves nothing: the seam is owed, as if the page had been skipped.
func (r *Read) Take(p Page) {
	r.Pages, r.Listed = r.Pages+1, r.Listed+len(p.Rows)
	odd := p.Odd()
	if odd != "" && (p.Index == 0 || r.skipped) {
		r.Odd, r.Done = odd, true
		return
	}
	r.skipped = odd != ""
	now := map[string]bool{}
	for _, row := range p.Rows {
		if !now[row.ASIN] && !r.seen.has(row.ASIN) {
			now[row.ASIN] = true
			r.news, r.distinct = r.news+1, r.distinct+1
		}
	}
	r.seen = r.seen.with(now)
	r.count(p.Total)
	if odd == "" {
		r.Top = max(r.Top, Newest(p.dates(), p.Now))
		if !p.Descends() {
			r.disorder, r.Sweep = true, true // without order, only the whole list proves anything
		}
		r.cover(p)
	}
	r.turn(p)
}

// Skip leaves out a page that was paid for and cannot be read: the seam is owed. From a
// list that begins with such a page, or has two in a row, nothing may be concluded.
func (r *Read) Skip(index int, why string) {
	r.Pages++
	if index == 0 || r.skipped || index+1 >= r.Most {
		r.Odd, r.Done = why, true
		return
	}
	r.skipped, r.next = true, index+1
}

func (r *Read) count(total int) {
	if total < 0 {
		return
	}
	if r.Total < 0 {
		r.least = total
	}
	r.Total, r.least, r.most = total, min(r.least, total), max(r.most, total)
}

// cover adds what the page proves. Joined pages are one stretch of the list: it covers the dates between its first row
// and its last, but not the minutes of these two, which may continue beyond it, unless the list ends there.
func (r *Read) cover(p Page) {
	d := p.dates()
	now := shown{rows: make(map[Row]bool, len(p.Rows)), oldest: MaxMark, hi: MinMark}
	lo := MaxMark
	for _, m := range d {
		now.hi, lo = max(now.hi, m-1-slack), min(lo, m+1+slack)
		now.oldest = min(now.oldest, m)
	}
	joined := false
	above, read := r.shown[p.Index-1]
	for _, row := range p.Rows {
		now.rows[row] = true
		joined = joined || read && above.rows[row]
	}
	switch {
	case p.Index == 0:
		now.hi = MaxMark
	case joined:
		now.hi = above.hi
	}
	if p.Last() && len(p.Rows) < RowsPerPage {
		lo = MinMark // a full page may be followed by more, whatever the total
	}
	r.shown[p.Index] = now
	r.spans = r.spans.Add(Span{lo, now.hi})
}

// turn decides which page is next.
func (r *Read) turn(p Page) {
	r.next = p.Index + 1
	switch {
	case !r.Sweep && p.Below(r.Bottom):
		r.Done = true
	case p.Last() || r.next >= r.Most:
		r.Done = !r.Sweep || !r.again()
		r.next = 0
		r.round, r.news = r.round+1, 0
	}
}

// again reports whether another pass is needed: the list counts
// more rows than it showed, and the last pass found new ones.
func (r *Read) again() bool {
	return r.Lacks() > 0 && r.round+1 < rounds && (r.round == 0 || r.news > 0)
}

// Lacks returns how many rows the list counts beyond those that it
// showed. Rows that came after the read began are not expected.
func (r *Read) Lacks() int {
	if r.least < 0 {
		return 0
	}
	return max(0, min(r.least, r.Most*RowsPerPage)-r.distinct-r.Overstates)
}

// Rounds returns how many passes reached the list's end.
func (r *Read) Rounds() int { return r.round }

// Covered returns what the read proves to have seen. A list without order is
// proven only by its count, and only while that does not change.
func (r *Read) Covered() Spans {
	switch {
	case r.Odd != "":
		return nil
	case !r.disorder:
		return r.spans
	case r.Done && r.least >= 0 && r.least == r.most && r.Lacks() == 0 && r.most <= r.Most*RowsPerPage:
		return Spans{{MinMark, MaxMark}}
	}
	return nil
}

// ReachedEnd reports whether the read went through the list to its end.
func (r *Read) ReachedEnd() bool { return r.Done && r.Odd == "" && r.round > 0 }

// overstated returns by how many rows the list counts too many, by this read: as many
// as a complete second pass could not find, and never more than are missing.
func (r *Read) overstated() int {
	if r.round > 1 && !r.disorder {
		return r.Overstates + r.Lacks()
	}
	return max(0, min(r.Overstates, r.least-r.distinct))
}

// clone returns a copy that a page can be added to.
func (r *Read) clone() *Read {
	next := *r
	next.shown = maps.Clone(r.shown)
	return &next
}

// set is a set that grows page by page. Its layers are immutable, so that copies of a read share them,
// and each is more than twice as large as the next, so that they stay few.
type set[T comparable] []map[T]bool

func (s set[T]) has(x T) bool {
	return slices.ContainsFunc(s, func(layer map[T]bool) bool { return layer[x] })
}

// with returns the union; it may keep the layer.
func (s set[T]) with(layer map[T]bool) set[T] {
	n := len(s)
	for ; n > 0 && len(s[n-1]) <= 2*len(layer); n-- {
		merged := maps.Clone(s[n-1])
		maps.Copy(merged, layer)
		layer = merged
	}
	return append(s[:n:n], layer)
}
