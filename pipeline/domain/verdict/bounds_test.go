package verdict

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"ratchet/pipeline/domain/keepa"
)

// TestWhatIsReportedImpossibleDoesNotHappen evaluates random conditions at random inputs: a condition
// that was reported as never true or never false is not, and one that was accepted does not fail.
func TestWhatIsReportedImpossibleDoesNotHappen(t *testing.T) {
	if testing.Short() {
		t.Skip("evaluates thousands of conditions")
	}
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	constants := map[string]any{"three": int64(3), "half": 0.5, "none": int64(0)}
	said, accepted := 0, 0
	for range 1500 {
		text := randomLogic(r, 3)
		tree, err := parser.Parse(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		compiled, err := program(text, constants)
		if err != nil {
			continue // a type does not fit
		}
		wrong := undefinedFor(tree.Node, constants)
		same := strings.Join(constantCondition(tree.Node, constants), "")
		if same != "" {
			said++
		}
		accepted++
		for range 20 {
			got, err := vm.Run(compiled, randomInputs(r, constants))
			switch {
			case err != nil && len(wrong) == 0:
				t.Fatalf("%s: accepted, and fails: %v", text, err)
			case err != nil:
			case strings.Contains(same, "never be true") && got == true, strings.Contains(same, "never be false") && got == false:
				t.Fatalf("%s: %s, and is %v", text, same, got)
			}
		}
	}
	if said < 50 || accepted < 700 {
		t.Errorf("of %d conditions only %d were reported as always the same: too few for a test", accepted, said)
	}
}

func randomLogic(r *rand.Rand, depth int) string {
	switch n := r.IntN(8); {
	case depth > 0 && n < 2:
		return "(" + randomLogic(r, depth-1) + " and " + randomLogic(r, depth-1) + ")"
	case depth > 0 && n < 4:
		return "(" + randomLogic(r, depth-1) + " or " + randomLogic(r, depth-1) + ")"
	case depth > 0 && n == 4:
		return "not " + randomLogic(r, depth-1)
	case n == 5:
		return "has_used"
	}
	op := []string{"<", "<=", ">", ">=", "==", "!="}[r.IntN(6)]
	return randomNumber(r, 2) + " " + op + " " + randomNumber(r, 2)
}

func randomNumber(r *rand.Rand, depth int) string {
	if depth > 0 {
		a, b := randomNumber(r, depth-1), randomNumber(r, depth-1)
		switch r.IntN(16) {
		case 0:
			return "max(" + a + ", " + b + ")"
		case 1:
			return "min(" + a + ", " + b + ")"
		case 2:
			return "abs(" + a + ")"
		case 3, 4:
			return "(" + a + " " + []string{"+", "-", "*"}[r.IntN(3)] + " " + b + ")"
		case 5:
			return "(" + a + " " + []string{"/", "%"}[r.IntN(2)] + " " + b + ")"
		case 6:
			return "-" + a
		case 7:
			return []string{"mean", "median", "sum"}[r.IntN(3)] + "([" + a + ", " + b + "])"
		case 8:
			return []string{"ceil", "floor", "round", "int", "float"}[r.IntN(5)] + "(" + a + ")"
		case 9:
			return "(has_used ? " + a + " : " + b + ")"
		}
	}
	terms := []string{"rank", "rank", "count_used", "expected_profit_cents", "roi_percent", "months_to_sell", "three", "half", "none", "0", "1", "5", "6", "2.5", "10"}
	return terms[r.IntN(len(terms))]
}

func randomInputs(r *rand.Rand, constants map[string]any) map[string]any {
	env := map[string]any{}
	for name, value := range constants {
		env[name] = value
	}
	for _, in := range catalogue {
		v := float64([]int64{0, 1, 2, 3, 5, 6, 7, 10, 11, 1000}[r.IntN(10)])
		if spanOf(in).low < 0 && r.IntN(2) == 0 {
			v = -v
		}
		switch in.Kind {
		case Integer:
			env[in.Name] = int64(v)
		case Number:
			env[in.Name] = v / []float64{1, 2, 4}[r.IntN(3)]
		default:
			env[in.Name] = r.IntN(2) == 0
		}
	}
	return env
}

// TestInputsLieWithinTheirSpans checks spanOf against the captured answers.
func TestInputsLieWithinTheirSpans(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	check := func(f *facts) {
		for _, in := range catalogue {
			var v float64
			switch n := in.value(f).(type) {
			case int64:
				v = float64(n)
			case float64:
				v = n
			default:
				continue
			}
			if !spanOf(in).has(v) {
				t.Errorf("%s is %g, outside %v: name it in signed, or give it a span", in.Name, v, spanOf(in))
			}
		}
	}
	rows := 0
	for _, body := range capturedFiles(t, "deal/*.json.gz") {
		page, err := keepa.DecodeDealPage(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range page.Rows {
			rows++
			check(&facts{view: j.file.Settings.OfRow(&row, page.At()), s: j.file.Settings})
		}
	}
	_, products := capturedProducts(t)
	for _, p := range products {
		for price := 0; price < 3000; price += 500 { // some of them are deals
			other := p
			if used, ok := usedOf(p); ok {
				other = cheaperBy(p, used-price)
			}
			views, err := j.copies(&keepa.DealRow{ASIN: p.ASIN}, &other, nil, p.LastUpdate.Time())
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range views {
				check(&facts{view: v, s: j.file.Settings})
			}
		}
	}
	if rows == 0 {
		t.Error("no captured row was looked at")
	}
}

// usedOf returns a product's used price by its statistics.
func usedOf(p keepa.Product) (int, bool) {
	if p.Stats == nil {
		return 0, false
	}
	used, ok := p.Stats.Current.Price(keepa.Used)
	return int(used), ok
}

// TestTheDearestConditionIsEvaluatedInTime: as many of the slowest steps as a rule may have take 50 µs at most.
func TestTheDearestConditionIsEvaluatedInTime(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	for name, part := range map[string]string{
		"comparisons": "rank > 1", "products": "used_cents * 2.5 > rank", "functions": "median(used_cents, new_cents, rank) > mean(rank, 1)",
		"lists": "sum([used_cents, new_cents, rank]) > 5", "powers": "rank ** 2 > 1", "membership": "used_cents in [rank, new_cents, 3]",
	} {
		text := part
		for steps(t, text+" and "+part) <= MaxSteps {
			text += " and " + part
		}
		compiled, err := program(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		env := map[string]any{"used_cents": int64(4), "new_cents": int64(5), "rank": int64(7)}
		for in := range strings.SplitSeq("used_cents new_cents rank", " ") {
			env[in] = int64(7)
		}
		var machine vm.VM
		least := time.Hour
		for range 200 {
			begin := time.Now()
			if _, err := machine.Run(compiled, env); err != nil {
				t.Fatal(err)
			}
			least = min(least, time.Since(begin))
		}
		t.Logf("%s: %d steps in %s", name, steps(t, text), least)
		if least > 50*time.Microsecond {
			t.Errorf("%s: %d steps take %s", name, steps(t, text), least)
		}
	}
}

func steps(t *testing.T, text string) int {
	t.Helper()
	tree, err := parser.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	var c condition
	c.walk(tree.Node)
	return c.steps
}
