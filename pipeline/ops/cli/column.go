package cli

import (
	"slices"
	"strings"
	"time"
)

// Column is a field of deals, as a table shows it.
type Column struct {
	Name  string // the field's
	Right bool   // it is aligned to the right
	of    func(d Deal, now time.Time) string
}

// Head is its heading.
func (c Column) Head() string { return strings.ReplaceAll(c.Name, "_", " ") }

// Of is what it shows of a deal; ages are to now, pipeline time.
func (c Column) Of(d Deal, now time.Time) string { return c.of(d, now) }

// Order is what deals are sorted by where the column is; "" where they cannot be.
func (c Column) Order() By {
	switch by := By(c.Name); {
	case c.Name == "found":
		return "age"
	case orders[by] != nil:
		return by
	}
	return ""
}

// Columns are the fields of these names; a name that there is not is left out.
func Columns(names ...string) []Column {
	var out []Column
	for _, name := range names {
		if i := slices.IndexFunc(fields, func(f field) bool { return f.name == name }); i >= 0 {
			out = append(out, Column{Name: name, Right: fields[i].right, of: fields[i].table})
		}
	}
	return out
}

// Choose are the deals that a choice admits, in an order.
func Choose(deals []Deal, c Choice, by By) []Deal { return choose(deals, c, by) }
