package complaint

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// shown is the number of complaints that an error prints; more are of no use to a reader.
const shown = 50

// Complaint is one mistake.
type Complaint struct {
	Line  int    // from 1; 0 is the whole file
	Field string // as a path, "settings.prep_cents"; "" is the whole file
	Says  string // what is wrong and what to write instead
}

// Error returns the complaint on one line.
func (c Complaint) Error() string {
	var s strings.Builder
	if c.Line > 0 {
		fmt.Fprintf(&s, "line %d: ", c.Line)
	}
	if c.Field != "" {
		s.WriteString(c.Field + ": ")
	}
	return s.String() + c.Says
}

// List collects the complaints about one file.
type List struct{ all []Complaint }

// Add records a mistake.
func (l *List) Add(line int, field, format string, args ...any) {
	l.all = append(l.all, Complaint{Line: line, Field: field, Says: fmt.Sprintf(format, args...)})
}

// Has reports whether there is a complaint about a field or a part
// of it, so that errors which follow from it are left out.
func (l *List) Has(field string) bool {
	return slices.ContainsFunc(l.all, func(c Complaint) bool {
		return c.Field == field || strings.HasPrefix(c.Field, field+".") || strings.HasPrefix(c.Field, field+"[")
	})
}

// Empty reports whether there are no complaints.
func (l *List) Empty() bool { return len(l.all) == 0 }

// Rename replaces the names of the fields.
func (l *List) Rename(name func(field string) string) {
	for i := range l.all {
		l.all[i].Field = name(l.all[i].Field)
	}
}

// Join adds the errors of a validation, "FIELD: what is wrong", each at the line
// that at returns for the field. It skips fields that already have a complaint.
func (l *List) Join(err error, at func(field string) int) {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		for _, e := range many.Unwrap() {
			l.Join(e, at)
		}
		return
	}
	if err == nil {
		return
	}
	field, says, ok := strings.Cut(err.Error(), ": ")
	if !ok {
		field, says = "", err.Error()
	}
	if !l.Has(field) || field == "" {
		l.Add(at(field), field, "%s", says)
	}
}

// Err returns all complaints in the order of their lines, one a line; nil if there are none.
func (l *List) Err() error {
	if l.Empty() {
		return nil
	}
	sorted := slices.Clone(l.all)
	slices.SortStableFunc(sorted, func(a, b Complaint) int { return cmp.Compare(a.Line, b.Line) })
	var errs []error
	for _, c := range sorted[:min(len(sorted), shown)] {
		errs = append(errs, c)
	}
	if n := len(sorted) - shown; n > 0 {
		errs = append(errs, fmt.Errorf("and %d more", n))
	}
	return errors.Join(errs...)
}

// DidYouMean returns a question with the proposal; "" without one.
func DidYouMean(proposal string) string {
	if proposal == "" {
		return ""
	}
	return ": did you mean " + proposal + "?"
}

// Nearest returns the name that was most likely meant by name; "" if none is close.
func Nearest(name string, names []string) string {
	best, least := "", 1+len(name)/4
	for _, n := range names {
		if len(n) > len(name)+least || len(name) > len(n)+least {
			continue // too far for certain
		}
		if d := distance(strings.ToLower(name), strings.ToLower(n)); d <= least && (best == "" || d < least) {
			best, least = n, d
		}
	}
	return best
}

// distance is the number of letters to change, add, remove or swap with a neighbour to turn a into b.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var rows [longest + 1][longest + 1]uint8
	for i := range len(a) + 1 {
		for j := range len(b) + 1 {
			switch {
			case i == 0 || j == 0:
				rows[i][j] = uint8(i + j)
				continue
			case a[i-1] == b[j-1]:
				rows[i][j] = rows[i-1][j-1]
				continue
			}
			d := 1 + min(rows[i-1][j-1], rows[i-1][j], rows[i][j-1])
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, 1+rows[i-2][j-2])
			}
			rows[i][j] = d
		}
	}
	return int(rows[len(a)][len(b)])
}
