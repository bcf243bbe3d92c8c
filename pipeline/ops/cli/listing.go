package cli

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// laidOutBy is how many deals lay out a table. Further ones have its columns, so that a table of any length begins at
// once and takes no memory; in a pipe, where nothing is cut, a longer text moves the rest of its line.
const laidOutBy = 1000

// longestNote is the width of a note in a table that is laid out before all notes are known.
const longestNote = len(simulated + ", stale_over_capacity")

// Listing prints deals in the order in which it gets them, the first ones at once.
type Listing struct {
	show    Show
	w       *bufio.Writer
	all     int // seen
	shown   int
	csv     *csv.Writer
	fields  []field
	held    []Deal // of a table that is not laid out yet
	layout  layout
	laidOut bool
}

// NewListing returns a listing that prints to w what is to be shown.
func NewListing(w io.Writer, s Show) *Listing {
	l := &Listing{show: s, w: bufio.NewWriter(w)}
	if s.Format == "csv" {
		l.csv = csv.NewWriter(l.w)
		l.fields = slices.DeleteFunc(fieldsOf(s.csvNames(), nil), func(f field) bool { return f.csv == nil })
	}
	return l
}

// Deal prints a deal, if it is to be shown.
func (l *Listing) Deal(d Deal) error {
	l.all++
	if !l.show.Admits(&d) || l.show.Limit > 0 && l.shown == l.show.Limit {
		return nil
	}
	l.shown++
	var err error
	switch l.show.Format {
	case "json":
		err = l.object(d)
	case "csv":
		err = l.record(d)
	default:
		if l.laidOut {
			return l.row(d)
		}
		if l.held = append(l.held, d); len(l.held) == laidOutBy {
			err = l.layOut(true)
		}
	}
	if l.shown == 1 && err == nil {
		err = l.w.Flush()
	}
	return err
}

// End prints what is left.
func (l *Listing) End() error {
	var err error
	switch {
	case l.show.Format == "json" && l.shown == 0:
		_, err = l.w.WriteString("[]\n")
	case l.show.Format == "json":
		_, err = l.w.WriteString("\n]\n")
	case l.show.Format == "csv":
		err = l.heads()
	case l.shown == 0:
		_, err = fmt.Fprintln(l.w, none(l.all))
	case !l.laidOut:
		err = l.layOut(false)
	}
	return cmp.Or(err, l.w.Flush())
}

// object prints a deal as an element of an array.
func (l *Listing) object(d Deal) error {
	before := ",\n  "
	if l.shown == 1 {
		before = "[\n  "
	}
	body, err := json.MarshalIndent(d, "  ", "  ")
	if err != nil {
		return fmt.Errorf("encode the deal of %s: %w", d.ASIN, err)
	}
	_, _ = l.w.WriteString(before) // Write returns the same error
	_, err = l.w.Write(body)
	return err
}

// heads prints the names of a csv's columns, once.
func (l *Listing) heads() error {
	if l.laidOut {
		return nil
	}
	l.laidOut = true
	var names []string
	for _, f := range l.fields {
		names = append(names, f.name)
	}
	return l.write(names)
}

func (l *Listing) record(d Deal) error {
	err := l.heads()
	if err != nil {
		return err
	}
	var row []string
	for _, f := range l.fields {
		row = append(row, f.csv(d))
	}
	return l.write(row)
}

func (l *Listing) write(row []string) error {
	_ = l.csv.Write(row) // Error returns it
	l.csv.Flush()
	return l.csv.Error()
}

// layOut prints the head and the deals that are held. If more follow, one of them may need the note.
func (l *Listing) layOut(more bool) error {
	names := l.show.names(tableFields)
	if more && !slices.Contains(names, "note") {
		names = noted(names)
	}
	l.fields = fieldsOf(names, l.held)
	if l.show.Now.IsZero() {
		l.show.Now = newest(l.held)
	}
	head := heads(l.fields)
	rows := make([][]string, len(l.held))
	wishes := make([]wish, len(l.fields))
	for i, d := range l.held {
		rows[i] = l.cells(d)
	}
	for i, f := range l.fields {
		wishes[i].most = columnsOf(head[i])
		if more {
			wishes[i].most = max(wishes[i].most, f.usual)
		}
		if more && f.name == "note" {
			wishes[i].most = longestNote
		}
		for _, r := range rows {
			wishes[i].most = max(wishes[i].most, columnsOf(r[i]))
		}
		wishes[i].least, wishes[i].right = cmp.Or(f.least, wishes[i].most), f.right
	}
	l.layout, l.laidOut, l.held = layOut(wishes, l.show.Width), true, nil
	for _, r := range append([][]string{head}, rows...) {
		if _, err := l.w.WriteString(l.layout.write(r)); err != nil {
			return err
		}
	}
	return nil
}

func (l *Listing) row(d Deal) error {
	_, err := l.w.WriteString(l.layout.write(l.cells(d)))
	return err
}

func (l *Listing) cells(d Deal) []string {
	out := make([]string, len(l.fields))
	for i, f := range l.fields {
		out[i] = f.table(d, l.show.Now)
	}
	return out
}

// table is a table of these deals, in their order.
func (s Show) table(deals []Deal) string {
	var out strings.Builder
	l := Listing{show: s, w: bufio.NewWriter(&out), held: deals}
	_, _ = l.layOut(false), l.w.Flush() // a builder takes all
	return out.String()
}

// newest is when the newest of deals was found.
func newest(deals []Deal) (at time.Time) {
	for _, d := range deals {
		if d.foundAt().After(at) {
			at = d.foundAt()
		}
	}
	return at
}
