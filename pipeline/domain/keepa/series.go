package keepa

import (
	"bytes"
	"math"
	"slices"
	"sort"
)

// Point is one change of a history: the value from this minute on.
type Point struct {
	At       Minute
	Value    int // negative: nothing was offered from here on
	Shipping int // triples only; negative: unknown
}

// Known reports whether there was a value.
func (p Point) Known() bool { return p.Value >= 0 }

// Landed returns the price with shipping, unknown shipping counted as 0; false when there was no offer.
func (p Point) Landed() (int, bool) {
	if p.Value < 0 {
		return 0, false
	}
	return p.Value + max(p.Shipping, 0), true
}

// Series is the history of one type, oldest first; a value holds until the next change.
type Series []Point

// Last returns the newest change; false for an empty history.
func (h Series) Last() (Point, bool) {
	if len(h) == 0 {
		return Point{}, false
	}
	return h[len(h)-1], true
}

// Search returns the index of the first change at or after the minute; len(h) without one.
func (h Series) Search(m Minute) int {
	return sort.Search(len(h), func(i int) bool { return h[i].At >= m })
}

// At returns the change in force at the minute; false before the first.
func (h Series) At(m Minute) (Point, bool) {
	i := h.Search(m + 1)
	if i == 0 {
		return Point{}, false
	}
	return h[i-1], true
}

// HasHistory reports whether the answer came with histories at all; without,
// Series is empty for every type, which is no information about the product.
func (p *Product) HasHistory() bool { return len(p.csv) > 0 }

// Series decodes the history of one type: nil when Keepa has none. A point out of time order is put in order.
func (p *Product) Series(t PriceType) (Series, error) { return p.SeriesInto(nil, t) }

// SeriesInto is Series in the memory of buf, which grows when it has to.
func (p *Product) SeriesInto(buf Series, t PriceType) (Series, error) {
	if t < 0 || int(t) >= len(p.csv) || p.csv[t] == nil {
		return nil, nil
	}
	width := 2
	if t.Triple() {
		width = 3
	}
	h, err := decodeSeries(buf, p.csv[t], width)
	if err != nil {
		return nil, within("csv."+t.String(), err)
	}
	return h, nil
}

// decodeSeries reads a flat array of pairs or triples, into buf if there is one; an incomplete last group is dropped.
func decodeSeries(buf Series, raw []byte, width int) (Series, error) {
	s := scanner{b: raw}
	if buf == nil {
		buf = make(Series, 0, (bytes.Count(raw, []byte{','})+1)/width)
	}
	h, flat := s.flatPoints(buf[:0], width)
	var err error
	if !flat {
		var numbers []int64
		numbers, err = decodeNumbers(raw)
		h = points(h[:0], numbers, width)
	}
	h = slices.DeleteFunc(h, func(p Point) bool {
		return p.At < earliest || p.At > latest || p.Value >= mostCents || p.Shipping >= mostCents
	})
	for i := 1; i < len(h); i++ {
		if h[i].At < h[i-1].At {
			sort.SliceStable(h, func(i, j int) bool { return h[i].At < h[j].At })
			break
		}
	}
	return h, err
}

// unread marks an element of an array that is not a number: its group is dropped.
const unread = math.MinInt64

// points appends the complete groups of numbers to h.
func points(h Series, numbers []int64, width int) Series {
	for i := 0; i+width <= len(numbers); i += width {
		if slices.Contains(numbers[i:i+width], unread) {
			continue
		}
		p := Point{At: Minute(numbers[i]), Value: int(numbers[i+1]), Shipping: -1}
		if width == 3 {
			p.Shipping = int(numbers[i+2])
		}
		h = append(h, p)
	}
	return h
}

// decodeNumbers reads a flat array in which null means "no data"; a fraction or NaN is unread.
func decodeNumbers(raw []byte) ([]int64, error) {
	s := scanner{b: raw}
	numbers := make([]int64, 0, bytes.Count(raw, []byte{','})+1)
	if flat, ok := s.flatInts(numbers, math.MaxInt); ok {
		return flat, nil
	}
	numbers = numbers[:0]
	err := s.arrayOf(math.MaxInt, func(int) error {
		c := s.peek()
		if c == '[' || c == '{' {
			return s.fail("a whole number")
		}
		start := s.i
		v, ok, err := s.value()
		switch {
		case !ok && c == '"': // words are not a history
			s.i = start
			return s.fail("a whole number")
		case !ok && c == 'n':
			v = noData
		case !ok:
			v = unread
		}
		numbers = append(numbers, v)
		return err
	})
	return numbers, err
}

// histories keeps every history encoded. One that is not an array is
// recorded here; decoding it fails, and the others are not affected.
func (s *scanner) histories(p *[][]byte) error {
	*p = nil
	return s.array(func(n int) error {
		if c := s.peek(); c != '[' && c != 'n' {
			typed := &TypeError{Path: "csv." + PriceType(n).String(), Want: "an array or null", Got: s.describe()}
			s.changed = append(s.changed, typed)
		}
		raw, err := s.raw()
		*p = append(*p, raw)
		return err
	})
}
