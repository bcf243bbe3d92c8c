package keepasim

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// selection is a deal query, checked.
type selection struct {
	page, domain, priceType, dateRange, sortType int

	ranges, filters                                    bool
	current, delta, deltaPercent, deltaLast, salesRank *[2]int
	minRating                                          int
	include, exclude                                   []int64
	flags                                              map[string]bool
	words                                              []string
}

// fieldError names the invalid field of a query.
type fieldError string

func (e fieldError) Error() string { return "field " + string(e) }

var (
	errMissing = errors.New("missing or not an object")

	dealPriceTypes = []int{0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 18, 19, 20, 21, 22, 32, 33}
	dealDomains    = []int{1, 2, 3, 4, 5, 6, 8, 9, 10, 11}
	dealFlags      = []string{
		"isLowest", "isLowest90", "isLowestOffer", "isHighest", "isOutOfStock", "isBackInStock", "hasReviews",
		"filterErotic", "singleVariation", "isRisers", "isPrimeExclusive", "mustHaveAmazonOffer", "mustNotHaveAmazonOffer",
	}
)

// parseSelection reads a query as strictly as Keepa: a value of the wrong type
// is an error with the field's name; keys it does not know are ignored.
func parseSelection(raw string) (selection, error) {
	var m map[string]json.RawMessage
	if strings.TrimSpace(raw) == "" || json.Unmarshal([]byte(raw), &m) != nil || m == nil {
		return selection{}, errMissing
	}
	q := fields{m: m}
	s := selection{
		page: q.int("page", 0), domain: q.int("domainId", 0), dateRange: q.int("dateRange", 0),
		sortType: q.int("sortType", 4), minRating: q.int("minRating", -1),
		ranges: q.bool("isRangeEnabled"), filters: q.bool("isFilterEnabled"),
		current: q.span("currentRange"), delta: q.span("deltaRange"), deltaPercent: q.span("deltaPercentRange"),
		deltaLast: q.span("deltaLastRange"), salesRank: q.span("salesRankRange"),
		include: q.ids("includeCategories"), exclude: q.ids("excludeCategories"),
		flags: map[string]bool{},
	}
	for _, f := range dealFlags {
		s.flags[f] = q.bool(f)
	}
	s.words = strings.Fields(strings.ToLower(q.string("titleSearch")))
	types := q.ints("priceTypes")
	_ = q.ints("warehouseConditions")
	if q.err != nil {
		return s, q.err
	}
	switch {
	case !slices.Contains(dealDomains, s.domain):
		return s, fieldError("domainId")
	case len(types) != 1 || !slices.Contains(dealPriceTypes, types[0]):
		return s, fieldError("priceTypes")
	case s.page < 0:
		return s, fieldError("page")
	case s.dateRange < 0 || s.dateRange > 3:
		return s, fieldError("dateRange")
	case s.sortType == 0 || s.sortType < -4 || s.sortType > 4:
		return s, fieldError("sortType")
	case s.minRating < -1 || s.minRating > 50:
		return s, fieldError("minRating")
	case len(s.words) > 50:
		return s, fieldError("titleSearch")
	}
	s.priceType = types[0]
	return s, nil
}

// fields reads typed values and keeps the first error.
type fields struct {
	m   map[string]json.RawMessage
	err error
}

func (f *fields) fail(name string) {
	if f.err == nil {
		f.err = fieldError(name)
	}
}

func (f *fields) raw(name string) (string, bool) {
	v, ok := f.m[name]
	s := strings.TrimSpace(string(v))
	return s, ok && s != "null"
}

// number reads an integer, or a string that holds one.
func number(s string) (int, error) {
	return strconv.Atoi(strings.Trim(s, `"`))
}

func (f *fields) int(name string, or int) int {
	s, ok := f.raw(name)
	if !ok {
		return or
	}
	n, err := number(s)
	if err != nil {
		f.fail(name)
	}
	return n
}

func (f *fields) bool(name string) bool {
	s, ok := f.raw(name)
	if ok && s != "true" && s != "false" {
		f.fail(name)
	}
	return s == "true"
}

func (f *fields) string(name string) string {
	s, ok := f.raw(name)
	var v string
	if ok && json.Unmarshal([]byte(s), &v) != nil {
		f.fail(name)
	}
	return v
}

func (f *fields) list(name string) []json.RawMessage {
	s, ok := f.raw(name)
	var all []json.RawMessage
	if ok && json.Unmarshal([]byte(s), &all) != nil {
		f.fail(name)
	}
	return all
}

func (f *fields) ints(name string) []int {
	var out []int
	for _, v := range f.list(name) {
		n, err := number(string(v))
		if err != nil {
			f.fail(name)
		}
		out = append(out, n)
	}
	return out
}

func (f *fields) ids(name string) []int64 {
	var out []int64
	for _, v := range f.list(name) {
		n, err := strconv.ParseInt(strings.Trim(string(v), `"`), 10, 64)
		if err != nil {
			f.fail(name)
		}
		out = append(out, n)
	}
	if len(out) > 500 {
		f.fail(name)
	}
	return out
}

func (f *fields) span(name string) *[2]int {
	all := f.ints(name)
	switch len(all) {
	case 0:
		return nil
	case 2:
		return &[2]int{all[0], all[1]}
	}
	f.fail(name)
	return nil
}

// keeps reports whether the query lists a row, categories aside.
//
// A row whose requested price is gone (-1) stays: it ran out of stock after
// it was listed, so the ranges of that price no longer apply to it.
func (s *selection) keeps(r *row) bool {
	return (!s.ranges || s.inRanges(r)) && (!s.filters || s.passesFilters(r))
}

func (s *selection) inRanges(r *row) bool {
	p, d := s.priceType, s.dateRange
	cur := value(r.Current, p)
	if cur == -2 {
		return false
	}
	if s.salesRank != nil {
		rank := value(r.Current, pRank)
		if rank <= 0 || !within(rank, s.salesRank) {
			return false
		}
	}
	if cur == -1 {
		return true
	}
	last := value(r.DeltaLast, p)
	return within(cur, s.current) && within(value(r.Delta[d], p), s.delta) &&
		within(value(r.DeltaPercent[d], p), s.deltaPercent) && within(max(last, -last), s.deltaLast)
}

// within reports whether v is in the span; an end of -1 is open.
func within(v int, span *[2]int) bool {
	return span == nil || v >= span[0] && (span[1] == -1 || v <= span[1])
}

func (s *selection) passesFilters(r *row) bool {
	if s.minRating >= 0 {
		if rating := value(r.Current, pRating); rating <= 0 || rating < s.minRating {
			return false
		}
	}
	amazon := value(r.Current, pAmazon) > 0
	if s.flags["mustHaveAmazonOffer"] && !amazon || s.flags["mustNotHaveAmazonOffer"] && amazon {
		return false
	}
	if s.flags["isOutOfStock"] && value(r.Current, s.priceType) != -1 {
		return false
	}
	title := strings.ToLower(r.Title)
	return !slices.ContainsFunc(s.words, func(w string) bool { return !strings.Contains(title, w) })
}

// inCategories reports whether the row is in what the query includes and
// not in what it excludes. A root covers its whole tree.
func (s *selection) inCategories(r *row) bool {
	if !s.filters {
		return true
	}
	in := func(id int64) bool { return id == r.RootCat || slices.Contains(r.Categories, id) }
	return (len(s.include) == 0 || slices.ContainsFunc(s.include, in)) && !slices.ContainsFunc(s.exclude, in)
}
