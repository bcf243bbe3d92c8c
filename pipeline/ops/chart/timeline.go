package chart

import (
	"cmp"
	"fmt"
	"html/template"
	"math"
	"slices"
	"strings"
	"time"
)

// Course is a level over time: the balance of a bucket.
type Course struct {
	Title       string
	Unit        string // of the level: "tokens"
	From, Until time.Time
	Now         time.Time // where the levels end; zero is Until
	Levels      []Level
	Most        float64 // the end of the axis: a bucket's capacity; 0 is the highest level
	Pauses      []Pause
	Deadlines   []time.Time
}

// Level is a value from an instant on.
type Level struct {
	At    time.Time
	Value float64
	Known bool // false: from here on nothing is known
}

// Pause is a time in which nothing is spent. A zero Until has not come yet.
type Pause struct{ From, Until time.Time }

// Timeline draws a level as an area of steps, with pauses behind it and deadlines as lines.
func Timeline(c Course, s Size) template.HTML {
	c = c.sorted()
	p := begin(s, "chart-timeline", c.Title, c.describe())
	const left, right, head, foot = 46, 10, 8, 20
	x := scale{low: seconds(c.From), high: seconds(c.Until), begin: left, end: float64(s.Width - right)}
	y := scale{low: 0, high: c.most(), begin: float64(s.Height - foot), end: head}
	for _, pause := range c.Pauses {
		from, until := x.at(seconds(pause.From)), c.end(x)
		if !pause.Until.IsZero() {
			until = x.at(seconds(pause.Until))
		}
		p.rect("chart-pause", from, y.end, until-from, y.begin-y.end)
	}
	grid(p, y, x.begin, x.end, numberTicks(y.high, max(2, int(y.begin-y.end)/40)))
	for _, t := range timeTicks(c.From, c.Until, max(2, int(x.end-x.begin)/62)) {
		at := x.at(t.value)
		p.line("chart-axis", at, y.begin, at, y.begin+4)
		if at > x.begin+10 && at < x.end-12 {
			p.text("chart-muted", "middle", at, y.begin+15, t.label)
		}
	}
	areas, line := c.paths(x, y, s.column())
	p.path("chart-area", areas)
	p.path("chart-line chart-level", line)
	for _, d := range c.Deadlines {
		if !d.Before(c.From) && !d.After(c.Until) {
			p.line("chart-even", x.at(seconds(d)), y.end, x.at(seconds(d)), y.begin)
		}
	}
	return p.end()
}

// end is where what still lasts ends.
func (c Course) end(x scale) float64 {
	if c.Now.IsZero() {
		return x.end
	}
	return x.at(seconds(c.Now))
}

// sorted is the course with its levels in order of time.
func (c Course) sorted() Course {
	c.Levels = slices.Clone(c.Levels)
	slices.SortStableFunc(c.Levels, func(a, b Level) int { return a.At.Compare(b.At) })
	return c
}

func seconds(t time.Time) float64 { return float64(t.Unix()) + float64(t.Nanosecond())/1e9 }

// most is the end of the axis.
func (c Course) most() float64 {
	most := c.Most
	for _, l := range c.Levels {
		if l.Known && !math.IsNaN(l.Value) && !math.IsInf(l.Value, 0) {
			most = max(most, l.Value)
		}
	}
	return cmp.Or(max(most, 0), 1)
}

// numberTicks are about n round numbers from 0 to high.
func numberTicks(high float64, n int) []tick {
	step := rounded(high / float64(max(n, 1)))
	var out []tick
	for k := 0.0; k*step <= high && len(out) < 50; k++ {
		out = append(out, tick{k * step, brief(k * step)})
	}
	return out
}

// paths are the level as areas down to the axis and as a line; of what changes within a column the least and the most
// are kept.
func (c Course) paths(x, y scale, column int) (areas, line string) {
	var a, l strings.Builder
	for _, run := range c.runs(x, y, column) {
		for i, p := range run {
			command := "L"
			if i == 0 {
				command = "M"
				fmt.Fprintf(&a, "M%s %s", num(p[0]), num(y.begin))
			}
			fmt.Fprintf(&a, "L%s %s", num(p[0]), num(p[1]))
			fmt.Fprintf(&l, "%s%s %s", command, num(p[0]), num(p[1]))
		}
		fmt.Fprintf(&a, "L%s %sZ", num(run[len(run)-1][0]), num(y.begin))
	}
	return a.String(), l.String()
}

// runs are the pieces of the line between which nothing is known.
func (c Course) runs(x, y scale, column int) (out [][][2]float64) {
	var run [][2]float64
	end := func() {
		if len(run) > 0 {
			out = append(out, run)
		}
		run = nil
	}
	add := func(at, level float64) {
		if n := len(run); n < 2 || run[n-1] != [2]float64{at, level} {
			run = append(run, [2]float64{at, level})
		}
	}
	for i := 0; i < len(c.Levels); i++ {
		l := c.Levels[i]
		if l.At.After(c.Until) {
			break
		}
		at := math.Floor(x.at(seconds(l.At))/float64(column)) * float64(column)
		at = max(at, x.begin)
		if n := len(run); n > 0 {
			add(at, run[n-1][1])
		}
		if !l.Known || math.IsNaN(l.Value) {
			end()
			continue
		}
		low, high := l.Value, l.Value
		for i+1 < len(c.Levels) && c.Levels[i+1].Known && !math.IsNaN(c.Levels[i+1].Value) && x.at(seconds(c.Levels[i+1].At)) < at+float64(column) {
			i++
			low, high = min(low, c.Levels[i].Value), max(high, c.Levels[i].Value)
		}
		add(at, y.at(low))
		add(at, y.at(high))
		add(at, y.at(c.Levels[i].Value))
	}
	if n := len(run); n > 0 {
		add(c.end(x), run[n-1][1])
	}
	end()
	return out
}

// describe returns the picture in words.
func (c Course) describe() string {
	out := "Nothing is known."
	if n := len(c.Levels); n > 0 && c.Levels[n-1].Known && !math.IsNaN(c.Levels[n-1].Value) {
		out = fmt.Sprintf("%s %s at the end, of %s at most.", brief(math.Round(c.Levels[n-1].Value)), c.Unit, brief(math.Round(c.most())))
	}
	span := c.From.UTC().Format("2006-01-02 15:04") + " to " + c.Until.UTC().Format("2006-01-02 15:04") + " UTC"
	return fmt.Sprintf("%s: %s %s.", span, out, plural(len(c.Pauses), "pause", "pauses"))
}
