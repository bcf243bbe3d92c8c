package cli

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/ops/chart"
)

// CourseGap is a gap of a list: a span of dates below its watermark that was owed for some time.
type CourseGap struct {
	ID, List string
	From, To time.Time // the dates of its rows; From is zero at the list's end
	Opened   time.Time // zero: before what was read
	Ended    time.Time // zero: it is owed
	How      chart.End
	Rows     int // estimated
}

// gap takes in a line about a gap.
func (c *Course) gap(e pipeline.Entry) {
	i := slices.IndexFunc(c.Gaps, func(g CourseGap) bool { return g.ID == e.Note && g.Ended.IsZero() })
	if i < 0 {
		i = len(c.Gaps)
		c.Gaps = append(c.Gaps, CourseGap{ID: e.Note, List: e.Query, From: minute(e.From), To: minute(e.To), How: chart.Open, Rows: e.RowsEstimate})
	}
	switch g := &c.Gaps[i]; e.Event {
	case pipeline.EventGapOpened:
		g.Opened = e.At
	case pipeline.EventGapFilled:
		g.Ended, g.How = e.At, chart.Good
	default:
		g.Ended, g.How = e.At, chart.Failed
	}
}

func minute(m int64) time.Time {
	if m <= 0 {
		return time.Time{}
	}
	return keepa.Minute(m).Time()
}

// Owed are the gaps of the last span, those that are owed first, and then the newest first. What the status owes
// counts; a gap that it no longer has was merged with another one.
func (c Course) Owed(s Status, span time.Duration) []CourseGap {
	from := s.At.Add(-span)
	owed := map[string]bool{}
	out := slices.Clone(c.Gaps)
	for list, m := range s.Watermarks {
		for _, g := range m.Gaps {
			owed[g.ID] = true
			if !slices.ContainsFunc(out, func(o CourseGap) bool { return o.ID == g.ID }) {
				out = append(out, CourseGap{ID: g.ID, List: cmp.Or(m.Query, list), From: minute(int64(g.From)), To: minute(int64(g.To)), Opened: g.Opened, How: chart.Open, Rows: g.RowsEstimate})
			}
		}
	}
	out = slices.DeleteFunc(out, func(g CourseGap) bool {
		return g.Ended.IsZero() && !owed[g.ID] || !g.Ended.IsZero() && g.Ended.Before(from)
	})
	slices.SortStableFunc(out, func(a, b CourseGap) int {
		if a.Ended.IsZero() != b.Ended.IsZero() {
			return map[bool]int{true: -1, false: 1}[a.Ended.IsZero()]
		}
		return cmp.Or(-a.Opened.Compare(b.Opened), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// GapChart is the gaps of the last span as a picture.
func (c Course) GapChart(s Status, span time.Duration) chart.Spans {
	out := chart.Spans{Title: "Gaps of the lists", What: "gap", From: s.At.Add(-span), Until: s.At}
	for _, g := range c.Owed(s, span) {
		from := g.Opened
		if from.Before(out.From) {
			from = out.From
		}
		out.All = append(out.All, chart.Span{From: from, Until: g.Ended, End: g.How, Says: g.Sentence(s.At)})
	}
	return out
}

// Dates are those of the rows that were owed.
func (g CourseGap) Dates() string {
	const layout = "2006-01-02 15:04"
	from := "the list's end"
	if !g.From.IsZero() {
		from = g.From.Format(layout)
	}
	return from + " to " + g.To.Format(layout)
}

// Stood is how the gap stands.
func (g CourseGap) Stood() string {
	return map[chart.End]string{chart.Open: "owed", chart.Good: "filled", chart.Failed: "expired: its rows have left the list"}[g.How]
}

// Sentence is the gap in words.
func (g CourseGap) Sentence(now time.Time) string {
	end := g.Ended
	if end.IsZero() {
		end = now
	}
	lasted := "since before this time"
	if !g.Opened.IsZero() {
		lasted = "for " + brief(end.Sub(g.Opened))
	}
	return fmt.Sprintf("%s, %s: %s, owed %s, about %d rows", g.List, g.Dates(), g.Stood(), lasted, g.Rows)
}
