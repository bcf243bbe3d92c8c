package verdict

import (
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
)

func TestARuleThatUsesAnInputBeforeItExistsIsRefusedNamingBoth(t *testing.T) {
	t.Parallel()
	_, err := NewJudge([]byte(oneRule("glance", "sale_count < 1", "pass")))
	if err == nil || !strings.Contains(err.Error(), `"the_rule"`) || !strings.Contains(err.Error(), "sale_count") ||
		!strings.Contains(err.Error(), "first known at the peek") {
		t.Errorf("got %v", err)
	}
}

func TestABrokenRuleFileIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                     "name: missing",
		"name: x\nrulez: []\n":                 "rulez",
		oneRule("glimpse", "has_used", "pass"): "look",
		oneRule("glance", "has_used", "maybe"): "unknown",
		oneRule("glance", "used_sents > 1", "pass"):                            "used_sents",
		oneRule("glance", "used_cents + 1", "pass"):                            "bool",
		oneRule("glance", "used_cents > 'a'", "pass"):                          "mismatched",
		oneRule("glance", "1 < 2", "pass"):                                     "uses no input",
		oneRule("glance", "has_used", "pass") + "    colour: red\n":            "colour",
		oneRule("glance", "has_used", "pass") + "settings: {prep_cents: -1}\n": "prep_cents",
		oneRule("glance", "has_used", "pass") + "thresholds: {rank: 1}\n":      "rank",
	} {
		if _, err := NewJudge([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want an error with %q", text, err, want)
		}
	}
}

func oneRule(look, when, unknown string) string {
	return "name: x\nrules:\n  - id: the_rule\n    look: " + look + "\n    when: \"" + when + "\"\n    reason: r\n    unknown: " + unknown + "\n    says: s.\n"
}

func TestAnUnknownInputFollowsTheRulesPolicy(t *testing.T) {
	t.Parallel()
	row := keepa.DealRow{ASIN: "A"}
	for unknown, want := range map[string]string{"pass": "survive ok", "need": "survive ok", "reject": "reject r_unknown"} {
		j, err := NewJudge([]byte(oneRule("glance", "rank > 5", unknown)))
		if err != nil {
			t.Fatal(err)
		}
		f := j.Glance(row, now)
		if got := string(f.Outcome) + " " + f.Reason; got != want || len(f.Unknown) != 1 || f.Unknown[0] != "rank" {
			t.Errorf("%s: got %s, unknown %v", unknown, got, f.Unknown)
		}
		if v, ok := f.Inputs["rank"]; !ok || v != nil {
			t.Errorf("%s: the unknown input is not reported as unknown: %v", unknown, f.Inputs)
		}
	}
	j, _ := NewJudge([]byte(oneRule("glance", "rank > 5", "need")))
	if f := j.Commit(row, keepa.Product{ASIN: "A"}, nil, now); f.Outcome != pipeline.Reject {
		t.Errorf("unknown at the commit too: got %s", f.Outcome)
	}
}

func TestSettingsLeftOutKeepTheirDefaults(t *testing.T) {
	t.Parallel()
	j, err := NewJudge([]byte(oneRule("glance", "has_used", "pass") + "settings: {prep_cents: 300}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if s := j.Settings(); s.PrepCents != 300 || s.ShippingCents != 399 || s.ClosingFeeCents != 180 {
		t.Errorf("got %+v", s)
	}
}

func TestExplainReturnsTheOutcomeOfEveryRule(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	row := keepa.DealRow{ASIN: "A", Current: keepa.Values{1000, -1, 2000, 5000}}
	want := 0
	for _, r := range j.Rules() {
		if r.Look == pipeline.LookGlance {
			want++ // those that are switched off are included
		}
	}
	outcomes, err := j.Explain(pipeline.LookGlance, row, nil, nil, now)
	if err != nil || len(outcomes) != want {
		t.Fatalf("got %d outcomes, %v", len(outcomes), err)
	}
	rejected := map[string]bool{}
	for _, o := range outcomes {
		rejected[o.Rule.ID] = o.Rejects
		if len(o.Inputs) == 0 || o.Rule.Says == "" || o.Error != "" {
			t.Errorf("incomplete: %+v", o)
		}
	}
	if !rejected["amazon_caps_sale"] || rejected["no_used_price"] {
		t.Errorf("got %v", rejected)
	}
}

func TestWhatIsNoBookIsRejectedForThatAndNotForItsMissingPrice(t *testing.T) {
	t.Parallel()
	j := defaultJudge(t)
	row := keepa.DealRow{ASIN: "A", Current: keepa.Values{-1, -1, 2000, 90_000}}
	for kind, want := range map[int]string{0: "no_used_price", 1: "not_sellable", 4: "not_sellable"} {
		p := keepa.Product{ASIN: "A", ProductType: &kind, Stats: &keepa.Stats{Current: keepa.Values{-1, -1, -1, -1}}}
		if f := j.Peek(row, p, now); f.Outcome != pipeline.Reject || f.Reason != want {
			t.Errorf("of product type %d: %s, %s", kind, f.Outcome, f.Reason)
		}
	}
}
