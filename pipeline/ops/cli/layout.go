package cli

import (
	"strings"
	"unicode"

	eastern "golang.org/x/text/width"
)

// A layout puts the cells of a record on as many lines as the width requires:
//
//	columns in their order ─▶ lines, each as full as the narrowest cells allow ─▶ the free room of a line goes to its
//	text columns ─▶ a cell that is still too long is cut, with …
//
// All records and the head have the same layout.
type layout struct {
	lines [][]slot
	uncut bool // as wide as it gets
}

// slot is one column on a line.
type slot struct {
	column int // index
	width  int
	right  bool
}

// gap is between two columns, and indent before the further lines of a record.
const (
	gap    = "  "
	indent = "  "
)

// wish is the width of a column: its widest cell, and the narrowest useful width.
type wish struct {
	least, most int
	right       bool
}

// layOut returns the layout of columns at a width; 0 is unlimited.
func layOut(columns []wish, width int) layout {
	l := layout{uncut: width == 0}
	var line []slot
	used := 0
	for i, c := range columns {
		least := c.most
		if width > 0 {
			least = min(c.least, c.most)
		}
		if len(line) > 0 && width > 0 && used+len(gap)+least > width {
			l.lines, line, used = append(l.lines, line), nil, len(indent)
		}
		if len(line) > 0 {
			used += len(gap)
		}
		line, used = append(line, slot{column: i, width: least, right: c.right}), used+least
	}
	l.lines = append(l.lines, line)
	for n, line := range l.lines {
		l.widen(columns, line, width, n > 0)
	}
	return l
}

// widen gives the room that is left on a line to its columns, in their order.
func (layout) widen(columns []wish, line []slot, width int, further bool) {
	room := width
	if further {
		room -= len(indent)
	}
	for i, s := range line {
		if room -= s.width; i > 0 {
			room -= len(gap)
		}
	}
	for i := range line {
		more := min(max(room, 0), columns[line[i].column].most-line[i].width)
		line[i].width, room = line[i].width+more, room-more
	}
}

// write returns the lines of a record, each with a line end.
func (l layout) write(cells []string) string {
	var b strings.Builder
	for n, line := range l.lines {
		var text strings.Builder
		if n > 0 {
			text.WriteString(indent)
		}
		for i, s := range line {
			if i > 0 {
				text.WriteString(gap)
			}
			cell := cells[s.column]
			if !l.uncut {
				cell = cut(cell, s.width)
			}
			text.WriteString(pad(cell, s.width, s.right))
		}
		b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
	}
	return b.String()
}

func pad(s string, to int, right bool) string {
	room := strings.Repeat(" ", max(0, to-columnsOf(s)))
	if right {
		return room + s
	}
	return s + room
}

// cut returns s, cut to at most so many columns.
func cut(s string, most int) string {
	if columnsOf(s) <= most {
		return s
	}
	used := 0
	for i, r := range s {
		if used += runeColumns(r); used > most-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// columnsOf returns how many columns of a terminal a text takes.
func columnsOf(s string) int {
	n := 0
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// runeColumns returns how many columns of a terminal a character takes: 0 if it combines with another, 2 if it is wide
// (East Asia).
func runeColumns(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case eastern.LookupRune(r).Kind() == eastern.EastAsianWide, eastern.LookupRune(r).Kind() == eastern.EastAsianFullwidth:
		return 2
	}
	return 1
}
