package verdict

import (
	"fmt"
	"slices"
	"strings"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
)

// books is the root category of books on amazon.com.
const books = 283155

// decidable are the price types of used copies, the only ones that the looks can decide.
var decidable = []keepa.PriceType{
	keepa.Used, keepa.UsedLikeNew, keepa.UsedVeryGood, keepa.UsedGood, keepa.UsedAcceptable, keepa.BuyBoxUsed,
}

// Decides returns why the looks cannot decide what a query lists;
// nil if they can. It is checked before a token is spent.
func Decides(q keepa.Selection) error {
	if slices.Contains(decidable, q.PriceType) {
		return nil
	}
	return fmt.Errorf("priceTypes: %d (%s) lists drops of a price at which no used copy is bought, and only used copies can be decided: "+
		"ask for 2 (used, any condition), 19 to 22 (one condition) or 32 (used Buy Box)", q.PriceType, q.PriceType)
}

// Serves returns an error if the rules' amounts belong to another marketplace than the query lists.
func (j *Judge) Serves(q keepa.Selection) error {
	if q.Domain == j.file.Settings.Domain() {
		return nil
	}
	return fmt.Errorf("settings.marketplace: the amounts of rules %q are those of amazon.%s, and the query lists amazon.%s: "+
		"copy the rule file, set marketplace: %s and every amount in its currency (%s), and name the file in RULES",
		j.Name(), j.file.Settings.Marketplace, q.Domain.Suffix(), q.Domain.Suffix(), q.Domain.Currency().Code)
}

// Assumes describes how a query departs from the assumptions of the built-in rules; "" if it does not.
func Assumes(q keepa.Selection) string {
	var other []string
	if q.Domain != keepa.DomainCom {
		other = append(other, "lists amazon."+q.Domain.Suffix())
	}
	root, one := q.Root()
	switch {
	case one && root == books:
	case !q.FiltersEnabled || len(q.Include) == 0:
		other = append(other, "names no category")
	case one:
		other = append(other, fmt.Sprintf("lists category %d", root))
	default:
		other = append(other, fmt.Sprintf("lists %d categories", len(q.Include)))
	}
	if len(other) == 0 {
		return ""
	}
	return "the built-in rules assume books on amazon.com (category 283155): a book's fees, in dollars, and how fast books of a sales rank sell; this query " +
		strings.Join(other, " and ") + ": set RULES to rules for what it lists"
}

// Queries returns the applied deal queries, each with a unique name; an error if the looks cannot decide one.
func Queries(a pipeline.AppliedQueries) ([]keepa.Query, error) {
	var queries []keepa.Query
	for _, one := range a.Queries {
		q, err := keepa.ParseQuery(one.Name, one.Query)
		if err == nil {
			err = Decides(q.Selection)
		}
		if err != nil {
			return nil, fmt.Errorf("query %s: %w", one.Name, err)
		}
		if slices.ContainsFunc(queries, func(other keepa.Query) bool { return other.Name == q.Name }) {
			return nil, fmt.Errorf("query %s: two have this name", one.Name)
		}
		queries = append(queries, q)
	}
	return queries, nil
}
