package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/ops/chart"
	"ratchet/pipeline/ops/report"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
)

// Course is the balance of a plan over time, from the ledger: what Keepa reported and the pauses; and of all plans what
// each stage spent, and the gaps of the lists.
type Course struct {
	Plan pipeline.Plan // absent: the first one

	Levels []chart.Level
	Pauses []chart.Pause
	Costs  []Cost
	Gaps   []CourseGap

	next uint64 // the first sequence of LEDGER that was not read
}

// Cost is the cost of a call of a stage.
type Cost struct {
	At     time.Time
	Stage  pipeline.Stage
	Plan   pipeline.Plan
	Tokens int
}

// Read reads the new entries of the ledger; the first time, those of the last span. Streams are searched by machine
// time, and pipeline time is never slower.
func (c *Course) Read(ctx context.Context, b *bus.Bus, span time.Duration) error {
	from := bus.From{Sequence: c.next}
	if c.next == 0 {
		from.Since = process.MachineNow().Add(-span)
	}
	return bus.ScanJSON(ctx, b, pipeline.StreamLedger, from, func(r bus.Read, e pipeline.Entry) error {
		c.next = r.Sequence + 1
		c.entry(e)
		return nil
	})
}

// entry applies one entry of the ledger.
func (c *Course) entry(e pipeline.Entry) {
	if e.API != nil && e.Plan == c.Plan {
		c.Levels = append(c.Levels, chart.Level{At: e.At, Value: float64(e.API.Left), Known: true})
	}
	switch e.Event {
	case pipeline.EventClose, pipeline.EventLost:
		c.Costs = append(c.Costs, Cost{e.At, e.Stage, e.Plan, e.Tokens})
	case pipeline.EventMode:
		c.mode(e)
	case pipeline.EventGapOpened, pipeline.EventGapFilled, pipeline.EventGapExpired:
		c.gap(e)
	default: // moves within the budget, and the lists
	}
}

// mode applies a change of state, from the note of tokend: "burst to recharge", "recharge to burst, ended by …".
func (c *Course) mode(e pipeline.Entry) {
	_, to, is := strings.Cut(e.Note, " to ")
	if !is || e.PriceKind != "" || e.Plan != c.Plan {
		return
	}
	to, _, _ = strings.Cut(to, ",")
	n := len(c.Pauses)
	open := n > 0 && c.Pauses[n-1].Until.IsZero()
	switch pauses := to == string(token.Recharge); {
	case open && !pauses:
		c.Pauses[n-1].Until = e.At
	case pauses && !open:
		c.Pauses = append(c.Pauses, chart.Pause{From: e.At})
	}
}

// Chart returns the course up to the status as a chart of the last span.
func (c Course) Chart(s Status, span time.Duration) chart.Course {
	out := chart.Course{Title: "Balance", Unit: "tokens", From: s.At.Add(-span), Until: s.At, Levels: c.Levels, Pauses: c.Pauses}
	if b := s.balanceOf(c.Plan); b != nil {
		out.Levels = append(out.Levels[:len(out.Levels):len(out.Levels)], chart.Level{At: b.At, Value: float64(b.Est), Known: true})
		out.Most = float64(b.Cap)
		if b.State == string(token.Recharge) && !b.Deadline.IsZero() {
			out.Deadlines = append(out.Deadlines, b.Deadline)
		}
	}
	return out
}

// Spent returns what each stage of each plan spent since an instant, whatever the kind.
func (c Course) Spent(since time.Time) map[report.Spend]int {
	out := map[report.Spend]int{}
	for _, cost := range c.Costs {
		if !cost.At.Before(since) {
			out[report.Spend{Plan: cost.Plan, Stage: cost.Stage}] += cost.Tokens
		}
	}
	return out
}

// Forget drops what is older than an instant, so that a long session keeps only what it shows.
func (c *Course) Forget(before time.Time) {
	n := 0
	for n+1 < len(c.Levels) && c.Levels[n+1].At.Before(before) {
		n++ // the last one before it holds from there on
	}
	c.Levels = slices.Delete(c.Levels, 0, n)
	c.Costs = slices.DeleteFunc(c.Costs, func(cost Cost) bool { return cost.At.Before(before) })
	c.Gaps = slices.DeleteFunc(c.Gaps, func(g CourseGap) bool { return !g.Ended.IsZero() && g.Ended.Before(before) })
	c.Pauses = slices.DeleteFunc(c.Pauses, func(p chart.Pause) bool { return !p.Until.IsZero() && p.Until.Before(before) })
}
