package docs_test

import (
	"fmt"
	"go/ast"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"ratchet/pipeline/deal"
	"ratchet/pipeline/verdict"
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

const rulesHead = `# Rules

Which settings and inputs a rule file may use. Generated from the code by ` + "`make golden`" + `.

A rule file has ` + "`settings`" + ` (what a book costs you), ` + "`thresholds`" + ` (numbers of your own) and ` + "`rules`" + `.
A rule rejects where its ` + "`when`" + ` is true. Start from a copy of ` + "`schemas/rules/used-books.yaml`" + `:

` + "```console" + `
$ ratchet rules check mine.yaml
$ ratchet rules explain 0135048761 --rules mine.yaml
$ ratchet backtest --rules mine.yaml
` + "```" + `

What an input rests on, with its formula, stands in ` + "`pipeline/deal/doc.go`" + `.

## Settings

Amounts are in the smallest unit of the marketplace's currency: cents, pence, yen.

| setting | default | meaning |
|---|---|---|
`

const inputsHead = `
## Inputs

An input is known from its look on. Before the commit some are bounds: *at most* says that the commit finds this
or less, *at least* that it finds this or more. A rule that rejects against a bound's direction belongs to the
commit, or is marked ` + "`heuristic`" + `.

| input | kind | from | before the commit | meaning |
|---|---|---|---|---|
`

func renderRules(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(rulesHead)
	defaults := reflect.ValueOf(deal.Defaults())
	docs := settingDocs(t)
	for i := range defaults.NumField() {
		f := defaults.Type().Field(i)
		doc := docs[f.Name]
		if doc == "" {
			t.Errorf("deal.Settings.%s has no comment: the struct is the manual", f.Name)
		}
		fmt.Fprintf(&b, "| `%s` | %v | %s |\n", f.Tag.Get("yaml"), defaults.Field(i), doc)
	}
	b.WriteString(inputsHead)
	for _, in := range verdict.Inputs() {
		bound := string(in.Bound)
		if bound == "" {
			bound = "exact"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", in.Name, in.Kind, in.From, bound, in.Says)
	}
	return b.String()
}

// settingDocs are the comments of the settings' fields.
func settingDocs(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	for _, f := range parse(t, "pipeline/deal") {
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != "Settings" {
				return true
			}
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				text := field.Comment.Text()
				if text == "" {
					text = field.Doc.Text()
				}
				for _, name := range field.Names {
					docs[name.Name] = strings.Join(strings.Fields(strings.TrimSuffix(text, "\n")), " ")
				}
			}
			return false
		})
	}
	if len(docs) == 0 {
		t.Fatal("found no deal.Settings: " + strconv.Itoa(len(docs)))
	}
	return docs
}
