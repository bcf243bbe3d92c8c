package watermark

import (
	"math"
	"slices"
)

// MinMark and MaxMark lie beyond every date of a list, and far enough from the
// ends of the type that a minute can be added or subtracted.
const (
	MinMark = Mark(math.MinInt64 / 4)
	MaxMark = Mark(math.MaxInt64 / 4)
)

// Span is the minutes from Lo to Hi, both included; empty when Lo is above Hi.
type Span struct {
	Lo Mark `json:"lo"`
	Hi Mark `json:"hi"`
}

// Has reports whether a minute lies in the span.
func (s Span) Has(m Mark) bool { return s.Lo <= m && m <= s.Hi }

// Spans are covered minutes: sorted, and neither overlapping nor adjacent, so that equal coverage is an equal value.
type Spans []Span

// Add returns the union with a span.
func (s Spans) Add(x Span) Spans {
	if x.Lo > x.Hi {
		return s
	}
	out := make(Spans, 0, len(s)+1)
	for _, y := range s {
		if y.Hi+1 < x.Lo || x.Hi+1 < y.Lo {
			out = append(out, y)
			continue
		}
		x = Span{min(x.Lo, y.Lo), max(x.Hi, y.Hi)}
	}
	out = append(out, x)
	slices.SortFunc(out, func(a, b Span) int { return int(max(-1, min(1, a.Lo-b.Lo))) })
	return out
}

// Missing returns the part of a span that is not covered.
func (s Spans) Missing(x Span) Spans {
	var out Spans
	for _, y := range s {
		if y.Hi < x.Lo {
			continue
		}
		if y.Lo > x.Hi {
			break
		}
		if y.Lo > x.Lo {
			out = append(out, Span{x.Lo, y.Lo - 1})
		}
		x.Lo = y.Hi + 1
	}
	if x.Lo <= x.Hi {
		out = append(out, x)
	}
	return out
}

// Within returns the part of the coverage inside a span.
func (s Spans) Within(x Span) Spans {
	var out Spans
	for _, y := range s {
		if y = (Span{max(x.Lo, y.Lo), min(x.Hi, y.Hi)}); y.Lo <= y.Hi {
			out = append(out, y)
		}
	}
	return out
}

// Has reports whether a minute is covered.
func (s Spans) Has(m Mark) bool {
	return slices.ContainsFunc(s, func(x Span) bool { return x.Has(m) })
}
