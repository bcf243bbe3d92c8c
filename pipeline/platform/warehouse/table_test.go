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
