package watermark_test

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/watermark"
)

// The orders in which a List answers.
const (
	ByDate  = "date" // the newest first, as requested
	Reverse = "reverse"
	Percent = "percent" // by something unrelated to dates
	Chaos   = "chaos"   // another order for each page
)

// Churn is the number of events of a list in an hour.
type Churn struct {
	Come   float64 // rows that enter, dated now
	Old    float64 // rows that enter with an old date
	Change float64 // rows with a new price, and with it a new date
	Go     float64 // rows that leave
}

// Measured returns the churn of a real list of 750 rows.
func Measured() Churn { return Churn{Come: 24, Old: 6, Change: 45, Go: 30} }

// List is the actual state of a deal list. It remembers every row that it ever held.
type List struct {
	Now    time.Time
	Order  string
	Drift  int           // pages are this many rows off, at most
	Skew   time.Duration // of Keepa's clock
	Churn  Churn
	Future int // of a thousand new rows, how many have a date in the future
	Ties   bool

	rows   []*listedRow
	sorted []*listedRow // rows as they are answered; nil after a change
	left   []watermark.Sighting
	n      int
	draw   func(n int) int
}

// listedRow is a row that is on the list.
type listedRow struct {
	watermark.Sighting
	n, rank int
}

// newList returns a list of that many rows with dates within the last day.
func newList(now time.Time, rows int, draw func(n int) int) *List {
	l := &List{Now: now, Order: ByDate, Churn: Measured(), draw: draw}
	for range rows {
		l.enter(time.Duration(draw(24*60)) * time.Minute)
	}
	return l
}

// Enter adds rows dated now.
func (l *List) Enter(n int) {
	for range n {
		l.enter(0)
	}
}

func (l *List) enter(age time.Duration) {
	l.n++
	l.sorted = nil
	l.rows = append(l.rows, &listedRow{n: l.n, rank: l.draw(1 << 20), Sighting: watermark.Sighting{
		Row: watermark.Row{ASIN: fmt.Sprintf("B%09d", l.n), At: l.date(age)}, First: l.Now, Listed: true,
	}})
}

// date returns the date of a price that began at an age.
func (l *List) date(age time.Duration) watermark.Mark {
	m := watermark.Mark(keepa.FromTime(l.Now.Add(-age)))
	if l.Ties {
		m -= m % 10
	}
	if age == 0 && l.Future > 0 && l.draw(1000) < l.Future {
		m += watermark.Mark([]int{60, 24 * 60, 365 * 24 * 60}[l.draw(3)])
	}
	return m
}

// Pass advances time.
func (l *List) Pass(d time.Duration) {
	for ; d > 0; d -= time.Minute {
		l.Now = l.Now.Add(min(d, time.Minute))
		for range l.events(l.Churn.Come) {
			l.enter(0)
		}
		for range l.events(l.Churn.Old) {
			l.enter(time.Duration(60+l.draw(5*24*60)) * time.Minute)
		}
		for range l.events(l.Churn.Change) {
			if s, ok := l.leave(); ok {
				l.sorted = nil
				l.rows = append(l.rows, &listedRow{n: s.n, rank: s.rank, Sighting: watermark.Sighting{
					Row: watermark.Row{ASIN: s.ASIN, At: l.date(0)}, First: l.Now, Listed: true,
				}})
			}
		}
		for range l.events(l.Churn.Go) {
			l.leave()
		}
	}
}

// events returns how many events of an hourly rate fall into this minute.
func (l *List) events(perHour float64) int {
	n := int(perHour / 60)
	if l.draw(1_000_000) < int((perHour/60-float64(n))*1_000_000) {
		n++
	}
	return n
}

func (l *List) leave() (*listedRow, bool) {
	if len(l.rows) == 0 {
		return nil, false
	}
	l.sorted = nil
	i := l.draw(len(l.rows))
	s := l.rows[i]
	l.rows[i] = l.rows[len(l.rows)-1]
	l.rows = l.rows[:len(l.rows)-1]
	s.Last, s.Listed = l.Now, false
	l.left = append(l.left, s.Sighting)
	return s, true
}

// order returns the list as it is answered now.
func (l *List) order() []*listedRow {
	if l.sorted == nil {
		l.sorted = slices.Clone(l.rows)
		slices.SortFunc(l.sorted, func(a, b *listedRow) int {
			byDate := cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(a.n, b.n))
			switch l.Order {
			case Reverse:
				return -byDate
			case Percent:
				return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.n, b.n))
			}
			return byDate
		})
	}
	rows := l.sorted
	if l.Order == Chaos {
		rows = slices.Clone(rows)
		for i := len(rows) - 1; i > 0; i-- {
			j := l.draw(i + 1)
			rows[i], rows[j] = rows[j], rows[i]
		}
	}
	return rows
}

// Page returns Keepa's answer now.
func (l *List) Page(index int) watermark.Page {
	rows := l.order()
	at := index * watermark.RowsPerPage
	if l.Drift > 0 && index > 0 {
		at += l.draw(2*l.Drift+1) - l.Drift
	}
	at = min(max(0, at), len(rows))
	now := watermark.Mark(keepa.FromTime(l.Now.Add(l.Skew)))
	p := watermark.Page{Index: index, Total: len(rows), Now: now, Updated: watermark.Mark(keepa.FromTime(l.Now))}
	for _, r := range rows[at:min(at+watermark.RowsPerPage, len(rows))] {
		p.Rows = append(p.Rows, r.Row)
	}
	return p
}

// Sightings returns all rows that the list ever held.
func (l *List) Sightings() []watermark.Sighting {
	out := slices.Clone(l.left)
	for _, s := range l.rows {
		out = append(out, s.Sighting)
	}
	return out
}

// Len returns the number of listed rows.
func (l *List) Len() int { return len(l.rows) }
