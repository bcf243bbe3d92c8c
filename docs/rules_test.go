package docs_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/deal"
	"ratchet/pipeline/domain/starter"
	"ratchet/pipeline/domain/verdict"
	"ratchet/schemas"
)

func TestTheManualOfTheRulesIsCurrent(t *testing.T) {
	got := renderRules(t)
	if *update {
		if err := os.WriteFile("rules.md", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile("rules.md")
	if err != nil {
		t.Fatalf("%v; run `make golden`", err)
	}
	if got != string(want) {
		t.Errorf("docs/rules.md is not what the code says; run `make golden` and read the difference\n%s", difference(string(want), got))
	}
}

func TestTheExampleOfARuleLoads(t *testing.T) {
	t.Parallel()
	_, example, _ := strings.Cut(rulesHead, "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	judge, err := verdict.NewJudge([]byte(string(schemas.UsedBooks) + "\n" + example)) // which ends in its rules
	if err != nil {
		t.Fatal(err)
	}
	if r, ok := judge.Rule("heavy_competition"); !ok || !r.On() {
		t.Errorf("the rule is not among those that run: %+v", r)
	}
}

const rulesHead = `# Rules

The settings and inputs that a rule file may use. Generated from the code by ` + "`make golden`" + `.

A rule file has ` + "`settings`" + ` (what a book costs you), ` + "`thresholds`" + ` (numbers of your own) and ` + "`rules`" + `. ` +
	`A rule rejects where its ` + "`when`" + ` is true. ` + "`ratchet init`" + ` writes one, with every line explained:

` + "```console" + `
$ ratchet init mine
$ ratchet rules check mine/rules.yaml
$ ratchet rules explain 0135048761 --rules mine/rules.yaml
$ ratchet backtest --rules mine/rules.yaml
$ ratchet rules apply mine/rules.yaml    # live at once; rules revert undoes it
` + "```" + `

` + "`ratchet rules show`" + ` prints the rule file by which a running pipeline decides.

` + "`pipeline/domain/deal/doc.go`" + ` has what each input rests on, with its formula.

## Write a rule

` + "```yaml" + `
  - id: heavy_competition
    look: commit
    when: copy_count > 20
    reason: heavy_competition
    unknown: pass
    says: More than 20 used copies are on sale, so ours waits long for its buyer.
` + "```" + `

A rule has an ` + "`id`" + ` and a ` + "`reason`" + ` (snake_case), the ` + "`look`" + ` at which it first runs (` + "`glance`, `peek` or `commit`" + `), ` +
	`the condition ` + "`when`" + ` it rejects, and a sentence for people, ` + "`says`" + `. ` + "`unknown`" + ` decides where an input is not known: ` +
	"`pass`, `reject` or `need`" + ` (a later look must tell). ` + "`enabled: false`" + ` turns a rule off. A condition uses inputs, thresholds, numbers, ` +
	"`+ - * / %`" + `, comparisons, ` + "`and`, `or`, `not`" + ` and the functions ` + "`abs`, `ceil`, `float`, `floor`, `int`, `max`, `mean`, `median`, `min`, `round` and `sum`" + `.

## Refreshes

A stored deal is checked again by a peek. It is confirmed, for 1 token, where it passes every rule and where, in percent, ` +
	"the used price has moved by no more than `price_percent`, Amazon's by no more than `amazon_percent`, " +
	"and the rank has improved by no more than `rank_percent`" + `. A larger jump shows a sale, a rank that got worse shows none. ` +
	`Otherwise another commit decides. ` + "The section `confirm`" + ` of the file has these numbers.

## Settings

Amounts are in the smallest unit of the marketplace's currency: cents, pence, yen.

`

const thresholdsHead = `
## Thresholds

Those of the built-in rules. A file of yours may have others: any name that its conditions use.

`

const inputsHead = `
## Inputs

An input is known from its look on. Before the commit some are bounds: *at most* means that the commit finds this or less, *at least* that it finds this or more. So ` + "`expected_profit_cents < 300`" + ` may reject at the peek, because the commit cannot find more. The opposite, ` + "`expected_profit_cents > 5000`" + `, needs ` + "`look: commit`" + `, or ` + "`heuristic: true`" + `, which permits a rule to reject what the commit would accept.
`

func renderRules(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(rulesHead)
	for _, in := range deal.Defaults().List() {
		if in.Says == "" {
			t.Errorf("setting %s has no word: the struct's tags are the manual", in.Name)
		}
		fmt.Fprintf(&b, "- `%s` (%s): %s\n", in.Name, strings.TrimSuffix(fmt.Sprint(in.Value, "; ", in.Unit), "; "), in.Says)
	}
	b.WriteString(thresholdsHead)
	for _, of := range starter.Thresholds() {
		fmt.Fprintf(&b, "- `%s` (%v; %s): %s\n", of.Name, of.Value, of.Unit, of.Says)
	}
	b.WriteString(inputsHead)
	from := pipeline.Look("")
	for _, in := range verdict.Inputs() {
		if in.From != from {
			from = in.From
			fmt.Fprintf(&b, "\n### From the %s on\n\n", from)
		}
		kind := string(in.Kind)
		if in.Bound != "" {
			kind += ", " + string(in.Bound)
		}
		fmt.Fprintf(&b, "- `%s` (%s): %s\n", in.Name, kind, in.Says)
	}
	return wrapped(b.String())
}
