package verdict

import (
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline/domain/keepa"
	"ratchet/schemas"
)

func TestOnlyPriceTypesOfUsedCopiesCanBeDecided(t *testing.T) {
	t.Parallel()
	var fine []int
	for n := range 40 {
		err := Decides(keepa.Selection{PriceType: keepa.PriceType(n)})
		if err == nil {
			fine = append(fine, n)
		} else if !strings.Contains(err.Error(), "priceTypes: ") || !strings.Contains(err.Error(), "only used copies can be decided") {
			t.Errorf("%d: %v", n, err)
		}
	}
	if !slices.Equal(fine, []int{2, 19, 20, 21, 22, 32}) {
		t.Errorf("decided: %v", fine)
	}
}

func TestRulesServeTheirOwnMarketplaceAlone(t *testing.T) {
	t.Parallel()
	german, err := NewJudge([]byte(rulesOf("") + "settings: {marketplace: de}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[keepa.Domain]bool{keepa.DomainDE: true, keepa.DomainFR: false, keepa.DomainCom: false} { // in France they pay in euros, too
		err := german.Serves(keepa.Selection{Domain: domain})
		if (err == nil) != want || err != nil && !strings.Contains(err.Error(), "lists amazon."+domain.Suffix()+":") {
			t.Errorf("German rules for amazon.%s: %v", domain.Suffix(), err)
		}
	}
}

func TestAQueryForOtherThanBooksIsWarnedAboutTheRulesAssumptions(t *testing.T) {
	t.Parallel()
	q, err := keepa.ParseSelection(schemas.UsedBooksQuery)
	if err != nil {
		t.Fatal(err)
	}
	if says := Assumes(q); says != "" {
		t.Errorf("of the built-in query: %s", says)
	}
	for says, change := range map[string]func(q *keepa.Selection){
		"this query lists category 172282:":                  func(q *keepa.Selection) { q.Include = []int64{172282} },
		"this query lists 2 categories:":                     func(q *keepa.Selection) { q.Include = []int64{books, 172282} },
		"this query names no category:":                      func(q *keepa.Selection) { q.Include = nil },
		"this query lists amazon.de and names no category:":  func(q *keepa.Selection) { q.Domain, q.FiltersEnabled = keepa.DomainDE, false },
		"this query lists amazon.co.uk: set RULES to rules ": func(q *keepa.Selection) { q.Domain = keepa.DomainUK },
	} {
		other := q
		change(&other)
		if got := Assumes(other); !strings.Contains(got, says) {
			t.Errorf("got %q, want %q in it", got, says)
		}
	}
}
