package page

import (
	"strings"
	"testing"
)

func TestWhatWasEarnedIsDrawnForEachMarketplaceInItsCurrency(t *testing.T) {
	t.Parallel()
	row := func(texts ...string) (cells []tableCell) {
		for _, text := range texts {
			cells = append(cells, tableCell{Text: text})
		}
		return cells
	}
	both := table{Heads: []string{"domain", "verdicts", "expected each", "earned each"}, Rows: [][]tableCell{
		row("1", "3", "11", "12.5"), row("5", "3", "1100", "1250"), row("5", "3", "2100", "2250"),
	}}
	got := earnedPictures(both)
	if len(got) != 2 || len(got[0].Table.Rows) != 1 || len(got[1].Table.Rows) != 2 || !strings.HasSuffix(got[0].Name, ", com") || !strings.HasSuffix(got[1].Name, ", co.jp") {
		t.Fatalf("two marketplaces: %+v", got)
	}
	if us, japan := string(got[0].Picture), string(got[1].Picture); !strings.Contains(us, "$") || strings.Contains(us, "¥") || !strings.Contains(japan, "¥") || strings.Contains(japan, "$") {
		t.Errorf("the currencies are mixed: %s\n%s", us, japan)
	}
	both.Rows = both.Rows[:1]
	if got = earnedPictures(both); len(got) != 1 || strings.Contains(got[0].Name, ",") {
		t.Errorf("one marketplace: %+v", got)
	}
}
