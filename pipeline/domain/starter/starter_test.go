package starter_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/starter"
	"ratchet/pipeline/domain/verdict"
	"ratchet/schemas"
)

func TestGeneratedFilesLoadAndContainTheChoice(t *testing.T) {
	t.Parallel()
	c := starter.Defaults()
	c.Settings.Marketplace, c.Settings.PrepCents, c.Category = "de", 123, 186606
	c.BudgetCents, c.MinProfitCents, c.MaxLossChance = 1500, 777, 0.25
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	rules, err := verdict.NewJudge(c.Rules())
	if err != nil {
		t.Fatalf("%v\n%s", err, c.Rules())
	}
	q, err := keepa.ParseQuery("used-books", c.Query())
	if err != nil || rules.Serves(q.Selection) != nil || verdict.Decides(q.Selection) != nil {
		t.Fatalf("%v, %v\n%s", err, rules.Serves(q.Selection), c.Query())
	}
	if !strings.Contains(string(c.Query()), `"currentRange": [750, 1500]`) || !strings.Contains(string(c.Query()), "186606") {
		t.Errorf("the query does not say what was chosen:\n%s", c.Query())
	}
	for name, want := range map[string]float64{"min_profit_cents": 777, "max_loss_chance": 0.25, "max_landed_cents": 1500} {
		if n, _ := rules.Threshold(name); n != want {
			t.Errorf("%s is %g, want %g", name, n, want)
		}
	}
	if s := rules.Settings(); s != c.Settings {
		t.Errorf("settings %+v, want %+v", s, c.Settings)
	}
	if _, ok := rules.Rule("over_budget"); !ok || !strings.Contains(string(c.Rules()), "set those of amazon.de") {
		t.Errorf("no budget, or no word about fees:\n%s", c.Rules())
	}
}

func TestTheRulesAreTheBuiltInOnesWithEveryNumberExplainedInPlace(t *testing.T) {
	t.Parallel()
	text := string(starter.Defaults().Rules())
	mine, err := verdict.NewJudge([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	built, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range built.Rules() {
		if got, ok := mine.Rule(r.ID); !ok || got.When != r.When || got.On() != r.On() || got.Says != r.Says {
			t.Errorf("rule %s is %+v", r.ID, got)
		}
		for _, name := range r.Thresholds() {
			was, _ := built.Threshold(name)
			if is, _ := mine.Threshold(name); was != is {
				t.Errorf("%s is %g, the built-in rules have %g", name, is, was)
			}
		}
	}
	lines := strings.Split(text, "\n")
	number := regexp.MustCompile(`^  [a-z0-9_]+: \S+$`)
	section, explained := "", 0
	for i, line := range lines {
		if line != "" && line[0] != ' ' && line[0] != '#' {
			section = line
		}
		if (section == "settings:" || section == "thresholds:") && number.MatchString(line) {
			explained++
			comment, unit, _ := strings.Cut(lines[i-1], " (")
			name := strings.TrimSpace(strings.Split(line, ":")[0])
			bare := name == "marketplace" || line == "  "+name+": true" || line == "  "+name+": false"
			if !strings.HasPrefix(comment, "  # ") || (unit == "") != bare || strings.Contains(name, "_cents") && !strings.HasPrefix(unit, "cents") {
				t.Errorf("%s: explained as %q, want words and a unit", line, lines[i-1])
			}
		}
	}
	if explained < 25 || len(starter.Thresholds()) < 11 {
		t.Errorf("%d numbers are explained, %d thresholds", explained, len(starter.Thresholds()))
	}
}

func TestTheExampleOfTheEnvironmentNamesWhatIsRead(t *testing.T) {
	t.Parallel()
	documented, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "config.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`(?m)^#([A-Z_]+)=`).FindAllStringSubmatch(string(starter.Env("mine")), -1)
	for _, m := range names {
		if !strings.Contains(string(documented), "\n## "+m[1]+"\n") {
			t.Errorf("docs/config.md does not know %s", m[1])
		}
	}
	if len(names) < 5 {
		t.Errorf("it names %d variables", len(names))
	}
}

func TestAnInvalidChoiceIsReported(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(*starter.Choice){
		"budget":          func(c *starter.Choice) { c.BudgetCents = 0 },
		"min-profit":      func(c *starter.Choice) { c.MinProfitCents = -1 },
		"max-loss-chance": func(c *starter.Choice) { c.MaxLossChance = 1.1 },
		"category":        func(c *starter.Choice) { c.Category = 0 },
		"no deal list":    func(c *starter.Choice) { c.Settings.Marketplace = "com.br" },
		"marketplace":     func(c *starter.Choice) { c.Settings.Marketplace = "nope" },
		"prep_cents":      func(c *starter.Choice) { c.Settings.PrepCents = -1 },
	} {
		c := starter.Defaults()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q in it", err, says)
		}
	}
}
