package cli

import (
	"fmt"
	"os"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/ops/chart"
	"ratchet/pipeline/ops/report"
	"ratchet/pipeline/text/foreign"
)

// topped is a view of a pipeline that has found something.
func topped(t *testing.T) topView {
	t.Helper()
	_, st := hoursIn(os.Stdout)
	st.Wish = "run"
	b := st.Balance
	b.At, b.Since, b.Target, b.Deadline, b.ETA, b.Rate = noon, noon.Add(-20*time.Minute), 240, noon.Add(time.Hour), noon.Add(24*time.Minute), 5
	b.Note = "" // of the summary
	st.Stages[1].Price, st.Stages[1].Worst = 1, 1
	st.Stages[2].Price, st.Stages[2].Worst = 6.25, 12
	v := topView{status: st, source: Source{From: fromClickHouse}}
	for i := range 72 {
		at := noon.Add(time.Duration(i-72) * 5 * time.Minute)
		v.course.Levels = append(v.course.Levels, chart.Level{At: at, Value: float64(25 * i % 300), Known: true})
		v.course.Costs = append(v.course.Costs, Cost{At: at, Stage: pipeline.Stages()[i%3], Tokens: i})
	}
	v.course.Pauses = []chart.Pause{{From: noon.Add(-3 * time.Hour), Until: noon.Add(-2 * time.Hour)}, {From: noon.Add(-20 * time.Minute)}}
	for i := range 40 {
		cents := func(n int) *int64 { c := int64(n - 31*i); return &c }
		chance, months := 0.11+float64(i)/100, 2.5
		v.deals = append(v.deals, Deal{
			Domain: 1, ASIN: fmt.Sprintf("B%09d", i), Title: foreign.Of("A book with a title that goes on until no terminal has the room for it, and on"), LandedCents: cents(1499),
			ProfitCents: cents(2345), SaleCents: cents(5000), SaleLow: cents(3400), SaleHigh: cents(7100), LossChance: &chance, MonthsToSell: &months,
			Rank: cents(345_678), DecidedAt: noon.Add(-time.Duration(i) * time.Hour), ConfirmedAt: noon.Add(-time.Duration(i) * time.Hour),
		})
		v.last = append(v.last, pipeline.Verdict{
			Identity: pipeline.Identity{Domain: 1, ASIN: fmt.Sprintf("B%09d", 100+i)}, Look: pipeline.LookPeek, Outcome: pipeline.Reject, Reason: "no_sale_in_year",
			DecidedAt: noon.Add(-time.Duration(i) * time.Minute), TokensSpent: 1, Title: foreign.Of("Another book, 書名, of which the title is longer than the line has room for it"),
		})
	}
	return v
}

func TestTopFitsAndIsDrawnOverItselfAtEverySize(t *testing.T) {
	t.Parallel()
	for _, wraps := range []bool{false, true} {
		p := openPTY(t)
		p.wraps = wraps
		var was [2]int
		for _, c := range []struct {
			name        string
			width, high int
		}{{"top-80x24", 80, 24}, {"top-140x40", 140, 40}, {"top-80x24", 80, 24}, {"top-40x10", 40, 10}} {
			p.resize(t, c.width, c.high)
			for range 3 {
				was = topped(t).draw(p.slave, was)
				p.read(t)
				p.golden(t, c.name)
			}
		}
		topView{wrong: "Reading …"}.draw(p.slave, was)
		p.read(t)
		p.golden(t, "top-nothing")
	}
}

func TestTopFitsEveryTerminal(t *testing.T) {
	t.Parallel()
	v := topped(t)
	for _, size := range [][2]int{{1, 1}, {2, 2}, {3, 20}, {20, 3}, {60, 12}, {60, 13}, {60, 19}, {60, 20}, {100, 30}, {300, 80}} {
		lines := v.screen(size[0], size[1])
		if len(lines) > max(size[1]-1, 1) {
			t.Errorf("%d lines on %v", len(lines), size)
		}
		for _, line := range lines {
			if columnsOf(line) > max(size[0]-1, 1) {
				t.Errorf("%d columns on %v: %s", columnsOf(line), size, line)
			}
		}
	}
}

func TestTheCourseOfTheBalanceIsTheLedgers(t *testing.T) {
	t.Parallel()
	var c Course
	at := func(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }
	for _, e := range []pipeline.Entry{
		{Event: pipeline.EventMode, Note: "burst to recharge", At: at(0), API: &pipeline.Reading{Left: 7}},
		{Event: pipeline.EventMode, Note: "tokend leads", At: at(5)},
		{Event: pipeline.EventMode, Note: "recharge to burst, ended by target", At: at(10)},
		{Event: pipeline.EventClose, Stage: pipeline.StagePeeker, Tokens: 3, At: at(12), API: &pipeline.Reading{Left: 40}},
		{Event: pipeline.EventClaim, Stage: pipeline.StagePeeker, Tokens: 30, At: at(13)},
		{Event: pipeline.EventMode, Note: "recharge to somewhere", PriceKind: pipeline.KindPeek, At: at(14)},
		{Event: pipeline.EventMode, Note: "burst to recharge", At: at(20)},
	} {
		c.entry(e)
	}
	if len(c.Levels) != 2 || c.Levels[1].Value != 40 || len(c.Pauses) != 2 || !c.Pauses[0].Until.Equal(at(10)) || !c.Pauses[1].Until.IsZero() {
		t.Errorf("the course is %+v", c)
	}
	if got := c.Spent(at(0)); got[report.Spend{Stage: pipeline.StagePeeker}] != 3 || len(c.Spent(at(13))) != 0 {
		t.Errorf("spent is %v", got)
	}
	c.Forget(at(11))
	if len(c.Levels) != 2 || len(c.Pauses) != 1 || len(c.Costs) != 1 {
		t.Errorf("kept is %+v", c)
	}
	if c.Forget(at(15)); len(c.Levels) != 1 || len(c.Costs) != 0 {
		t.Errorf("kept is %+v", c)
	}
	drawn := c.Chart(Status{At: at(30), Balance: &token.Balance{Est: 55, Cap: 300, At: at(29), State: "recharge", Deadline: at(60)}}, time.Hour)
	if n := len(drawn.Levels); n != 2 || drawn.Levels[1].Value != 55 || drawn.Most != 300 || len(drawn.Deadlines) != 1 || !drawn.From.Equal(at(-30)) {
		t.Errorf("drawn is %+v", drawn)
	}
}
