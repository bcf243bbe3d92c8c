package scenario

import (
	"strings"
	"testing"

	"ratchet/pipeline/domain/verdict"
	"ratchet/schemas"
)

// The default rules decide 2,000 simulated books correctly, and each heuristic rule shows its cost.
func TestTheDefaultRulesAcceptExactlyTheGoodAndHeuristicRulesShowTheirCost(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	t.Parallel()
	j, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range j.Rules() {
		if r.Heuristic && r.On() {
			t.Errorf("%s may be wrong, and is on", r.ID)
		}
	}
	cost := map[string]HeuristicEffect{}
	for seed := uint64(1); seed <= 5; seed++ {
		b, err := NewBooks(seed)
		if err != nil {
			t.Fatal(err)
		}
		q := b.Decide(t.Context(), j)
		if q.Recall < 0.99 || q.Precision < 0.99 || q.BadAtGlance < 0.5 || q.BadBeforeOffers < 0.96 || q.Heuristic != 0 || q.LosingShare > 1.0/3 || q.Judged < 20 {
			t.Errorf("seed %d: %+v", seed, q)
		}
		t.Logf("seed %d: %s", seed, strings.Join(q.lines(), "\n    "))
		for _, c := range b.HeuristicEffects(t.Context(), j) {
			sum := cost[c.Rule]
			sum.Rejects, sum.Good, sum.Peeks, sum.Commits = sum.Rejects+c.Rejects, sum.Good+c.Good, sum.Peeks+c.Peeks, sum.Commits+c.Commits
			cost[c.Rule] = sum
			with := b.Decide(t.Context(), j.Switched(c.Rule, true))
			if lost := q.Classes["good"]["commit accept"] - with.Classes["good"]["commit accept"]; lost != c.Good || with.HeuristicCost != c.Good {
				t.Errorf("seed %d: %s loses %d good deals and is blamed for %d", seed, c.Rule, lost, c.Good)
			}
		}
	}
	if len(cost) == 0 {
		t.Error("there is no heuristic rule to measure")
	}
	for rule, c := range cost {
		t.Logf("heuristic %s on 2,000 books: rejects %d, %d of 100 good deals among them; saves %d peeks and %d commits", rule, c.Rejects, c.Good, c.Peeks, c.Commits)
	}
}

func TestAWrongHeuristicRuleIsCharged(t *testing.T) {
	t.Parallel()
	body := strings.Replace(string(schemas.UsedBooks), "min_reference_cents: 1200", "min_reference_cents: 10000000", 1)
	j, err := verdict.NewJudge([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBooks(1)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := b.WriteMeasure(t.Context(), &text, j); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "low_reference (off): alone it rejects") || !strings.Contains(text.String(), "20 of them good deals") {
		t.Errorf("got\n%s", text.String())
	}
}
