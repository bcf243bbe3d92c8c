package chart

import (
	"math"
	"strings"

	"ratchet/pipeline/domain/keepa"
)

// board is a panel of a terminal: characters, and behind them braille dots, two wide and four high in each cell.
type board struct {
	wide, high int
	cells      []rune // 0: nothing
	dots       []byte
}

func newBoard(wide, high int) *board {
	return &board{wide: wide, high: high, cells: make([]rune, wide*high), dots: make([]byte, wide*high)}
}

// braille are the bits of a cell's dots, by row and column.
var braille = [4][2]byte{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}

// dot sets a braille dot; nothing outside of the panel.
func (b *board) dot(x, y int) {
	if x >= 0 && y >= 0 && x < 2*b.wide && y < 4*b.high {
		b.dots[y/4*b.wide+x/2] |= braille[y%4][x%2]
	}
}

// put sets a character, over what is there.
func (b *board) put(x, y int, r rune) {
	if x >= 0 && y >= 0 && x < b.wide && y < b.high {
		b.cells[y*b.wide+x] = r
	}
}

// behind sets a character where no dots are.
func (b *board) behind(x, y int, r rune) {
	if i := y*b.wide + x; i >= 0 && i < len(b.dots) && b.dots[i] == 0 {
		b.put(x, y, r)
	}
}

// row is a line of the panel.
func (b *board) row(y int) string {
	var out strings.Builder
	for i := y * b.wide; i < (y+1)*b.wide; i++ {
		switch {
		case b.cells[i] != 0:
			out.WriteRune(b.cells[i])
		case b.dots[i] != 0:
			out.WriteRune(0x2800 + rune(b.dots[i]))
		default:
			out.WriteByte(' ')
		}
	}
	return strings.TrimRight(out.String(), " ")
}

// across is a scale of the panel's columns, in dots or in cells; upward is one of its rows.
func across(from, until keepa.Minute, n int) scale {
	return scale{low: float64(from), high: float64(until), end: float64(n - 1)}
}

func upward(s scale, n int) scale {
	s.begin, s.end = float64(n-1), 0
	return s
}

// steps draws a history in dots.
func (b *board) steps(h keepa.Series, y scale, from, until keepa.Minute) {
	x, y := across(from, until, 2*b.wide), upward(y, 4*b.high)
	before := -1
	for _, s := range stretches(h, from, until) {
		if s.value <= 0 {
			before = -1
			continue
		}
		at, begin, end := cell(y, s.value), cell(x, float64(s.from)), cell(x, float64(s.until))
		if before < 0 {
			before = at
		}
		for k := min(before, at); k <= max(before, at); k++ {
			b.dot(begin, k)
		}
		for k := begin; k <= end; k++ {
			b.dot(k, at)
		}
		before = at
	}
}

// polyline draws a line of upright and level pieces, given in dots.
func (b *board) polyline(run [][2]float64) {
	for i, p := range run {
		before := run[max(i-1, 0)]
		for at := int(before[0]); at <= int(p[0]); at++ {
			b.dot(at, int(math.Round(before[1])))
		}
		for k := math.Round(min(before[1], p[1])); k <= math.Round(max(before[1], p[1])); k++ {
			b.dot(int(p[0]), int(k))
		}
	}
}

// letters draws a history in characters, behind the dots: in each column the value at its end.
func (b *board) letters(h keepa.Series, y scale, from, until keepa.Minute, r rune) {
	y = upward(y, b.high)
	for column := range b.wide {
		at := from + keepa.Minute(float64(column+1)/float64(b.wide)*float64(until-from))
		if v := last(h, at); v != nil {
			b.behind(column, cell(y, float64(*v)), r)
		}
	}
}

// level draws a line through the panel, behind the dots.
func (b *board) level(y scale, v float64, r rune) {
	at := cell(upward(y, b.high), v)
	for column := range b.wide {
		b.behind(column, at, r)
	}
}

func cell(s scale, v float64) int { return int(math.Round(s.at(v))) }
