package verdict_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/verdict"
	"ratchet/schemas"
)

func TestThresholdsChangeAndNothingElse(t *testing.T) {
	t.Parallel()
	body := bytes.Replace(schemas.UsedBooks, []byte("  min_profit_cents: 300\n"), []byte("  min_profit_cents: 300 # three dollars\r\n"), 1)
	out, j, err := verdict.WithThresholds(body, map[string]float64{"min_profit_cents": 1250, "max_loss_chance": 0.25, "min_roi_percent": -5})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]float64{"min_profit_cents": 1250, "max_loss_chance": 0.25, "min_roi_percent": -5, "min_n_eff": 2} {
		if got, ok := j.Threshold(name); !ok || got != want {
			t.Errorf("%s is %v", name, got)
		}
	}
	want := strings.NewReplacer("min_profit_cents: 300 #", "min_profit_cents: 1250 #", "max_loss_chance: 0.40", "max_loss_chance: 0.25", "min_roi_percent: 0", "min_roi_percent: -5").Replace(string(body))
	if string(out) != want {
		t.Errorf("got\n%s", out)
	}
	before, err := verdict.NewJudge(body)
	if err != nil {
		t.Fatal(err)
	}
	if !verdict.SameInputs(before.Version(), j.Version()) || before.Version() == j.Version() {
		t.Errorf("versions %s and %s", before.Version(), j.Version())
	}
	if same, _, err := verdict.WithThresholds(body, nil); err != nil || !bytes.Equal(same, body) {
		t.Errorf("without a change it is another file: %v", err)
	}
}

func TestAFileWhoseThresholdsCannotBeFoundIsRefused(t *testing.T) {
	t.Parallel()
	from, until := bytes.Index(schemas.UsedBooks, []byte("thresholds:")), bytes.Index(schemas.UsedBooks, []byte("\nrules:"))
	flow := slices.Concat(schemas.UsedBooks[:from], []byte(`thresholds: {min_profit_cents: 300, max_loss_chance: 0.40, min_n_eff: 2, min_roi_percent: 0, min_rank_drops: 1, min_sales: 1,
  min_sales_in_year: 1, min_seller_rating: 80, max_offers_age_hours: 168, max_months_to_sell: 24, min_reference_cents: 1200}
`), schemas.UsedBooks[until:])
	if _, err := verdict.NewJudge(flow); err != nil {
		t.Fatal(err)
	}
	if _, _, err := verdict.WithThresholds(flow, map[string]float64{"min_profit_cents": 1250}); err == nil || !strings.Contains(err.Error(), "line of its own") {
		t.Errorf("got %v", err)
	}
	if _, _, err := verdict.WithThresholds(schemas.UsedBooks, map[string]float64{"nothing": 1}); err == nil {
		t.Error("a threshold that there is not is changed")
	}
}

func TestThresholdsAreThoseOfRulesInUse(t *testing.T) {
	t.Parallel()
	j, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, one := range j.Thresholds() {
		names = append(names, one.Name)
		if one.Name == "min_profit_cents" && (!slices.Contains(one.Rules, "no_profit") || !slices.Contains(one.Looks, pipeline.LookGlance) || !slices.Contains(one.Looks, pipeline.LookPeek) || one.Value != 300) {
			t.Errorf("%+v", one)
		}
	}
	if !slices.Contains(names, "max_loss_chance") || slices.Contains(names, "max_months_to_sell") || slices.Contains(names, "min_reference_cents") {
		t.Errorf("got %v", names)
	}
}
