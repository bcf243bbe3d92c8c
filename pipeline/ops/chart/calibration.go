package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// Calibration is what was predicted beside what was seen. What is right lies on the diagonal.
type Calibration struct {
	Title      string
	Said, Seen string // what the axes hold
	Points     []Point
	Most       float64              // the end of both axes; 0 is the largest value
	Label      func(float64) string // of a value
	Above      string               // what a point above the diagonal means: "earned more"
}

// Point is a group of predictions.
type Point struct {
	Said, Seen float64
	N          int // cases; the area of the dot
}

// Calibrated draws the points around the diagonal.
func Calibrated(c Calibration, s Size) template.HTML {
	p := begin(s, "chart-calibration", c.Title, c.describe())
	const left, right, head, foot = 50, 14, 28, 38
	x := scale{low: 0, high: c.most(), begin: left, end: float64(s.Width - right)}
	y := scale{low: 0, high: c.most(), begin: float64(s.Height - foot), end: head}
	p.text("chart-muted", "start", 2, 11, c.Seen)
	p.text("chart-muted", "end", x.end, y.begin+32, c.Said)
	for _, t := range numberTicks(c.most(), max(2, int(y.begin-y.end)/40)) {
		at := y.at(t.value)
		p.line("chart-grid", x.begin, at, x.end, at)
		p.text("chart-muted", "end", x.begin-6, at+4, c.Label(t.value))
	}
	for _, t := range numberTicks(c.most(), max(2, int(x.end-x.begin)/60)) {
		at := x.at(t.value)
		p.line("chart-axis", at, y.begin, at, y.begin+4)
		p.text("chart-muted", ends(at, x), at, y.begin+16, c.Label(t.value))
	}
	p.line("chart-even", x.begin, y.begin, x.end, y.end)
	most := 1
	for _, d := range c.Points {
		most = max(most, d.N)
	}
	for _, d := range c.drawn() {
		p.open("g", nil)
		p.element("title", nil, c.point(d))
		radius := 3 + 9*math.Sqrt(float64(max(d.N, 0))/float64(most))
		p.empty("circle", attrs{"class", "chart-dot", "cx", num(x.at(d.Said)), "cy", num(y.at(d.Seen)), "r", num(radius)})
		p.close("g")
	}
	if len(c.drawn()) == 0 {
		p.text("chart-muted", "start", x.begin+6, y.begin-8, "nothing yet")
	}
	return p.end()
}

// ends returns the anchor of a label at a position: a label at an edge stays inside.
func ends(at float64, x scale) string {
	switch {
	case at < x.begin+16:
		return "start"
	case at > x.end-16:
		return "end"
	}
	return "middle"
}

// drawn are the points that have a place.
func (c Calibration) drawn() []Point {
	var out []Point
	for _, d := range c.Points {
		if v := d.Said + d.Seen; !math.IsNaN(v) && !math.IsInf(v, 0) {
			out = append(out, d)
		}
	}
	return out
}

// most is the end of both axes.
func (c Calibration) most() float64 {
	if c.Most > 0 {
		return c.Most
	}
	most := 0.0
	for _, d := range c.drawn() {
		most = max(most, d.Said, d.Seen)
	}
	if most == 0 {
		return 1
	}
	return most * 1.05
}

func (c Calibration) point(d Point) string {
	return fmt.Sprintf("predicted %s, seen %s, of %s", c.Label(d.Said), c.Label(d.Seen), plural(d.N, "case", "cases"))
}

// describe returns the picture in words.
func (c Calibration) describe() string {
	if len(c.drawn()) == 0 {
		return "Nothing yet."
	}
	var all []string
	for _, d := range c.drawn() {
		all = append(all, c.point(d))
	}
	out := strings.Join(all, "; ") + "."
	if c.Above != "" {
		out += " Above the diagonal: " + c.Above + "."
	}
	return strings.ToUpper(out[:1]) + out[1:]
}
