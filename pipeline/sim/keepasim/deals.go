package keepasim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxBody bounds a posted query.
const maxBody = 1 << 20

// deals is the /deal endpoint: one page of the list.
func (s *Sim) deals(r *http.Request, c call) result {
	raw := r.URL.Query().Get("selection")
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
		if err == nil && len(body) > 0 {
			raw = string(body)
		} else if raw == "" {
			raw = r.PostForm.Get("selection")
		}
	}
	sel, err := parseSelection(raw)
	var field fieldError
	switch {
	case errors.As(err, &field):
		e := invalid(http.StatusBadRequest, "The queryJSON is of invalid format.", text(string(field)))
		return result{status: http.StatusBadRequest, err: e}
	case err != nil:
		e := invalid(http.StatusBadRequest, "The queryJSON is missing or invalid.", text(""))
		return result{status: http.StatusBadRequest, err: e}
	}
	s.mu.Lock()
	s.asked = &sel
	s.mu.Unlock()
	page, payload := s.page(&sel, c.arrived)
	return result{cost: tokensDealPage, items: page, payload: payload, took: s.span(270*time.Millisecond, 800*time.Millisecond)}
}

func (s *Sim) page(sel *selection, now time.Time) (rows int, payload []byte) {
	kept, totals := s.kept(sel, now)
	s.order(kept, sel)
	kept = kept[:min(len(kept), maxRows)]
	from := min(max(0, sel.page*pageRows+s.drift(sel.page)), len(kept))
	kept = s.disturbed(kept[from:min(from+pageRows, len(kept))])
	return len(kept), s.encodePage(kept, totals)
}

// kept returns the rows that a query lists, and their number in each root category ignoring the query's own.
func (s *Sim) kept(sel *selection, now time.Time) ([]*row, map[int64]int) {
	all := s.o.Catalogue.list(now)
	_, open := s.o.Catalogue.(*CapturedCatalogue) // its rows were filtered when they were captured
	kept := make([]*row, 0, len(all))
	totals := map[int64]int{}
	for _, r := range all {
		if !open && !sel.keeps(r) {
			continue
		}
		totals[r.RootCat]++
		if open || sel.inCategories(r) {
			kept = append(kept, r)
		}
	}
	return kept, totals
}

// ListedRow is a row that is on the list.
type ListedRow struct {
	ASIN         string
	CreationDate int64 // Keepa minutes
}

// Census returns the rows that the last query lists now, without faults:
// the reference for a reader of the list. It costs no token.
func (s *Sim) Census() []ListedRow {
	s.mu.Lock()
	sel := s.asked
	s.mu.Unlock()
	if sel == nil {
		return nil
	}
	kept, _ := s.kept(sel, s.o.Now())
	out := make([]ListedRow, len(kept))
	for i, r := range kept {
		out[i] = ListedRow{ASIN: r.ASIN, CreationDate: r.CreationDate}
	}
	return out
}

// disturbed returns a page with the faults of its rows.
func (s *Sim) disturbed(rows []*row) []*row {
	s.mu.Lock()
	defer s.mu.Unlock()
	if off := int64(s.o.Faults.RowsOff / time.Minute); off != 0 {
		shifted := make([]*row, len(rows))
		for i, r := range rows {
			shifted[i] = r.shifted(off)
		}
		rows = shifted
	}
	if s.o.Faults.Duplicates == 0 || len(rows) == 0 {
		return rows
	}
	rows = slices.Clone(rows)
	for range s.rng.int(1, s.o.Faults.Duplicates) {
		i := s.rng.int(0, len(rows)-1)
		rows = slices.Insert(rows, i, rows[i])
	}
	return rows
}

func (s *Sim) drift(page int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.o.Faults.Drift == 0 || page == 0 {
		return 0
	}
	return s.rng.int(-s.o.Faults.Drift, s.o.Faults.Drift)
}

// order sorts as requested, or as the fault demands.
func (s *Sim) order(rows []*row, sel *selection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by := sel.sortType
	if s.o.Faults.Order == OrderPercent {
		by = 4
	}
	slices.SortFunc(rows, comparer(by, sel))
	switch s.o.Faults.Order {
	case OrderReverse:
		slices.Reverse(rows)
	case OrderRandom:
		s.rng.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
}

// comparer returns the order of a sort type; ASINs break ties, so that paging is stable.
func comparer(by int, sel *selection) func(a, b *row) int {
	p, d := sel.priceType, sel.dateRange
	var key func(*row) int
	switch by {
	case 1, -1: // the newest first; it cannot be inverted
		return func(a, b *row) int {
			return cmp.Or(cmp.Compare(b.CreationDate, a.CreationDate), strings.Compare(a.ASIN, b.ASIN))
		}
	case 2, -2:
		key = func(r *row) int { return -value(r.Delta[d], p) }
	case 3, -3:
		key = func(r *row) int {
			if rank := value(r.Current, pRank); rank > 0 {
				return rank
			}
			return 1 << 40
		}
	default:
		key = func(r *row) int { return -value(r.DeltaPercent[d], p) }
	}
	sign := 1
	if by < 0 {
		sign = -1
	}
	return func(a, b *row) int {
		return cmp.Or(sign*cmp.Compare(key(a), key(b)), strings.Compare(a.ASIN, b.ASIN))
	}
}

var rootNames = map[int64]string{
	booksRoot: "Books", unknownRoot: "?", 5174: "CDs & Vinyl", 2625373011: "Movies & TV", 165793011: "Toys & Games",
	1064954: "Office Products", 1055398: "Home & Kitchen", 3375251: "Sports & Outdoors", 172282: "Electronics",
}

func (s *Sim) encodePage(rows []*row, totals map[int64]int) []byte {
	ids := slices.SortedFunc(maps.Keys(totals), func(a, b int64) int { return cmp.Or(totals[a]-totals[b], cmp.Compare(a, b)) })
	names, counts := make([]string, len(ids)), make([]int, len(ids))
	for i, id := range ids {
		names[i], counts[i] = rootNames[id], totals[id]
	}
	var b bytes.Buffer
	b.WriteString(`"deals":{"dr":[`)
	for i, r := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(s.odd(oddRows, fmt.Sprint(r.ASIN, r.CreationDate), r.body()))
	}
	b.WriteString(`],"drDateIndex":[],"categoryIds":`)
	b.Write(list(ids))
	b.WriteString(`,"categoryNames":`)
	b.Write(list(names))
	b.WriteString(`,"categoryCount":`)
	b.Write(list(counts))
	b.WriteString(`},"dealsCached":false`)
	return b.Bytes()
}

// list returns a JSON array, empty rather than null.
func list[T any](v []T) json.RawMessage {
	if len(v) == 0 {
		return json.RawMessage("[]")
	}
	return mustJSON(v)
}
