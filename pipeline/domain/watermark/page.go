package watermark

import (
	"cmp"
	"fmt"
	"slices"
)

// RowsPerPage is the number of rows of a full page.
const RowsPerPage = 150

// Row is one row of the list: a product, and the minute since which its price holds.
type Row struct {
	ASIN string
	At   Mark // creation date; 0 when the list does not give it
}

// Page is the content of one page.
type Page struct {
	Index   int // 0-based
	Rows    []Row
	Total   int  // rows of the whole list; negative when unknown
	Now     Mark // Keepa's own clock when it answered; 0 unknown
	Updated Mark // the newest visit to any of its products; 0 unknown
}

// Last reports whether no further page has rows. If the list's size is known, the empty page after a full last one is
// not bought.
func (p Page) Last() bool {
	if p.Total >= 0 {
		return (p.Index+1)*RowsPerPage >= p.Total || len(p.Rows) == 0
	}
	return len(p.Rows) < RowsPerPage
}

// slack is how much the dates of an ordered list may rise from row to row.
const slack = Mark(1)

// Descends reports whether the page's dates never rise by more than a minute, as in a list sorted by creation date.
func (p Page) Descends() bool {
	d := p.dates()
	for i := 1; i < len(d); i++ {
		if d[i] > d[i-1]+slack {
			return false
		}
	}
	return true
}

// tailRows is how many rows at the end of a page must lie below the bottom: a run of rows, so that no single one
// ends a read, and not the whole page, because that buys a second page with only old rows at nearly every poll.
const tailRows = RowsPerPage / 3

// Below reports whether the page's last rows all lie below the bottom; of a page with fewer rows,
// all of it. It assumes a page that descends: a list in another order is read to its end.
func (p Page) Below(bottom Mark) bool {
	tail := p.Rows[max(0, len(p.Rows)-tailRows):]
	return !slices.ContainsFunc(tail, func(r Row) bool { return r.At > bottom })
}

// Oldest returns the smallest date of the page's rows, which is 0 if a row has none; 0 without rows.
func (p Page) Oldest() Mark {
	if len(p.Rows) == 0 {
		return 0
	}
	return slices.MinFunc(p.Rows, func(a, b Row) int { return cmp.Compare(a.At, b.At) }).At
}

// dates returns the known creation dates, in the page's order.
func (p Page) dates() []Mark {
	out := make([]Mark, 0, len(p.Rows))
	for _, r := range p.Rows {
		if r.At > 0 {
			out = append(out, r.At)
		}
	}
	return out
}

// farOff is how far from Keepa's own clock the newest visit of a
// page may lie. Keepa visits listed products at least daily.
const farOff = Mark(2 * 24 * 60)

// Odd describes what is wrong with the page's shape; "" if nothing is. Neither
// the mark nor any coverage may follow from such a page.
func (p Page) Odd() string {
	if len(p.Rows) == 0 || p.Now <= 0 {
		return ""
	}
	dates := p.dates()
	if 2*len(dates) < len(p.Rows) {
		return fmt.Sprintf("%d of %d rows have no date", len(p.Rows)-len(dates), len(p.Rows))
	}
	if p.Stale() {
		return fmt.Sprintf("its newest row is %d days old", p.age()/(24*60))
	}
	if ahead := slices.Min(dates) - p.Now; ahead > farOff {
		return fmt.Sprintf("its oldest row lies %d days in the future", ahead/(24*60))
	}
	return ""
}

// Stale reports whether Keepa has not visited the page's products for days. As a list's first page it answers
// another question (a query that Keepa misread, an epoch that we misread). Without any visit nothing says so:
// prices may rest for days.
func (p Page) Stale() bool { return p.Now > 0 && p.Updated > 0 && p.age() > farOff }

// age returns how long ago the newest event of the page was.
func (p Page) age() Mark {
	newest := p.Updated
	for _, m := range p.dates() {
		newest = max(newest, m)
	}
	return p.Now - newest
}
