package keepa

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// ImportSelection reads a query as Keepa's web page shows it ("Show API query"): with a page, numbers as
// text, ranges and filters that are off, and fields of the page's own. notes lists what is dropped or
// converted, a line each. What it cannot interpret is an error, as for ParseSelection.
func ImportSelection(data []byte) (_ Selection, notes []string, _ error) {
	r := reader{}
	if !r.split(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))) {
		return Selection{}, nil, r.Err()
	}
	m := importer{fields: map[string]json.RawMessage{}}
	for _, f := range r.fields {
		m.fields[f.name] = f.raw
	}
	var kept []field
	for _, f := range r.fields {
		if raw, keep := m.field(f); keep {
			kept = append(kept, field{f.name, raw, f.line})
		}
	}
	r.fields = kept
	s := r.selection()
	return s, m.notes, r.Err()
}

// importer converts the web page's fields into those of a query file.
type importer struct {
	fields map[string]json.RawMessage
	notes  []string
}

func (m *importer) note(name, format string, args ...any) {
	m.notes = append(m.notes, name+": "+fmt.Sprintf(format, args...))
}

// field converts one field; false if it is dropped.
func (m *importer) field(f field) (json.RawMessage, bool) {
	into, known := selectionFields(&Selection{})[f.name]
	was := compact(f.raw)
	switch {
	case f.name == "page":
		m.note(f.name, "dropped: every page is read")
		return nil, false
	case !known:
		m.note(f.name, "dropped: %s, not a field of Keepa's deal query", clip(f.raw))
		return nil, false
	case was == "null", was == "[]", was == `""`, was == "[-1,-1]", was == `["-1","-1"]`, f.name == "minRating" && unquoted(was) == "-1":
		m.note(f.name, "dropped: %s is off", was)
		return nil, false
	case m.off(f.name):
		m.note(f.name, "dropped: it is off while %s is false", m.gate(f.name))
		return nil, false
	}
	raw := m.shaped(f.name, f.raw, into)
	if now := compact(raw); now != was {
		m.note(f.name, "%s became %s", clip(json.RawMessage(was)), clip(json.RawMessage(now)))
	}
	return raw, true
}

// gate returns the switch that a field depends on; "" without one.
func (*importer) gate(name string) string {
	switch {
	case strings.HasSuffix(name, "Range") && name != "dateRange":
		return "isRangeEnabled"
	case slices.Contains(filters, name):
		return "isFilterEnabled"
	}
	return ""
}

// off reports whether a field has no effect because its switch is off.
func (m *importer) off(name string) bool {
	gate := m.gate(name)
	return gate != "" && !slices.Contains([]string{"true", "1"}, unquoted(compact(m.fields[gate])))
}

// shaped converts a value to the form that the field needs: numbers out
// of text, one value as a list, ranges within Keepa's limits.
func (m *importer) shaped(name string, raw json.RawMessage, into any) json.RawMessage {
	switch into.(type) {
	case *PriceType:
		return numeric(listed(raw))
	case **Range:
		return m.ranged(name, numeric(raw))
	}
	switch kindOf(into) {
	case reflect.Bool:
		switch text := strings.ToLower(unquoted(compact(raw))); text {
		case "true", "1":
			return json.RawMessage("true")
		case "false", "0":
			return json.RawMessage("false")
		}
	case reflect.Int:
		if raw = numeric(raw); name == "dateRange" && compact(raw) == "4" {
			return json.RawMessage("3") // the web page's widest choice, which the API does not document
		}
	case reflect.Slice:
		raw = listed(raw)
		if _, texts := into.(*[]string); !texts {
			return numeric(raw)
		}
	}
	return raw
}

// ranged opens the ends of a range that are -1, and raises the percentages to Keepa's minimum.
func (m *importer) ranged(name string, raw json.RawMessage) json.RawMessage {
	list, err := numbers(raw, false)
	if err != nil || len(list) != 2 {
		return raw
	}
	low, high := max(list[0], 0), list[1]
	if name == "deltaPercentRange" {
		low = max(low, Selection{PriceType: m.priceType()}.leastPercent())
	}
	if high == -1 && name != "salesRankRange" {
		high = math.MaxInt32
	}
	return json.RawMessage(fmt.Sprintf("[%d,%d]", low, high))
}

func (m *importer) priceType() PriceType {
	list, err := numbers(numeric(listed(m.fields["priceTypes"])), false)
	if err != nil || len(list) != 1 {
		return Used
	}
	return PriceType(list[0])
}

// listed returns a list: a value alone becomes a list of one.
func listed(raw json.RawMessage) json.RawMessage {
	if text := bytes.TrimSpace(raw); len(text) > 0 && text[0] != '[' {
		return json.RawMessage("[" + string(text) + "]")
	}
	return raw
}

// numeric removes the quotes from whole numbers, alone or in a list.
func numeric(raw json.RawMessage) json.RawMessage {
	var elements []json.RawMessage
	if json.Unmarshal(raw, &elements) != nil || elements == nil {
		if text := unquoted(compact(raw)); wholeNumber(text) != "" {
			return json.RawMessage(text)
		}
		return raw
	}
	var out []string
	for _, e := range elements {
		out = append(out, string(numeric(e)))
	}
	return json.RawMessage("[" + strings.Join(out, ",") + "]")
}

// unquoted removes the quotes from a text; other values are unchanged.
func unquoted(raw string) string {
	if text, err := strconv.Unquote(raw); err == nil {
		return strings.TrimSpace(text)
	}
	return raw
}

func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// filters are the fields that isFilterEnabled switches.
var filters = []string{
	"minRating", "includeCategories", "excludeCategories", "isLowest", "isLowest90", "isLowestOffer", "isHighest", "isOutOfStock", "isBackInStock",
	"hasReviews", "filterErotic", "singleVariation", "isRisers", "isPrimeExclusive", "mustHaveAmazonOffer", "mustNotHaveAmazonOffer",
}

// File returns the query as a query file, in the order of the documentation, a field a line.
func (s Selection) File() []byte {
	set := s.wire()
	var lines []string
	for _, name := range fieldNames() {
		value, ok := set[name]
		if !ok {
			continue
		}
		b, err := json.Marshal(value)
		if err != nil {
			panic("write a deal query: " + err.Error()) // only plain values: cannot happen
		}
		lines = append(lines, fmt.Sprintf("  %q: %s", name, b))
	}
	return []byte("{\n" + strings.Join(lines, ",\n") + "\n}\n")
}

// QueryName derives a query's name from the name of its file: lower case letters, digits, - and _.
func QueryName(file string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}, strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(file, ".json"), ".txt")))
	if name = strings.Trim(name, "-"); name == "" {
		return "pasted"
	}
	return name
}

// ImportQuery is ImportSelection with the name derived from the file's.
func ImportQuery(file string, data []byte) (Query, []string, error) {
	s, notes, err := ImportSelection(data)
	return Query{Name: QueryName(file), Selection: s}, notes, err
}
