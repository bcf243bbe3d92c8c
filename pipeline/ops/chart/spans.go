package chart

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
	"time"
)

// Spans are lengths of time below each other: the gaps of a list, from when they were owed until they were not.
type Spans struct {
	Title       string
	What        string // of one: "gap"
	From, Until time.Time
	All         []Span
}

// Span is a length of time. A zero Until has not come yet.
type Span struct {
	From, Until time.Time
	End         End
	Says        string
}

// End is how a span ended.
type End string

// The ends.
const (
	Open   End = "open"   // it has not ended
	Good   End = "filled" // as it should
	Failed End = "expired"
)

// mostLanes bounds how many spans are below each other; what needs more is drawn over the last.
const mostLanes = 14

// laneHigh is the height of a lane with its room.
const laneHigh = 14

// SpansSize is the size of a picture of spans at a width.
func SpansSize(s Spans, width int) Size {
	_, lanes := s.lanes()
	return Size{width, laneHigh*max(lanes, 1) + 32}
}

// Timespans draws spans as bars over time, so that none hides another.
func Timespans(s Spans, size Size) template.HTML {
	p := begin(size, "chart-spans", s.Title, s.describe())
	const left, right, head, foot = 8, 10, 6, 20
	x := scale{low: seconds(s.From), high: seconds(s.Until), begin: left, end: float64(size.Width - right)}
	base := float64(size.Height - foot)
	p.line("chart-axis", x.begin, base, x.end, base)
	for _, t := range timeTicks(s.From, s.Until, max(2, int(x.end-x.begin)/62)) {
		at := x.at(t.value)
		p.line("chart-grid", at, head, at, base)
		if at > x.begin+12 && at < x.end-12 {
			p.text("chart-muted", "middle", at, base+15, t.label)
		}
	}
	lanes, _ := s.lanes()
	for i, span := range s.sorted() {
		from, until := x.at(seconds(span.From)), x.end
		if !span.Until.IsZero() {
			until = x.at(seconds(span.Until))
		}
		p.open("g", nil)
		p.element("title", nil, short(span.Says, 200))
		p.rect("chart-span-"+string(span.End), from, head+float64(laneHigh*lanes[i]), max(until-from, 2), laneHigh-4)
		p.close("g")
	}
	if len(s.All) == 0 {
		p.text("chart-muted", "start", x.begin, head+11, "none in this time")
	}
	return p.end()
}

func (s Spans) sorted() []Span {
	all := slices.Clone(s.All)
	slices.SortStableFunc(all, func(a, b Span) int { return cmp.Or(a.From.Compare(b.From), a.Until.Compare(b.Until)) })
	return all
}

// lanes is the lane of each span, in their order, and how many there are.
func (s Spans) lanes() (lane []int, n int) {
	var free []time.Time // from when on each lane is free
	for _, span := range s.sorted() {
		until := span.Until
		if until.IsZero() {
			until = s.Until
		}
		i := slices.IndexFunc(free, func(t time.Time) bool { return !t.After(span.From) })
		switch {
		case i < 0 && len(free) < mostLanes:
			i, free = len(free), append(free, until)
		case i < 0:
			i = mostLanes - 1
		}
		free[i] = until
		lane = append(lane, i)
	}
	return lane, len(free)
}

// describe returns the picture in words.
func (s Spans) describe() string {
	n := map[End]int{}
	for _, span := range s.All {
		n[span.End]++
	}
	return fmt.Sprintf("%s to %s UTC: %s; %d open, %d filled, %d expired.", s.From.UTC().Format("2006-01-02 15:04"), s.Until.UTC().Format("2006-01-02 15:04"),
		plural(len(s.All), s.What, s.What+"s"), n[Open], n[Good], n[Failed])
}
