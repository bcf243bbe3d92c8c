package warehouse

import (
	"encoding"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"ratchet/pipeline/text/foreign"
)

// Table is a result: named columns and rows of plain values. NULL is nil.
type Table struct {
	Columns []string
	Types   []string // ClickHouse's types
	Rows    [][]any
}

// Write writes the table as "table" (for people), "json" (an array of objects, columns in order) or "csv" (RFC
// 4180 with a heading; NULL is an empty field; a ' prevents spreadsheets from reading a text as a formula).
func (t *Table) Write(w io.Writer, format string) error {
	switch format {
	case "table", "":
		return t.writeText(w)
	case "json":
		return t.writeJSON(w)
	case "csv":
		return t.writeCSV(w)
	}
	return fmt.Errorf("format %q: want table, json or csv", format)
}

func (t *Table) writeText(w io.Writer) error {
	widths := make([]int, len(t.Columns))
	cells := make([][]string, 0, len(t.Rows)+1)
	if len(t.Columns) > 0 {
		cells = append(cells, t.Columns)
	}
	for _, r := range t.Rows {
		line := make([]string, len(r))
		for i, v := range r {
			line[i] = foreign.Of(cell(t.day(i, v))).Short(60).String()
		}
		cells = append(cells, line)
	}
	for _, line := range cells {
		for i, c := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var out strings.Builder
	for _, line := range cells {
		text := ""
		for i, c := range line {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c))
			if t.Numeric(i) {
				text += gap + c + "  "
			} else {
				text += c + gap + "  "
			}
		}
		out.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	if len(t.Rows) == 0 {
		out.WriteString("(no rows)\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// kind returns a column's type without Nullable and LowCardinality.
func (t *Table) kind(i int) string {
	if i >= len(t.Types) {
		return ""
	}
	return strings.Trim(strings.NewReplacer("Nullable(", "", "LowCardinality(", "").Replace(t.Types[i]), ")")
}

// day returns a value, as a date without a time of day if the column is a Date.
func (t *Table) day(i int, v any) any {
	if at, ok := v.(time.Time); ok && strings.HasPrefix(t.kind(i), "Date") && !strings.HasPrefix(t.kind(i), "DateTime") {
		return at.Format(time.DateOnly)
	}
	return v
}

// Numeric reports whether a column is right-aligned.
func (t *Table) Numeric(i int) bool {
	name := t.kind(i)
	return strings.HasPrefix(name, "Int") || strings.HasPrefix(name, "UInt") ||
		strings.HasPrefix(name, "Float") || strings.HasPrefix(name, "Decimal")
}

func (t *Table) writeJSON(w io.Writer) error {
	var out strings.Builder
	out.WriteString("[")
	for n, r := range t.Rows {
		if n > 0 {
			out.WriteString(",")
		}
		out.WriteString("\n  {")
		for i, v := range r {
			key, err := json.Marshal(t.Columns[i])
			if err != nil {
				return fmt.Errorf("encode column %q: %w", t.Columns[i], err)
			}
			value, err := json.Marshal(plain(t.day(i, v)))
			if err != nil {
				return fmt.Errorf("encode %s: %w", t.Columns[i], err)
			}
			if i > 0 {
				out.WriteString(", ")
			}
			out.Write(key)
			out.WriteString(": ")
			out.Write(value)
		}
		out.WriteString("}")
	}
	if len(t.Rows) > 0 {
		out.WriteString("\n")
	}
	out.WriteString("]\n")
	_, err := io.WriteString(w, out.String())
	return err
}

func (t *Table) writeCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	if err := out.Write(t.Columns); err != nil {
		return err
	}
	for _, r := range t.Rows {
		line := make([]string, len(r))
		for i, v := range r {
			line[i] = foreign.Cell(cell(t.day(i, v)))
		}
		if err := out.Write(line); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// plain converts a value for JSON: no infinities, times in RFC 3339, and bytes are numbers, not base64.
func plain(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	case float32:
		if plain(float64(v)) == nil {
			return nil
		}
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case json.Marshaler, encoding.TextMarshaler: // such as a UUID, which is an array
		return v
	}
	return plainParts(reflect.ValueOf(v))
}

// plainParts converts what an array or a map holds.
func plainParts(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Invalid:
		return nil
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return plain(v.Elem().Interface())
	case reflect.Slice, reflect.Array:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = plain(v.Index(i).Interface())
		}
		return out
	case reflect.Map:
		out := reflect.MakeMap(reflect.MapOf(v.Type().Key(), reflect.TypeFor[any]()))
		for key, value := range v.Seq2() {
			// Behind a pointer, because a plain nil would delete the key.
			out.SetMapIndex(key, reflect.ValueOf(new(plain(value.Interface()))).Elem())
		}
		return out.Interface()
	default:
		return v.Interface()
	}
}

// cell formats a value as text; nil is empty.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return ""
		}
		return strconv.FormatFloat(v, 'f', -1, 64)
	case float32:
		if plain(v) == nil {
			return ""
		}
		return strconv.FormatFloat(float64(v), 'f', -1, 32)
	case time.Time:
		if v.Nanosecond()%int(time.Millisecond) != 0 {
			return v.UTC().Format("2006-01-02 15:04:05.999999999")
		}
		return strings.TrimSuffix(v.UTC().Format("2006-01-02 15:04:05.000"), ".000")
	case []string:
		return strings.Join(v, " ")
	case []any:
		cells := make([]string, len(v))
		for i := range v {
			cells[i] = cell(v[i])
		}
		return strings.Join(cells, " ")
	}
	if reflect.ValueOf(v).Kind() == reflect.Map {
		if text, err := json.Marshal(v); err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(v)
}

// Cell returns a value of a column as text, as in Write; foreign text is not cleaned.
func (t *Table) Cell(i int, v any) string { return cell(t.day(i, v)) }
