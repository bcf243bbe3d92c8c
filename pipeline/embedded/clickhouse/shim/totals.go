package shim

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/ch-go/proto"

	"ratchet/pipeline/embedded/clickhouse/engine"
	"ratchet/pipeline/embedded/clickhouse/native"
)

// The engine leaves totals and extremes out of Native answers, and clients expect them in blocks of their own. So such a
// statement is run as text, which has them behind its rows, and each part is read back into blocks. Statements with
// totals group and those with extremes are looked at by people, so their answers are small.

// textSettings change how values look as text. Here they are none of the client's business: it writes its own text.
var textSettings = []string{
	"date_time_output_format", "interval_output_format", "format_tsv_null_representation", "output_format_tsv_crlf_end_of_line",
	"bool_true_representation", "bool_false_representation", "format_csv_delimiter", "format_csv_null_representation", "output_format_csv_crlf_end_of_line",
	"output_format_csv_serialize_tuple_into_separate_columns", "format_csv_allow_single_quotes",
}

// inParts runs the statement and sends its columns, rows, totals and extremes.
func (p *peer) inParts(c *engine.Conn, q *request, job *work) (n engine.Counts, err error) {
	columns, err := describe[native.Column](c, "("+job.text+"\n)", q.params)
	if err != nil {
		return n, err
	}
	format := "TabSeparated"
	if len(columns) == 1 {
		format = "CSV" // where no row is an empty line
	}
	text, n, err := c.Query(job.text, format, q.params)
	if err != nil {
		return n, err
	}
	back, err := p.door.s.o.Engine.Connect() // without the client's settings
	if err != nil {
		return n, err
	}
	defer back.Close()
	parts := partsOf(linesOf(string(text), format == "CSV"), job.totals, job.extremes)
	names, plain := make([]string, len(columns)), slices.Clone(columns) // a file's columns have names of their own each
	for i, c := range columns {
		names[i], plain[i].Name = c.Name, "c"+strconv.Itoa(i)
	}
	if err := p.heading(q, columns); err != nil { // before everything else, also where there are no rows
		return n, onLine(err)
	}
	for i, kind := range []proto.ServerCode{proto.ServerCodeData, proto.ServerCodeTotals, proto.ServerCodeExtremes} {
		if parts[i] == "" {
			continue
		}
		file, err := p.door.s.store(job, strings.NewReader(parts[i]))
		if err != nil {
			return n, err
		}
		b, _, err := back.Query("SELECT * FROM file("+quote(file)+", "+quote(format)+", "+quote(structureOf(plain))+")", "Native", nil)
		if err != nil {
			return n, err
		}
		if _, err := p.blocks(q, kind, b, names...); err != nil {
			return n, err
		}
	}
	return n, nil
}

// partsOf takes an answer apart: rows; after an empty line the totals, one line; after another one the extremes, two
// lines, which an answer without rows has not.
func partsOf(lines []string, totals, extremes bool) (parts [3]string) {
	last := func(count int) string {
		at := len(lines) - count
		if at < 1 || lines[at-1] != "\n" {
			return ""
		}
		part := strings.Join(lines[at:], "")
		lines = lines[:at-1]
		return part
	}
	if extremes {
		parts[2] = last(2)
	}
	if totals {
		parts[1] = last(1)
	}
	parts[0] = strings.Join(lines, "")
	return parts
}

// linesOf are the lines of a text, each with its end. In CSV a value in quotes may have several.
func linesOf(text string, csv bool) []string {
	var lines []string
	from, within := 0, false
	for i := range len(text) {
		switch {
		case csv && text[i] == '"':
			within = !within // twice where it stands for itself
		case text[i] == '\n' && !within:
			lines = append(lines, text[from:i+1])
			from = i + 1
		}
	}
	return lines
}

// plainly leaves out what would change the text.
func plainly(settings []setting) []setting {
	return slices.DeleteFunc(settings, func(s setting) bool { return slices.Contains(textSettings, s.name) })
}
