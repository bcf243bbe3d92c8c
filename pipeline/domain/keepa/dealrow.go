package keepa

import (
	"encoding/json"
	"fmt"

	"ratchet/pipeline/text/foreign"
)

// Interval is a window over which the deal list averages: the first index of avg, delta and deltaPercent.
type Interval int

// The deal list's windows. Keepa's "day" averages over 48 hours.
const (
	Day Interval = iota
	Week
	Month
	NinetyDays
	intervals
)

// DealRow is one row of the deal list. Slices may be of any length: read them through Values.
type DealRow struct {
	ASIN         string
	Title        foreign.Text // html entities resolved
	ParentASIN   string       // "" when unknown
	RootCategory int64        // 0 unknown
	Categories   []int64
	Image        string // file name; "" without one

	Current      Values
	CurrentSince Values // Keepa minutes
	DeltaLast    Values // previous - current: negative is meaningful, so read it by index with care
	Avg          [intervals]Values
	Delta        [intervals]Values
	DeltaPercent [intervals]Values
	BackInStock  []bool

	CreationDate  Minute // when the current price of the requested type began; 0 unknown
	LastUpdate    Minute // when Keepa last visited the product; moves without any change
	LightningFrom Minute // 0 none
	LightningTo   Minute // 0 none

	WarehouseCondition int // 0 without one
	WarehouseComment   foreign.Text

	// Improvements of the sales rank within so many days; nil when Keepa does not know.
	SalesRankDrops30, SalesRankDrops90, SalesRankDrops180, SalesRankDrops365 *int

	// Changed are fields that no decision needs and that have an unexpected type; they are absent.
	Changed []*TypeError

	// Raw is the row as Keepa sent it, with everything that is not JSON replaced:
	// what a candidate carries, and what DecodeDealRow reads again.
	Raw json.RawMessage
}

// UnreadRow is a row with a required field that is missing or of another type.
type UnreadRow struct {
	Position int             // in the list of its page
	Raw      json.RawMessage // as Keepa sent it
	Err      error           // names the field
}

// DealPage is one page of the deal list.
type DealPage struct {
	Envelope
	Rows []DealRow
	// Positions are the indices of Rows in the answer.
	Positions []int
	// Unread are rows that cannot be decided on; they are not among Rows.
	Unread []UnreadRow
	// Cached reports that Keepa answered from its own cache of identical queries.
	Cached     bool
	categories map[int64]int
	listed     bool
}

// CategoryCount returns how many rows the whole query has in a root category, so that the
// number of pages is known after the first; false when Keepa did not report it.
func (p *DealPage) CategoryCount(root int64) (int, bool) {
	n, ok := p.categories[root]
	return n, ok
}

// Listed reports whether the answer contained a list; an answer without
// one (an error, an empty 200) is not an empty list of deals.
func (p *DealPage) Listed() bool { return p.listed }

// DecodeDealPage reads one page of the deal list.
func DecodeDealPage(body []byte) (DealPage, error) {
	var page DealPage
	s := scanner{b: body}
	env, err := s.envelope(func(key []byte) (bool, error) {
		switch string(key) {
		case "deals":
			return true, s.deals(&page)
		case "dealsCached":
			return true, s.tolerate("", key, func() error { return s.intoBool(&page.Cached) })
		}
		return false, nil
	})
	page.Envelope = env
	return page, err
}

func (s *scanner) deals(page *DealPage) error {
	if s.null() {
		return nil
	}
	var ids, counts Values // null keeps its place: a count belongs to the category at its position
	err := s.object(func(key []byte) error {
		switch string(key) {
		case "dr":
			return s.rows(page)
		case "categoryIds":
			return s.tolerate("deals.", key, func() error { return s.intoValues(&ids) })
		case "categoryCount":
			return s.tolerate("deals.", key, func() error { return s.intoValues(&counts) })
		}
		return s.skip()
	})
	if n := min(len(ids), len(counts)); n > 0 {
		page.categories = make(map[int64]int, n)
		for i := range n {
			if ids[i] > 0 && counts[i] >= 0 {
				page.categories[int64(ids[i])] = counts[i]
			}
		}
	}
	return err
}

// rows reads the list, usually an array; an object is read as its values.
func (s *scanner) rows(page *DealPage) error {
	n := 0
	switch s.peek() {
	case '[':
		page.listed = true
		return s.array(func(i int) error { return s.listed(page, i) })
	case '{':
		return s.object(func([]byte) error {
			page.listed = true
			n++
			return s.listed(page, n-1)
		})
	}
	if s.null() {
		return nil
	}
	return s.fail("an array")
}

// listed reads one row of a page. A row with an unreadable required field is put aside, and the others are still read.
func (s *scanner) listed(page *DealPage, i int) error {
	if i == mostElements {
		return errTooMany()
	}
	raw, why, err := s.element()
	if err != nil {
		return err // the end of the row is unknown: nothing after it can be read either
	}
	var row DealRow
	if why == nil {
		row, why = DecodeDealRow(raw)
	}
	if why == nil {
		page.Rows, page.Positions = append(page.Rows, row), append(page.Positions, i)
		return nil
	}
	raw = append(json.RawMessage(nil), raw...)
	page.Unread = append(page.Unread, UnreadRow{Position: i, Raw: raw, Err: within(fmt.Sprintf("deals.dr[%d]", i), why)})
	return nil
}

// DecodeDealRow reads one row, as the deal list sent it or as a candidate carries it.
func DecodeDealRow(raw []byte) (DealRow, error) {
	s := scanner{b: raw}
	row, err := s.dealRow()
	if err != nil {
		return row, err
	}
	return row, s.end()
}

func (s *scanner) dealRow() (DealRow, error) {
	var r DealRow
	if s.peek() != '{' {
		return r, s.fail("an object")
	}
	start := s.i
	s.changed = nil
	err := s.object(func(key []byte) error { return s.dealField(&r, key) })
	if err != nil {
		return r, err
	}
	r.Changed, s.changed = s.changed, nil
	if r.ASIN == "" {
		return r, &TypeError{Path: "asin", Want: "a string", Got: "nothing"}
	}
	// A copy, so that keeping one row does not keep its page.
	raw, ok := strictRow(s.b[start:s.i])
	if !ok {
		return r, &TypeError{Want: fmt.Sprintf("a JSON object of at most %d bytes", mostRow), Got: "another"}
	}
	r.Raw = raw
	return r, nil
}

// dealField decodes a field that decisions need, or leaves it to tolerance.
func (s *scanner) dealField(r *DealRow, key []byte) error {
	switch string(key) {
	case "asin":
		return s.intoText(&r.ASIN)
	case "current":
		return s.intoValues(&r.Current)
	}
	return s.tolerate("", key, func() error { return s.defaultField(r, key) })
}

// defaultField decodes a field that decisions use if it is present.
func (s *scanner) defaultField(r *DealRow, key []byte) error {
	switch string(key) {
	case "rootCat":
		return s.intoInt64(&r.RootCategory)
	case "categories":
		return s.intoInt64s(&r.Categories)
	case "currentSince":
		return s.intoValues(&r.CurrentSince)
	case "avg":
		return s.byInterval(&r.Avg)
	case "creationDate":
		return s.intoMinute(&r.CreationDate)
	case "lastUpdate":
		return s.intoMinute(&r.LastUpdate)
	case "salesRankDrops30":
		return s.intoCount(&r.SalesRankDrops30)
	case "salesRankDrops90":
		return s.intoCount(&r.SalesRankDrops90)
	case "salesRankDrops180":
		return s.intoCount(&r.SalesRankDrops180)
	case "salesRankDrops365":
		return s.intoCount(&r.SalesRankDrops365)
	}
	return s.shownField(r, key)
}

// shownField decodes a field that is only shown.
func (s *scanner) shownField(r *DealRow, key []byte) error {
	switch string(key) {
	case "title":
		return s.intoTitle(&r.Title)
	case "parentAsin":
		return s.intoText(&r.ParentASIN)
	case "image":
		return s.image(&r.Image)
	case "deltaLast":
		return s.intoValues(&r.DeltaLast)
	case "delta":
		return s.byInterval(&r.Delta)
	case "deltaPercent":
		return s.byInterval(&r.DeltaPercent)
	case "backInStock":
		return s.bools(&r.BackInStock)
	case "lightningStart":
		return s.intoMinute(&r.LightningFrom)
	case "lightningEnd":
		return s.intoMinute(&r.LightningTo)
	case "warehouseCondition":
		return s.intoInt(&r.WarehouseCondition)
	case "warehouseConditionComment":
		return s.intoForeign(&r.WarehouseComment)
	}
	return s.skip()
}

// byInterval decodes an array of arrays; unknown windows are skipped.
func (s *scanner) byInterval(p *[intervals]Values) error {
	return s.array(func(n int) error {
		if n >= int(intervals) {
			return s.skip()
		}
		return s.tolerate("avg", fmt.Appendf(nil, "[%d]", n), func() error { return s.intoValues(&p[n]) })
	})
}

func (s *scanner) bools(p *[]bool) error {
	*p = nil
	return s.array(func(int) error {
		v, _, err := s.boolean()
		*p = append(*p, v)
		return err
	})
}

// image decodes a file name that Keepa sends as an array of character codes; later answers may send text.
func (s *scanner) image(p *string) error {
	if s.peek() == '"' {
		return s.intoText(p)
	}
	codes, err := s.int64s()
	name := make([]byte, 0, len(codes))
	for _, c := range codes {
		name = append(name, byte(c))
	}
	*p = string(name)
	return err
}
