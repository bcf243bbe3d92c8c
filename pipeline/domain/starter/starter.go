// Package starter writes a user's first files: rules with every line
// explained, a deal query, and an example of the environment.
package starter

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"

	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/verdict"
	"ratchet/schemas"
)

// The files, by their names.
const (
	RulesFile = "rules.yaml"
	QueryFile = "used-books.json"
	EnvFile   = ".env.example"
)

// Choice is the user's settings. Amounts are in the smallest unit of the marketplace's currency.
type Choice struct {
	Settings       deal.Settings
	Category       int64   // Keepa's number of the root category to list
	BudgetCents    int64   // the most that one copy may cost at the door
	MinProfitCents int64   // the least expected profit of a deal
	MaxLossChance  float64 // the highest acceptable chance of a loss, from 0 to 1
}

// Books returns Keepa's number of the root category of books on a marketplace; 0 when unknown.
func Books(d keepa.Domain) int64 {
	if d == keepa.DomainCom {
		return 283155
	}
	return 0
}

// Defaults returns the choices of the built-in rules and query.
func Defaults() Choice {
	return Choice{Settings: deal.Defaults(), Category: Books(keepa.DomainCom), BudgetCents: 45_100, MinProfitCents: 300, MaxLossChance: 0.4}
}

// Validate returns an error for each invalid choice.
func (c Choice) Validate() error {
	errs := []error{c.Settings.Validate()}
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	d := c.Settings.Domain()
	check(d == 0 || d.Listed(), "marketplace: Keepa has no deal list for amazon.%s", d.Suffix())
	check(c.Category > 0, "category: want Keepa's number of the root category of books on amazon.%s; its web page shows the number", d.Suffix())
	check(c.BudgetCents > 0, "budget: must be more than 0")
	check(c.MinProfitCents >= 0, "min-profit: must be 0 or more")
	check(c.MaxLossChance >= 0 && c.MaxLossChance <= 1, "max-loss-chance: must be from 0 to 1")
	return errors.Join(errs...)
}

// Threshold is one number of the rule file.
type Threshold struct {
	Name, Unit, Says string
	Value            any
}

// budget is the threshold that the built-in rules do not have.
const budget = "max_landed_cents"

// words explain the thresholds of the built-in rules, in the order of the file.
var words = []Threshold{
	{Name: "min_profit_cents", Unit: "cents", Says: "the minimum expected profit of a deal, after all costs and fees"},
	{Name: "max_loss_chance", Unit: "0 to 1", Says: "the highest acceptable chance that it sells at a loss"},
	{Name: "min_n_eff", Unit: "sales", Says: "the minimum evidence: the known sales, each of which counts 1 when new and half after 180 days"},
	{Name: "min_roi_percent", Unit: "percent", Says: "the minimum expected profit in percent of what the copy costs in all; 0: no minimum"},
	{Name: "min_rank_drops", Unit: "times a year", Says: "how often the sales rank must have improved: a sign of a sale"},
	{Name: "min_sales", Unit: "sales", Says: "how many used sales the whole history must imply"},
	{Name: "min_sales_in_year", Unit: "sales", Says: "how many of them in the last 365 days"},
	{Name: "min_seller_rating", Unit: "percent", Says: "the minimum share of a seller's ratings that are positive"},
	{Name: "max_offers_age_hours", Unit: "hours", Says: "how long ago Keepa may have visited the offers"},
	{Name: "max_months_to_sell", Unit: "months", Says: "how long the copy may wait for its sale on average; for the rule slow_sale, which is off"},
	{Name: "min_reference_cents", Unit: "cents", Says: "the minimum average used price; for the rule low_reference, which is off"},
}

// Thresholds returns the thresholds of the built-in rules with their values.
func Thresholds() []Threshold {
	rules, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		panic(err) // a test loads them
	}
	all := make([]Threshold, 0, len(words))
	for _, t := range words {
		if n, ok := rules.Threshold(t.Name); ok {
			t.Value = n
			all = append(all, t)
		}
	}
	return all
}

// thresholds returns the thresholds of the choice.
func (c Choice) thresholds() []Threshold {
	all := Thresholds()
	for i := range all {
		switch all[i].Name {
		case "min_profit_cents":
			all[i].Value = c.MinProfitCents
		case "max_loss_chance":
			all[i].Value = c.MaxLossChance
		}
	}
	return append(all, Threshold{Name: budget, Unit: "cents", Says: "the most that a copy may cost at the door, shipping included", Value: c.BudgetCents})
}

const overBudget = `  - id: over_budget
    look: commit
    when: landed_cents > ` + budget + `
    reason: over_budget
    unknown: reject
    says: The copy costs more than the budget for one book.

`

// Rules returns the rule file: the built-in rules, the user's numbers and a budget.
func (c Choice) Rules() []byte {
	head, rest, _ := strings.Cut(string(schemas.UsedBooks), "\nname:")
	confirm, rules, _ := strings.Cut(rest[strings.Index(rest, "\n# A refreshed deal"):], "\nthresholds:")
	rules = rules[strings.Index(rules, "\nrules:"):]
	d := c.Settings.Domain()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nname: mine\n\n# What a book costs you. Amounts are in the smallest unit of %s: cents, pence, yen.\n", head, d.Currency().Code)
	if d != keepa.DomainCom {
		fmt.Fprintf(&b, "# The fees are those of amazon.com and its currency: set those of amazon.%s before you trust a profit.\n", d.Suffix())
	}
	b.WriteString("settings:\n")
	for _, s := range c.Settings.List() {
		line(&b, s.Name, s.Value, s.Unit, s.Says)
	}
	b.WriteString(confirm)
	b.WriteString("\n# Numbers of your own, which the conditions below compare with. Add others by any name.\nthresholds:\n")
	for _, t := range c.thresholds() {
		line(&b, t.Name, t.Value, t.Unit, t.Says)
	}
	const before = "  - id: no_inferred_sale\n"
	b.WriteString(strings.Replace(rules, before, overBudget+before, 1))
	return b.Bytes()
}

// line writes a number with its explanation above it.
func line(b *bytes.Buffer, name string, value any, unit, says string) {
	if unit != "" {
		unit = " (" + unit + ")"
	}
	fmt.Fprintf(b, "  # %s%s\n  %s: %v\n", says, unit, name, value)
}

// lowest is the lowest used price of the built-in query.
const lowest = 2000

// Query returns the deal query: used books whose price fell and is within the budget.
func (c Choice) Query() []byte {
	from := min(lowest, c.BudgetCents/2)
	out := string(schemas.UsedBooksQuery)
	for _, r := range [][2]string{
		{`"domainId": 1`, fmt.Sprintf(`"domainId": %d`, c.Settings.Domain())},
		{`"currentRange": [2000, 45100]`, fmt.Sprintf(`"currentRange": [%d, %d]`, from, c.BudgetCents)},
		{`"includeCategories": [283155]`, fmt.Sprintf(`"includeCategories": [%d]`, c.Category)},
	} {
		out = strings.Replace(out, r[0], r[1], 1)
	}
	return []byte(out)
}

// Env returns the example of the environment, for `up --env-file`, beside the other files in a directory.
func Env(dir string) []byte {
	return []byte(`# Copy this file to .env, set what you need, and start with:
#   ratchet up --env-file ` + path.Join(dir, ".env") + `
# Nothing reads this file, or .env, unless it is named. What the environment sets already wins.
# docs/config.md lists every variable.

# The key of Keepa's API, from https://keepa.com/#!api; without it the pipeline runs on a simulated Keepa.
#KEEPA_API_KEY=

# The rules and the deal queries, instead of --rules and --query.
#RULES=` + path.Join(dir, RulesFile) + `
#QUERIES=` + path.Join(dir, QueryFile) + `

# Where new deals are sent: a file of addresses, one a line (docs/notify.md). ratchet notify test tries them.
#NOTIFY_TARGETS_FILE=` + path.Join(dir, "targets") + `
#NOTIFY_MIN_PROFIT=10
#NOTIFY_QUIET=22:00-07:00
#NOTIFY_DIGEST=hourly

# debug, info, warn or error.
#LOG_LEVEL=warn
`)
}
