package shim

import (
	"slices"
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
	"bool_true_representation", "bool_false_representation",
}

// inParts runs the statement and sends its columns, rows, totals and extremes.
func (p *peer) inParts(c *engine.Conn, q *request, job *work) (n engine.Counts, err error) {
	columns, err := describe[native.Column](c, "("+job.text+"\n)", q.params)
	if err != nil {
		return n, err
	}
	text, n, err := c.Query(job.text, "TabSeparated", q.params)
	if err != nil {
		return n, err
	}
	back, err := p.door.s.o.Engine.Connect() // without the client's settings
	if err != nil {
		return n, err
	}
	defer back.Close()
	parts := partsOf(string(text), job.totals, job.extremes)
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
		b, _, err := back.Query("SELECT * FROM file("+quote(file)+", 'TabSeparated', "+quote(structureOf(columns))+")", "Native", nil)
		if err != nil {
			return n, err
		}
		if _, err := p.blocks(q, kind, b); err != nil {
			return n, err
		}
	}
	return n, nil
}

// partsOf takes an answer apart: rows; after an empty line the totals, one line; after another one the extremes, two
// lines, which an answer without rows has not. A value is never longer than its line.
func partsOf(text string, totals, extremes bool) (parts [3]string) {
	lines := strings.SplitAfter(text, "\n")
	lines = lines[:len(lines)-1] // behind the last line end is nothing
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

// plainly leaves out what would change the text.
func plainly(settings []setting) []setting {
	return slices.DeleteFunc(settings, func(s setting) bool { return slices.Contains(textSettings, s.name) })
}
