package watermark

import (
	"fmt"
	"slices"
)

// RowsPerPage is how many rows a full page has.
const RowsPerPage = 150

// Row is one row of the list: a product, and the minute since which its price holds.
type Row struct {
	ASIN string
	At   Mark // creation date; 0 when the list did not say
}

// Page is what one page said.
type Page struct {
	Index   int // 0-based
	Rows    []Row
	Total   int  // rows of the whole list; negative when it did not say
	Now     Mark // Keepa's own clock when it answered; 0 unknown
	Updated Mark // the newest visit to any of its products; 0 unknown
}

// Last reports whether no further page has rows. The list tells its own size, so
// the empty page is never bought.
func (p Page) Last() bool {
	if p.Total >= 0 {
		return (p.Index+1)*RowsPerPage >= p.Total || len(p.Rows) == 0
	}
	return len(p.Rows) < RowsPerPage
}

// slack is by how much the dates of an ordered list may rise from row to row.
const slack = Mark(1)

// Descends reports whether the page's dates never rise by more than a minute,
// which is what a list sorted by creation date looks like.
func (p Page) Descends() bool {
	d := p.dates()
	for i := 1; i < len(d); i++ {
		if d[i] > d[i-1]+slack {
			return false
		}
	}
	return true
}

// Below reports whether every row of the page lies below the bottom: no single
// row, and no order within the page, ends a read.
func (p Page) Below(bottom Mark) bool {
	return !slices.ContainsFunc(p.Rows, func(r Row) bool { return r.At > bottom })
}

// dates are the creation dates that the page knows, in its order.
func (p Page) dates() []Mark {
	out := make([]Mark, 0, len(p.Rows))
	for _, r := range p.Rows {
		if r.At > 0 {
			out = append(out, r.At)
		}
	}
	return out
}

// strange is how far from Keepa's own clock the newest visit of a page may lie.
// Keepa visits what it lists at least daily.
const strange = Mark(2 * 24 * 60)

// Odd says what is wrong with the page's shape, or nothing: rows that are years
// off are the answer to another question (a query that Keepa misread, an epoch
// that we misread), and nothing may be concluded from it.
func (p Page) Odd() string {
	if len(p.Rows) == 0 || p.Now <= 0 {
		return ""
	}
	dates := p.dates()
	if 2*len(dates) < len(p.Rows) {
		return fmt.Sprintf("%d of %d rows bear no date", len(p.Rows)-len(dates), len(p.Rows))
	}
	if age := p.Now - max(p.Updated, slices.Max(dates)); age > strange {
		return fmt.Sprintf("its newest row is %d days old", age/(24*60))
	}
	if ahead := slices.Min(dates) - p.Now; ahead > strange {
		return fmt.Sprintf("its oldest row lies %d days in the future", ahead/(24*60))
	}
	return ""
}
