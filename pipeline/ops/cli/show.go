package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Show is how deals are shown.
type Show struct {
	Choice
	By     By
	Limit  int       // deals at most, the first of them; 0 is all
	Format string    // table, json or csv; "" is table
	Fields []string  // of table and csv, by name; empty is the default
	Width  int       // columns of the terminal; 0 is unlimited
	Now    time.Time // pipeline time, for ages; zero is that of the newest deal
}

// Check returns an error for an invalid selection; it begins with the name of the flag or URL parameter.
func (s Show) Check() error {
	switch {
	case s.Condition != "" && !slices.Contains(Conditions(), s.Condition):
		return fmt.Errorf("condition %q: want one of %s", s.Condition, strings.Join(Conditions(), ", "))
	case s.MaxRank < 0:
		return fmt.Errorf("max-rank %d: want a rank above 0", s.MaxRank)
	case s.Limit < 0:
		return fmt.Errorf("limit %d: want a number above 0", s.Limit)
	case s.By != "" && orders[s.By] == nil:
		return fmt.Errorf("sort %q: want one of %s", s.By, strings.Join(Orders(), ", "))
	}
	for _, name := range s.Fields {
		if slices.Contains(Fields(), name) && s.Format == "csv" && !InCSV(name) {
			return fmt.Errorf("columns: %s is for a table; a csv has found, sell_low and sell_high instead", name)
		}
		if !slices.Contains(Fields(), name) {
			return fmt.Errorf("columns: %q is not a column; want some of %s", name, strings.Join(Fields(), ", "))
		}
	}
	return nil
}

// WriteDeals prints the selected deals.
func WriteDeals(w io.Writer, deals []Deal, s Show) error {
	deals = slices.Clone(deals)
	s.By.sort(deals)
	l := NewListing(w, s)
	for _, d := range deals {
		if err := l.Deal(d); err != nil {
			return err
		}
	}
	return l.End()
}

// none returns why no deal is shown.
func none(all int) string {
	if all > 0 {
		return fmt.Sprintf("None of the %d deals is within these limits.", all)
	}
	return "No deals yet. `ratchet why` shows what rejects them, `ratchet status` what is being worked on."
}

func heads(shown []field) []string {
	var out []string
	for _, f := range shown {
		out = append(out, strings.ToUpper(strings.ReplaceAll(f.name, "_", " ")))
	}
	return out
}

// names returns the selected fields, or the default.
func (s Show) names(usual []string) []string {
	if len(s.Fields) > 0 {
		return s.Fields
	}
	return usual
}

// csvNames returns the columns of a csv: always with the note, because its rows may be written one by one.
func (s Show) csvNames() []string {
	names := s.names(csvFields)
	if !slices.Contains(names, "note") {
		names = append(slices.Clone(names), "note")
	}
	return names
}

// stream prints deals one by one.
type stream struct {
	Show
	w     io.Writer
	begun bool
	csv   *Listing
}

// show prints one deal: a table's row, a csv's row, or a JSON object on a line.
func (s *stream) show(d Deal) error {
	if !s.Admits(&d) {
		return nil
	}
	head := !s.begun
	s.begun = true
	switch s.Format {
	case "json":
		return json.NewEncoder(s.w).Encode(d)
	case "csv":
		if head {
			s.csv = NewListing(s.w, s.Show)
		}
		return cmp.Or(s.csv.record(d), s.csv.w.Flush())
	}
	_, err := io.WriteString(s.w, s.row(d, head))
	return err
}

// row returns a row of a table whose other rows are not known yet.
func (s *stream) row(d Deal, head bool) string {
	names := slices.DeleteFunc(slices.Clone(s.names(tableFields)), func(name string) bool { return name == "age" }) // it is now
	if !slices.Contains(names, "note") {
		names = noted(names)
	}
	shown := fieldsOf(names, nil)
	wishes, cells := make([]wish, len(shown)), make([]string, len(shown))
	for i, f := range shown {
		wishes[i] = wish{most: max(f.usual, len(f.name)), right: f.right}
		wishes[i].least = cmp.Or(f.least, wishes[i].most)
		cells[i] = f.table(d, d.foundAt())
	}
	l := layOut(wishes, s.Width)
	if head {
		return l.write(heads(shown)) + l.write(cells)
	}
	return l.write(cells)
}
