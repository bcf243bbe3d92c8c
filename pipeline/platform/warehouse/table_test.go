package warehouse_test

import (
	"bytes"
	"testing"

	"ratchet/pipeline/platform/warehouse"
)

func TestATextOfAnAnswerIsNotAFormulaInASpreadsheet(t *testing.T) {
	t.Parallel()
	table := warehouse.Table{
		Columns: []string{"title", "profit", "loss"}, Types: []string{"String", "Int64", "Nullable(Float64)"},
		Rows: [][]any{{`=HYPERLINK("http://evil.example")`, int64(-300), nil}, {"@SUM(A1)", int64(5), 0.5}},
	}
	var out bytes.Buffer
	if err := table.Write(&out, "csv"); err != nil {
		t.Fatal(err)
	}
	const want = "title,profit,loss\n\"'=HYPERLINK(\"\"http://evil.example\"\")\",-300,\n'@SUM(A1),5,0.5\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}

func TestArraysAndMapsAreNumbersInJSON(t *testing.T) {
	t.Parallel()
	w := open(t)
	table, err := w.SQL(t.Context(), `SELECT [1, 2]::Array(UInt8) AS a, [nan, 0.5] AS b, [[inf], []] AS c, map('x', nan, 'y', 1.5) AS d, map('n', NULL, 'm', 2.5::Nullable(Float64)) AS e,
		tuple([3]::Array(UInt8), -inf) AS f, []::Array(UInt8) AS g, toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0') AS h, [toIPv4('10.0.0.1')] AS i,
		[toDateTime64('2026-03-05 12:00:00.5', 3, 'UTC')] AS j, [NULL, 7] AS k, toUInt256(5) AS l`, true)
	must(t, err)
	var out bytes.Buffer
	must(t, table.Write(&out, "json"))
	const want = `[
  {"a": [1,2], "b": [null,0.5], "c": [[null],[]], "d": {"x":null,"y":1.5}, "e": {"m":2.5,"n":null}, "f": [[3],null], "g": [], ` +
		`"h": "61f0c404-5cb3-11e7-907b-a6006ad3dba0", "i": ["10.0.0.1"], "j": ["2026-03-05T12:00:00.5Z"], "k": [null,7], "l": 5}
]
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", &out, want)
	}
}
