package cli_test

import (
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/committer"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/cli"
	"ratchet/pipeline/peeker"
	"ratchet/pipeline/platform/bus"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/schemas"
	"ratchet/test/desk"
)

// worked is a desk at which the books of these classes, the first of each, were
// decided to the end.
func worked(t *testing.T, classes ...keepasim.Class) (d *desk.Desk, asins map[keepasim.Class]string) {
	t.Helper()
	d, asins = desk.New(t, desk.Soon), map[keepasim.Class]string{}
	d.Grant(t, pipeline.StagePeeker, desk.Credit)
	d.Grant(t, pipeline.StageCommitter, desk.Credit)
	for _, c := range classes {
		asins[c] = d.ASINs(c)[0]
		d.Offer(t, d.Work(t, asins[c], pipeline.SourceLive, pipeline.FirstGeneration))
	}
	stopPeeker, stopCommitter := d.Run(t, peeker.Run, nil), d.Run(t, committer.Run, nil)
	desk.Await(t, "final verdicts", func() bool {
		final := map[string]bool{}
		for _, v := range d.Verdicts(t) {
			if v.Outcome.Final() {
				final[v.ASIN] = true
			}
		}
		return len(final) == len(classes)
	})
	stopPeeker()
	stopCommitter()
	return d, asins
}

// ruleAt is a rule of an explained look.
func ruleAt(t *testing.T, e cli.Explanation, look pipeline.Look, id string) cli.ExplainedRule {
	t.Helper()
	for _, l := range e.Looks {
		for _, r := range l.Rules {
			if l.Look == look && r.ID == id {
				return r
			}
		}
	}
	t.Fatalf("the %s does not tell of rule %s", look, id)
	return cli.ExplainedRule{}
}

func TestEveryRuleIsExplainedFromStoredAnswersForNoToken(t *testing.T) {
	t.Parallel()
	d, asins := worked(t, keepasim.Good, keepasim.AmazonCaps, keepasim.NoProfit)
	j, spent := desk.BuiltIn(t), d.Spent(t)
	d.Hold() // a call to Keepa would hang now

	good, err := cli.Explain(t.Context(), d.Bus, j, asins[keepasim.Good])
	if err != nil {
		t.Fatal(err)
	}
	wants := map[pipeline.Look]string{pipeline.LookGlance: "survive ok", pipeline.LookPeek: "survive ok", pipeline.LookCommit: "accept ok"}
	for _, l := range good.Looks {
		if got := string(l.Outcome) + " " + l.Reason; got != wants[l.Look] || l.Live == nil || l.Live.Outcome != l.Outcome || l.Live.Reason != l.Reason {
			t.Errorf("%s: %s, live %+v", l.Look, got, l.Live)
		}
		if l.Look != pipeline.LookGlance && l.Answer == "" {
			t.Errorf("%s: the answer that it used is missing", l.Look)
		}
	}
	if last := good.Looks[2]; len(last.Rules) != len(j.Rules()) {
		t.Errorf("the commit lists %d rules, want all %d", len(last.Rules), len(j.Rules()))
	}
	sale := ruleAt(t, good, pipeline.LookPeek, "no_inferred_sale")
	if sale.Outcome != cli.Passes || sale.Inputs["sale_count"] == nil || sale.Thresholds["min_sales"] != 1 || sale.When == "" || sale.Says == "" {
		t.Errorf("a rule's inputs and thresholds: %+v", sale)
	}
	if thumb := ruleAt(t, good, pipeline.LookPeek, "low_reference"); thumb.Enabled || !thumb.Heuristic || thumb.Outcome == "" {
		t.Errorf("a rule of thumb that is switched off: %+v", thumb)
	}

	capped, err := cli.Explain(t.Context(), d.Bus, j, asins[keepasim.AmazonCaps])
	if err != nil {
		t.Fatal(err)
	}
	if r := ruleAt(t, capped, pipeline.LookGlance, "amazon_caps_sale"); !r.Decides || r.Outcome != cli.Rejects {
		t.Errorf("the rule that decided: %+v", r)
	}
	if l := capped.Looks[1]; l.Missing == "" || l.Outcome != "" || len(l.Rules) == 0 || l.Rules[0].Outcome != "" {
		t.Errorf("a look that never was: %+v", l)
	}
	var text strings.Builder
	if err := capped.Write(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"amazon_caps_sale", "REJECTS", "min_profit_cents=300", "peek: no answer is stored", "not run", j.Version()} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, text.String())
		}
	}
	if d.Spent(t) != spent {
		t.Errorf("explaining cost %d tokens", d.Spent(t)-spent)
	}
	if _, err := cli.Explain(t.Context(), d.Bus, j, "B000000000"); err == nil || !strings.Contains(err.Error(), "ratchet why B000000000") {
		t.Errorf("an ASIN that was never listed: %v", err)
	}
}

func TestOtherRulesSayWhatTheyWouldHaveDecided(t *testing.T) {
	t.Parallel()
	d, asins := worked(t, keepasim.Good)
	strict, err := verdict.NewJudge([]byte(strings.Replace(string(schemas.UsedBooks), "min_sales: 1", "min_sales: 1000", 1)))
	if err != nil {
		t.Fatal(err)
	}
	e, err := cli.Explain(t.Context(), d.Bus, strict, asins[keepasim.Good])
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := e.Write(&text); err != nil {
		t.Fatal(err)
	}
	if l := e.Looks[1]; l.Reason != "no_inferred_sale" || !strings.Contains(text.String(), "decided then: survive (ok) by rules "+desk.BuiltIn(t).Version()) {
		t.Errorf("got %s\n%s", l.Reason, text.String())
	}
}

func TestTheStoryTellsTheRulesSentenceAndItsNumbers(t *testing.T) {
	t.Parallel()
	d, asins := worked(t, keepasim.NoProfit)
	s, err := cli.Why(t.Context(), d.Bus, asins[keepasim.NoProfit])
	if err != nil {
		t.Fatal(err)
	}
	s.AddSentences(desk.BuiltIn(t))
	var text strings.Builder
	if err := s.Write(&text); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(text.String(), "\n")
	at := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "peek: reject (no_profit)") })
	if at < 0 || !strings.Contains(lines[at+1], "the copy earns too little") || !strings.HasPrefix(strings.TrimSpace(lines[at+2]), "expected_profit_cents=") ||
		strings.Contains(lines[at+2], "sale_count") {
		t.Errorf("got\n%s", text.String())
	}
}

func TestWhatCannotBeReadHidesNothingElse(t *testing.T) {
	t.Parallel()
	d := desk.New(t, desk.Soon)
	asin := d.ASINs(keepasim.Good)[0]
	w := d.Accepts(t, asin, desk.T0)
	d.Offer(t, w)
	d.PublishUnreadable(t, asin)
	for _, subject := range []string{"candidate.1.live." + asin, "ledger.peeker.close", "dead.peeker." + asin} {
		if _, err := d.Bus.Publish(t.Context(), bus.Message{Subject: subject, Schema: "some.v1", ID: "litter " + subject, Body: []byte("{")}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := cli.Why(t.Context(), d.Bus, asin)
	if err != nil || len(s.Verdicts) == 0 || s.Verdicts[0].WorkID != w.ID || len(s.Verdicts[0].Verdict.Inputs) == 0 {
		t.Errorf("the story: %+v, %v", s, err)
	}
	e, err := cli.Explain(t.Context(), d.Bus, desk.BuiltIn(t), asin)
	if err != nil || e.WorkID != w.ID || e.Looks[2].Live == nil || e.Looks[2].Live.Outcome != pipeline.Accept {
		t.Errorf("the rules explained: %+v, %v", e, err)
	}
	sum, err := cli.ReadReport(t.Context(), d.Bus)
	if err != nil || len(sum.Accepted()) != 2 { // one of the litter is an accept whose deal alone cannot be read
		t.Errorf("%d accepts are counted, want 2: %v", len(sum.Accepted()), err)
	}
	if _, err := cli.DeadLetters(t.Context(), d.Bus, cli.DeadFilter{}); err != nil {
		t.Errorf("dead letters: %v", err)
	}
}
