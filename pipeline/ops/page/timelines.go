package page

import (
	"context"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"time"

	"ratchet/pipeline/ops/chart"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/platform/bus"
)

// timeline is a picture over time, and the same as a table.
type timeline struct {
	ID, Name, Says string
	Wide, Narrow   template.HTML // for a desktop and for a phone
	Heads          []string
	Right          []bool
	Rows           [][]string
}

// timelines read the ledger, and draw it again only if it has grown.
type timelines struct {
	courses []*cli.Course // one for each plan, the first plan's first
	drawn   time.Time     // pipeline time
	last    []timeline
}

const (
	lineSpan = 24 * time.Hour // of the pictures, pipeline time
	// drawEvery is how far time moves before a picture is drawn again.
	drawEvery = time.Minute
	// lineRows is how many rows a table has.
	lineRows = 60
)

// read reads the new lines of the ledger and draws them. What cannot be read stays unchanged.
func (t *timelines) read(ctx context.Context, b *bus.Bus, s cli.Status) []timeline {
	before := t.entries()
	t.follow(s)
	for _, c := range t.courses {
		if err := c.Read(ctx, b, lineSpan); err != nil {
			return t.last
		}
	}
	if before == t.entries() && s.At.Sub(t.drawn) < drawEvery {
		return t.last
	}
	t.drawn, t.last = s.At, nil
	for _, c := range t.courses {
		c.Forget(s.At.Add(-lineSpan))
		t.last = append(t.last, balanceLine(*c, s))
	}
	t.last = append(t.last, gapLine(*t.courses[0], s))
	return t.last
}

// follow begins a course for every plan that has none.
func (t *timelines) follow(s cli.Status) {
	if len(t.courses) == 0 {
		t.courses = []*cli.Course{{}}
	}
	for _, p := range s.Plans {
		if !slices.ContainsFunc(t.courses, func(c *cli.Course) bool { return c.Plan == p.Plan }) {
			t.courses = append(t.courses, &cli.Course{Plan: p.Plan})
		}
	}
}

// entries returns how many lines the courses hold.
func (t *timelines) entries() int {
	n := 0
	for _, c := range t.courses {
		n += len(c.Levels) + len(c.Pauses) + len(c.Gaps)
	}
	return n
}

// balanceLine draws a plan's balance over time, with bursts, pauses and the latest end of a pause that lasts.
func balanceLine(c cli.Course, s cli.Status) timeline {
	picture := cli.Ahead(c.Chart(s, lineSpan), lineSpan)
	id, name := "balance", "Balance"
	if len(s.Plans) > 0 {
		name += " of plan " + c.Plan.String()
		picture.Title = name
	}
	if c.Plan != "" {
		id += "-" + string(c.Plan)
	}
	out := timeline{
		ID: id, Name: name, Says: "Shaded: pauses, in which the balance grows. Between them: bursts.",
		Wide: chart.Timeline(picture, chart.Size{Width: 960, Height: 200}), Narrow: chart.Timeline(picture, chart.Size{Width: 390, Height: 180}),
		Heads: []string{"from", "until", "what", "balance at start", "at end", "spent"}, Right: []bool{false, false, false, true, true, true},
	}
	for _, d := range picture.Deadlines {
		out.Says += fmt.Sprintf(" This pause ends at the latest at %s (dotted).", d.UTC().Format(minutes))
	}
	for _, p := range c.Periods(s, lineSpan) {
		what, until := "burst", "now"
		if p.Pause {
			what = "pause"
		}
		if !p.Until.IsZero() {
			until = p.Until.UTC().Format(minutes)
		}
		out.Rows = append(out.Rows, []string{p.From.UTC().Format(minutes), until, what, known(p.Begin), known(p.End), strconv.Itoa(p.Spent)})
	}
	out.Rows = out.Rows[:min(len(out.Rows), lineRows)]
	return out
}

const minutes = "2006-01-02 15:04"

func known(n *int) string {
	if n == nil {
		return "–"
	}
	return strconv.Itoa(*n)
}

// gapLine draws the gaps of the lists over time.
func gapLine(c cli.Course, s cli.Status) timeline {
	picture := c.GapChart(s, lineSpan)
	out := timeline{
		ID: "gaps-owed", Name: "Gaps of the lists", Says: "Each bar is a span of the list that was owed: red until now, green until it was read, grey until its rows had left the list.",
		Wide: chart.Timespans(picture, chart.SpansSize(picture, 960)), Narrow: chart.Timespans(picture, chart.SpansSize(picture, 390)),
		Heads: []string{"list", "dates", "stands", "owed since", "until", "rows, about"}, Right: []bool{false, false, false, false, false, true},
	}
	gaps := c.Owed(s, lineSpan)
	for _, g := range gaps[:min(len(gaps), lineRows)] {
		since, until := "before", "now"
		if !g.Opened.IsZero() {
			since = g.Opened.UTC().Format(minutes)
		}
		if !g.Ended.IsZero() {
			until = g.Ended.UTC().Format(minutes)
		}
		out.Rows = append(out.Rows, []string{g.List, g.Dates(), g.Stood(), since, until, strconv.Itoa(g.Rows)})
	}
	return out
}
