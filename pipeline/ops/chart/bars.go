package chart

import (
	"html/template"
	"math"
)

// Amounts are amounts by name: tokens by stage.
type Amounts struct {
	Title string
	Unit  string
	Bars  []Bar
}

// Bar is one amount; below 0 and NaN are shown as an empty bar.
type Bar struct {
	Name  string
	Value float64
	Note  string // behind the amount: "12 calls"
}

// barHigh is the height of one bar with its room.
const barHigh = 26

// BarsSize is the size of a picture of n bars at a width.
func BarsSize(width, n int) Size { return Size{width, barHigh*max(n, 1) + 4} }

// Bars draws amounts as bars with their numbers.
func Bars(a Amounts, s Size) template.HTML {
	p := begin(s, "chart-bars", a.Title, a.says())
	name, most := 0.0, 0.0
	for _, b := range a.Bars {
		name = max(name, wide(short(b.Name, 20)))
		if !math.IsInf(b.Value, 0) {
			most = max(most, b.Value)
		}
	}
	left := name + 10
	x := scale{low: 0, high: most, begin: left, end: max(left+10, float64(s.Width)-a.room())}
	for i, b := range a.Bars {
		y := float64(barHigh*i) + 4
		at := x.at(b.Value)
		p.text("chart-label", "end", left-8, y+14, short(b.Name, 20))
		p.rect("chart-bar", left, y, max(at-left, 1), barHigh-8)
		p.text("chart-muted", "start", max(at, left+1)+6, y+14, b.text())
	}
	if len(a.Bars) == 0 {
		p.text("chart-muted", "start", 4, 18, "nothing yet")
	}
	return p.end()
}

// text is what stands behind a bar.
func (b Bar) text() string {
	out := "unknown"
	if !math.IsNaN(b.Value) {
		out = brief(math.Round(b.Value))
	}
	if b.Note != "" {
		out += " · " + short(b.Note, 30)
	}
	return out
}

// room is what the longest text needs.
func (a Amounts) room() float64 {
	most := 0.0
	for _, b := range a.Bars {
		most = max(most, wide(b.text()))
	}
	return most + 14
}

func (a Amounts) says() string {
	if len(a.Bars) == 0 {
		return "Nothing yet."
	}
	out := ""
	for i, b := range a.Bars {
		if i > 0 {
			out += ", "
		}
		out += short(b.Name, 20) + " " + b.text()
	}
	return out + " (" + a.Unit + ")."
}
