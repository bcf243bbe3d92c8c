package page

import (
	"strings"
	"testing"

	"ratchet/pipeline/domain/keepa"
)

func TestWhatWasEarnedIsInTheCurrencyOfTheMarketplace(t *testing.T) {
	t.Parallel()
	row := []tableCell{{Text: "10"}, {Text: "12"}, {Text: "3"}}
	earned := table{Heads: []string{"expected each", "earned each", "verdicts"}, Right: []bool{true, true, true}, Rows: [][]tableCell{row}}
	for domain, want := range map[keepa.Domain][]string{
		keepa.DomainCom: {"bands of $5 ", "$10", "$12"},
		keepa.DomainDE:  {"bands of €5 ", "€10", "€12"},
		keepa.DomainJP:  {"bands of ¥500 ", "¥1000", "¥1200"},
	} {
		got := earnedPictures(earned, domain.Currency())[0]
		for _, w := range want {
			if !strings.Contains(got.Says+string(got.Picture), w) {
				t.Errorf("amazon.%s lacks %q: %s %s", domain.Suffix(), w, got.Says, got.Picture)
			}
		}
	}
}
