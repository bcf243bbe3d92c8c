package cli

import (
	"slices"
	"strings"
	"time"
)

// Column is a field of deals, as a table shows it.
type Column struct {
	Name  string // of the field
	Right bool   // aligned to the right
	of    func(d Deal, now time.Time) string
}

// Head returns the heading.
func (c Column) Head() string { return strings.ReplaceAll(c.Name, "_", " ") }

// Of returns the cell of a deal; ages are relative to now, pipeline time.
func (c Column) Of(d Deal, now time.Time) string { return c.of(d, now) }

// Order returns the order that sorts deals by the column; "" if there is no such order.
func (c Column) Order() By {
	switch by := By(c.Name); {
	case c.Name == "found":
		return "age"
	case orders[by] != nil:
		return by
	}
	return ""
}

// Columns returns the fields of these names; an unknown name is left out.
func Columns(names ...string) []Column {
	var out []Column
	for _, name := range names {
		if i := slices.IndexFunc(fields, func(f field) bool { return f.name == name }); i >= 0 {
			out = append(out, Column{Name: name, Right: fields[i].right, of: fields[i].table})
		}
	}
	return out
}
