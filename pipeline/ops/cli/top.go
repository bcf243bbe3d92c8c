package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/visibility"
	"ratchet/pipeline/ops/chart"
	"ratchet/pipeline/ops/report"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/platform/process"
	"ratchet/pipeline/store/messages"
)

// Top is the state of a running pipeline on one screen: balance, stages, the best deals, the last decisions. Its
// figures equal those of `ratchet status` and `ratchet deals`.
type Top struct {
	b       *bus.Bus
	visible *Visible

	next   uint64    // the first sequence of VERDICTS that was not read
	listed time.Time // when the deals were, machine time
	now    topView
}

// topView is the content of a screen.
type topView struct {
	status Status
	course Course
	last   []pipeline.Verdict // the newest first
	deals  []Deal             // the best first
	source Source
	wrong  string // why it is out of date
}

const (
	topSpan   = 6 * time.Hour   // of the balance, pipeline time
	topEvery  = time.Second     // between two readings
	listEvery = 5 * time.Second // between two of the deals
	topWithin = 20 * time.Second
	topLast   = 100 // decisions that are kept
)

// NewTop returns a screen of the pipeline and its visible deals.
func NewTop(b *bus.Bus, v *Visible) *Top { return &Top{b: b, visible: v} }

// read updates the view. A part that cannot be read keeps its last value, and the view shows the error.
func (t *Top) read(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, topWithin)
	defer cancel()
	t.now.wrong = ""
	for _, part := range []func(context.Context) error{t.readStatus, t.readCourse, t.readLast, t.readDeals} {
		if err := part(ctx); err != nil {
			t.now.wrong = "Out of date: " + err.Error()
			return
		}
	}
}

func (t *Top) readStatus(ctx context.Context) error {
	s, err := ReadStatus(ctx, t.b)
	if err == nil {
		t.now.status = s
	}
	return err
}

func (t *Top) readCourse(ctx context.Context) error {
	err := t.now.course.Read(ctx, t.b, topSpan)
	t.now.course.Forget(t.now.status.At.Add(-topSpan))
	return err
}

func (t *Top) readLast(ctx context.Context) error {
	if t.next == 0 {
		last, err := t.b.Last(ctx, pipeline.StreamVerdicts)
		if err != nil {
			return err
		}
		t.next = max(last, 2*topLast) - 2*topLast + 1
	}
	return messages.ScanVerdicts(ctx, t.b, bus.From{Sequence: t.next}, func(r bus.Read, v visibility.Verdict) error {
		t.next = r.Sequence + 1
		if v.Run == pipeline.RunLive && v.Outcome.Final() && v.Look != pipeline.LookList {
			t.now.last = slices.Insert(t.now.last[:min(len(t.now.last), topLast-1)], 0, v.Verdict)
		}
		return nil
	})
}

func (t *Top) readDeals(ctx context.Context) error {
	if process.MachineSince(t.listed) < listEvery {
		return nil
	}
	deals, from, err := t.visible.List(ctx, time.Time{})
	if err == nil {
		t.now.deals, t.now.source, t.listed = deals, from, process.MachineNow()
	}
	return err
}

// kept returns a copy of the view, which the next read does not change.
func (v topView) kept() topView {
	v.last = slices.Clone(v.last)
	v.course = v.course.Clone()
	return v
}

// The heights below which parts are left out.
const (
	highForPlot   = 20
	highForStages = 13
)

// screen returns the view as lines, one less than the terminal is high, so that nothing scrolls.
func (v topView) screen(width, high int) []string {
	room := max(width-1, 1)
	lines := []string{v.head(), v.headline()}
	if !v.status.At.IsZero() {
		lines = append(lines, v.body(room, high-2-len(lines), high)...)
	}
	for len(lines) < high-2 {
		lines = append(lines, "")
	}
	lines = append(lines[:max(0, min(len(lines), high-2))], "q quits")
	for i := range lines {
		lines[i] = strings.TrimRight(cut(lines[i], room), " ")
	}
	return lines
}

// body returns the lines below the first two; on a low terminal parts are left out.
func (v topView) body(width, room, high int) []string {
	lines := strings.Split(v.status.balance(), "\n")
	if len(v.status.Plans) > 0 {
		lines = strings.Split(strings.Join(v.status.Budgets(), "\n"), "\n")
	}
	if high < highForPlot {
		lines = lines[:1]
	} else {
		plot := chart.PlotTimeline(v.course.Chart(v.status, topSpan), width, 3+max(0, high-24)/8)
		lines = append(lines, strings.Split(strings.TrimSuffix(plot, "\n"), "\n")...)
	}
	if high >= highForStages {
		lines = append(lines, v.stages(width)...)
	}
	left := max(0, room-len(lines))
	deals := v.dealLines(width, (left+1)/2)
	lines = append(lines, deals...)
	return append(lines, v.lastLines(width, left-len(deals))...)
}

func (v topView) head() string {
	at := "…"
	if !v.status.At.IsZero() {
		at = v.status.At.Format("2006-01-02 15:04:05") + " UTC"
	}
	if v.status.Simulated() {
		at += "  SIMULATED"
	}
	return fmt.Sprintf("ratchet top  %s  %d deals visible (%s)", at, len(v.deals), orDash(v.source.From))
}

// headline returns the first line of the status.
func (v topView) headline() string {
	switch {
	case v.wrong != "":
		return v.wrong
	case len(v.status.Stuck) > 1:
		return fmt.Sprintf("STUCK: %s (and %d more: `ratchet status`)", v.status.Stuck[0], len(v.status.Stuck)-1)
	case len(v.status.Stuck) == 1:
		return "STUCK: " + v.status.Stuck[0].String()
	}
	return v.status.fine()
}

func (v topView) stages(width int) []string {
	spent := v.course.Spent(v.status.At.Add(-topSpan))
	records := [][]string{{"STAGE", "FREE WAITING", "PAID WAITING", "IN WORK", "PRICE (MOST)", fmt.Sprintf("SPENT IN %.0f H", topSpan.Hours())}}
	for _, s := range v.status.Stages {
		records = append(records, []string{
			s.Plan.With(string(s.Stage)), fmt.Sprint(s.Free), fmt.Sprint(s.Waiting), fmt.Sprint(s.InWork), s.price(),
			fmt.Sprint(spent[report.Spend{Plan: s.Plan, Stage: s.Stage}]),
		})
	}
	return tableOf(records, width, 0)
}

// tableOf lays records out as lines. The last cuts columns are text and may be cut; without any, all columns after the
// first are numbers.
func tableOf(records [][]string, width, cuts int) []string {
	wishes := make([]wish, len(records[0]))
	for i := range wishes {
		for _, r := range records {
			wishes[i].most = max(wishes[i].most, columnsOf(r[i]))
		}
		wishes[i].least, wishes[i].right = wishes[i].most, cuts == 0 && i > 0
		if i >= len(wishes)-cuts {
			wishes[i].least = min(wishes[i].most, 8)
		}
	}
	l := layOut(wishes, width)
	var out []string
	for _, r := range records {
		out = append(out, strings.Split(strings.TrimSuffix(l.write(r), "\n"), "\n")...)
	}
	return out
}

// topFields are the columns of the deals; topSpare are left out, in their order, until a deal fits a line.
var (
	topFields = []string{"profit", "loss", "buy", "range", "months", "rank", "age", "asin", "title"}
	topSpare  = []string{"range", "rank", "age", "months"}
)

// dealLines returns the best deals with their head, on at most that many lines.
func (v topView) dealLines(width, lines int) []string {
	if lines < 2 {
		return nil
	}
	if len(v.deals) == 0 {
		return []string{"", "No deals yet. `ratchet why` shows what rejects them."}
	}
	shown := v.deals[:min(len(v.deals), lines-1)]
	fields := slices.Clone(topFields)
	for _, spare := range append([]string{""}, topSpare...) {
		fields = slices.DeleteFunc(fields, func(name string) bool { return name == spare })
		table := strings.Split(strings.TrimSuffix(Show{Fields: fields, Width: width, Now: v.status.At}.table(shown), "\n"), "\n")
		if len(table) == len(shown)+1 || spare == topSpare[len(topSpare)-1] {
			return table[:min(len(table), lines)]
		}
	}
	return nil
}

// lastLines returns the last decisions with their head, on at most that many lines.
func (v topView) lastLines(width, lines int) []string {
	if lines < 2 {
		return nil
	}
	records := [][]string{{"DECIDED", "ASIN", "LOOK", "OUTCOME", "TOKENS", "REASON", "TITLE"}}
	for _, d := range v.last[:min(len(v.last), lines-1)] {
		records = append(records, []string{
			d.DecidedAt.Format("15:04:05"), d.ASIN, string(d.Look), string(d.Outcome), fmt.Sprint(d.TokensSpent), d.Reason, d.Title.String(),
		})
	}
	if len(records) == 1 {
		return []string{"", "Nothing was decided yet."}
	}
	table := tableOf(records, width, 2)
	return table[:min(len(table), lines)]
}
