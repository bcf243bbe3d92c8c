package worker_test

import (
	"fmt"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/worker"
	"ratchet/schemas"
	"ratchet/test/desk"
	"ratchet/test/streams"
)

func TestAStepThatHasEndedKeepsNoRulesFromBecomingCurrent(t *testing.T) {
	t.Parallel()
	env, b := streams.Open(t)
	own, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	status := worker.NewStatus(env)
	rules, err := worker.Follow(t.Context(), b, env, own, status, nil)
	if err != nil {
		t.Fatal(err)
	}
	strict, other := desk.StrictRules(t)
	for n, c := range []struct{ text, want string }{{strict, other}, {"", own.Version()}} {
		step := worker.NewStep(env, status, &worker.Breaker{}, rules)
		for range 2 { // what is gathered in two parts is decided by the rules of the last
			if !step.HoldRules() {
				t.Errorf("step %d: the rules changed before others were applied", n+1)
			}
		}
		step.Release(t.Context())
		applyRules(t, b, n+1, c.text)
		awaitRules(t, status, fmt.Sprintf("step %d has ended, and the rules that were applied since are not current", n+1),
			func(i pipeline.CurrentRules) bool { return i.Version == n+1 })
		if got := rules.Judge().Version(); got != c.want {
			t.Errorf("after step %d %s decides, want %s", n+1, got, c.want)
		}
	}
}

func TestAClaimUnderWhichNoCallWasMadeIsClosedForNothing(t *testing.T) {
	t.Parallel()
	p := newPayer(t)
	own, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	status := worker.NewStatus(p.env)
	rules, err := worker.Follow(t.Context(), p.bus, p.env, own, status, nil)
	if err != nil {
		t.Fatal(err)
	}
	step := worker.NewStep(p.env, status, &worker.Breaker{}, rules)
	step.Claim = p.claim(t)
	step.Release(t.Context())
	if g := p.grant(t); len(g.Open) != 0 || g.Settled != 0 || g.Unsure != 0 {
		t.Errorf("a take that brought nothing leaves %d settled, %d in doubt, open %v", g.Settled, g.Unsure, g.Open)
	}
	step.Release(t.Context()) // also at the end of a step whose claim is closed
	if g := p.grant(t); len(g.Open) != 0 || g.Settled != 0 || g.Unsure != 0 {
		t.Errorf("released twice: %d settled, %d in doubt, open %v", g.Settled, g.Unsure, g.Open)
	}
}
