package chart

import (
	"math"
	"strconv"

	"ratchet/pipeline/domain/keepa"
)

// trace draws a history as a step line. Of what changes within one column the line keeps the way in, the least, the
// most and the way out, so a picture of ten years looks like all its points and is as small as its width.
type trace struct {
	d      []byte
	x, y   int  // where the line ends
	drawn  bool // false: nothing is offered here
	column int  // how wide a column is
}

// column is how many units of a picture's width are drawn as one.
func (s Size) column() int { return max(1, s.Width/480) }

// path is the line of a history in a window.
func path(h keepa.Series, x, y scale, from, until keepa.Minute, column int) string {
	t := &trace{column: column}
	all := stretches(h, from, until)
	for i := 0; i < len(all); {
		at := t.snap(x.at(float64(all[i].from)))
		n := i + 1
		for n < len(all) && t.snap(x.at(float64(all[n].from))) == at {
			n++
		}
		t.step(at, all[i:n], y)
		i = n
	}
	t.to(int(math.Round(x.at(float64(until)))))
	return string(t.d)
}

// snap is the begin of the column of a position.
func (t *trace) snap(x float64) int { return int(x) / t.column * t.column }

// step draws what changes in the column at x.
func (t *trace) step(x int, changes []stretch, y scale) {
	t.to(x)
	var ys []int
	for _, c := range changes {
		if c.value > 0 {
			ys = append(ys, int(math.Round(y.at(c.value))))
		}
	}
	if len(ys) > 0 {
		t.upright(x, ys)
	}
	if changes[len(changes)-1].value > 0 || !t.drawn {
		return
	}
	if len(ys) > 0 {
		t.to(x + 1) // what was offered for a moment is seen
	}
	t.drawn = false
}

// upright draws the positions of one column, in the shortest way that ends in the last one.
func (t *trace) upright(x int, ys []int) {
	if !t.drawn {
		t.x, t.y, t.drawn = x, ys[0], true
		t.d = append(t.d, 'M')
		t.d = strconv.AppendInt(t.d, int64(x), 10)
		t.d = append(t.d, ' ')
		t.d = strconv.AppendInt(t.d, int64(t.y), 10)
	}
	low, high, end := t.y, t.y, ys[len(ys)-1]
	for _, y := range ys {
		low, high = min(low, y), max(high, y)
	}
	first, second := low, high
	if end < t.y {
		first, second = high, low
	}
	for _, y := range []int{first, second, end} {
		t.move('v', y-t.y)
		t.y = y
	}
}

// to draws the last value up to x.
func (t *trace) to(x int) {
	if t.drawn && x > t.x {
		t.move('h', x-t.x)
		t.x = x
	}
}

func (t *trace) move(command byte, by int) {
	if by != 0 {
		t.d = strconv.AppendInt(append(t.d, command), int64(by), 10)
	}
}
