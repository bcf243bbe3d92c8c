package keepa

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"ratchet/pipeline/text/complaint"
)

// field is one field of a query file.
type field struct {
	name string
	raw  json.RawMessage
	line int
}

// reader reads a query file. It continues after a mistake, so that all of them are reported at once.
type reader struct {
	complaint.List
	fields []field
}

// ParseSelection reads a query file. It refuses what Keepa would silently ignore or misread
// (unknown keys, strings in place of numbers, ranges that contain nothing) and names line and
// field of each mistake. A query as Keepa's web page shows it is read by ImportSelection.
func ParseSelection(data []byte) (Selection, error) {
	var r reader
	if !r.split(data) {
		return Selection{}, r.Err()
	}
	s := r.selection()
	return s, r.Err()
}

// split finds the fields of the query's object; false if the file is not an object.
func (r *reader) split(data []byte) bool {
	text, ok := complaint.Text(data, &r.List)
	if !ok {
		return false
	}
	text = r.repair(text)
	if !r.isJSON(text) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		r.Add(1, "", "must be one JSON object, {…}")
		return false
	}
	seen := map[string]bool{}
	for d.More() {
		key, _ := d.Token() // it was read once, so it is JSON
		f := field{name: fmt.Sprint(key), line: complaint.Line(text, int(d.InputOffset()))}
		if err := d.Decode(&f.raw); err != nil {
			r.Add(f.line, f.name, "not JSON: %s", err)
			return false
		}
		if seen[f.name] {
			r.Add(f.line, f.name, "appears twice: remove one of them")
			continue
		}
		seen[f.name] = true
		r.fields = append(r.fields, f)
	}
	return true
}

// isJSON reports whether the text can be read as JSON, and adds a complaint where it stops being JSON.
func (r *reader) isJSON(text []byte) bool {
	var all json.RawMessage
	err := json.Unmarshal(text, &all)
	var e *json.SyntaxError
	switch {
	case err == nil:
		return true
	case len(bytes.TrimSpace(text)) == 0:
		r.Add(1, "", "empty: must be one JSON object, {…}")
	case !errors.As(err, &e):
		r.Add(0, "", "not JSON: %s", err)
	case int(e.Offset) >= len(text) && strings.Contains(e.Error(), "unexpected end"):
		r.Add(complaint.Line(text, len(text)), "", "not JSON: it ends in the middle: is a closing } missing?")
	case strings.Contains(e.Error(), "after top-level value"):
		r.Add(complaint.Line(text, int(e.Offset)-1), "", "something follows the object: a query file is one object")
		return true
	default:
		r.Add(complaint.Line(text, int(e.Offset)-1), "", "not JSON: %s", e)
	}
	return false
}

// repair reports mistakes at which a JSON parser would stop, and removes them so that the
// rest can be read: numbers with leading zeros and commas at the end of a list.
func (r *reader) repair(text []byte) []byte {
	out := bytes.Clone(text)
	quoted := false
	for i := 0; i < len(out); i++ {
		switch b := out[i]; {
		case quoted && b == '\\':
			i++
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == ',':
			if rest := bytes.TrimLeft(out[i+1:], " \n\t"); len(rest) > 0 && (rest[0] == '}' || rest[0] == ']') {
				r.Add(complaint.Line(text, i), "", "a comma before the closing %c: remove it", rest[0])
				out[i] = ' '
			}
		case (b >= '0' && b <= '9' || b == '-') && (i == 0 || bytes.IndexByte([]byte(" \n\t:,["), out[i-1]) >= 0):
			i += r.zeros(text, out[i:], i) - 1
		}
	}
	return out
}

// zeros removes the leading zeros of a number, and returns the length of the number.
func (r *reader) zeros(text, number []byte, at int) int {
	end := 1
	for end < len(number) && bytes.IndexByte([]byte("0123456789.eE+-"), number[end]) >= 0 {
		end++
	}
	digits := bytes.TrimPrefix(number[:end], []byte("-"))
	zeros := 0
	for zeros+1 < len(digits) && digits[zeros] == '0' && digits[zeros+1] >= '0' && digits[zeros+1] <= '9' {
		zeros++
	}
	if zeros > 0 {
		_, wrong := complaint.Fraction(string(number[:end]))
		r.Add(complaint.Line(text, at), "", "%s", wrong)
		sign := end - len(digits)
		kept := bytes.Clone(append(bytes.Clone(number[:sign]), digits[zeros:]...))
		copy(number, bytes.Repeat([]byte(" "), zeros))
		copy(number[zeros:end], kept)
	}
	return end
}

// selection decodes and checks the fields.
func (r *reader) selection() Selection {
	var s Selection
	known := selectionFields(&s)
	lines := map[string]int{}
	for _, f := range r.fields {
		lines[f.name] = f.line
		into, ok := known[f.name]
		switch {
		case ok:
			if err := decodeField(f.name, f.raw, into); err != nil {
				r.Add(f.line, f.name, "%s", err)
			}
		case f.name == "page":
			r.Add(f.line, f.name, "not part of a query, whose pages are all read: leave it out")
		default:
			r.Add(f.line, f.name, "not a field of Keepa's deal query%s", complaint.DidYouMean(complaint.Nearest(f.name, fieldNames())))
		}
	}
	for _, name := range []string{"domainId", "priceTypes", "dateRange", "sortType"} {
		if _, ok := lines[name]; !ok {
			r.Add(1, name, "missing")
		}
	}
	checked := s
	checked.RangesEnabled = s.RangesEnabled || r.Has("isRangeEnabled")
	checked.FiltersEnabled = s.FiltersEnabled || r.Has("isFilterEnabled")
	r.Join(checked.Validate(), func(name string) int { return lines[name] })
	return s
}

// fieldNames returns the names of a query's fields, in their order in a file.
func fieldNames() []string {
	t := reflect.TypeFor[Selection]()
	var names []string
	for i := range t.NumField() {
		names = append(names, t.Field(i).Tag.Get("json"))
	}
	return names
}

// money are the ranges in cents.
var money = []string{"currentRange", "deltaRange", "deltaLastRange"}

func decodeField(name string, raw json.RawMessage, into any) error {
	cents := slices.Contains(money, name)
	switch p := into.(type) {
	case *PriceType:
		list, err := numbers(raw, false)
		if err != nil || len(list) != 1 {
			alone := wholeNumber(unquoted(strings.TrimSpace(string(raw))))
			if alone != "" {
				alone = "[" + alone + "]"
			}
			return elementOr("must be an array of exactly one price type number, got "+clip(raw)+complaint.DidYouMean(alone), err)
		}
		*p = PriceType(list[0])
		return nil
	case **Range:
		list, err := numbers(raw, cents)
		if err != nil || len(list) != 2 {
			return elementOr("must be an array of two numbers, got "+clip(raw), err)
		}
		*p = &Range{list[0], list[1]}
		return nil
	}
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return errors.New("must not be null; leave the field out")
	}
	if err := json.Unmarshal(raw, into); err != nil {
		if text := string(bytes.TrimSpace(raw)); kindOf(into) == reflect.Int && strings.ContainsAny(text[:1], "-0123456789") {
			_, wrong := complaint.Whole(text, false)
			return errors.New(wrong)
		}
		return fmt.Errorf("must be %s, got %s%s", wanted(into), clip(raw), complaint.DidYouMean(proposal(raw, into)))
	}
	return nil
}

// elementOr returns the error of a list's element if there is one, else that of the list.
func elementOr(list string, element error) error {
	if element != nil {
		return element
	}
	return errors.New(list)
}

// kindOf returns the kind of a field's value.
func kindOf(into any) reflect.Kind {
	t := reflect.TypeOf(into).Elem()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind()
}

// numbers reads an array of whole numbers.
func numbers(raw json.RawMessage, cents bool) ([]int, error) {
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil {
		return nil, nil
	}
	var out []int
	for _, e := range elements {
		text := strings.TrimSpace(string(e))
		if inner, err := strconv.Unquote(text); err == nil {
			return nil, fmt.Errorf("must be an array of numbers, and %s is text%s", clip(e), complaint.DidYouMean(wholeNumber(inner)))
		}
		if text == "null" || strings.ContainsAny(text[:1], "[{tf") {
			return nil, nil
		}
		n, wrong := complaint.Whole(text, cents)
		if wrong != "" {
			return nil, errors.New(wrong)
		}
		out = append(out, int(n))
	}
	return out, nil
}

// wholeNumber returns the whole number that was probably meant; "" without one.
func wholeNumber(text string) string {
	if _, wrong := complaint.Whole(text, false); wrong != "" {
		return ""
	}
	return text
}

// proposal returns what the value should have been; "" when unknown.
func proposal(raw json.RawMessage, into any) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		return ""
	}
	switch kindOf(into) {
	case reflect.Bool:
		if low := strings.ToLower(text); low == "true" || low == "false" {
			return low
		}
	case reflect.Int:
		return wholeNumber(text)
	case reflect.Slice:
		if _, texts := into.(*[]string); texts {
			return string(append(append([]byte("["), raw...), ']'))
		}
	}
	return ""
}
