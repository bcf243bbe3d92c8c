package cli

import (
	"slices"
	"strings"
	"testing"

	"ratchet/pipeline"
)

func TestWhatAStageSpentIsThatOfItsPlan(t *testing.T) {
	t.Parallel()
	var c Course
	h := week(func(h *History, _ func(int, pipeline.Verdict)) {
		for plan, tokens := range map[pipeline.Plan]int{"": 41, "eu": 73} {
			e := pipeline.Entry{Event: pipeline.EventClose, Claim: "c" + string(plan), Plan: plan, Stage: pipeline.StagePeeker, PriceKind: pipeline.KindPeek, Tokens: tokens, Items: tokens, At: noon}
			h.sum.Entry(e.Claim, e)
			c.entry(e)
		}
		h.status.Stages = []StageStatus{{Stage: pipeline.StagePeeker}, {Stage: pipeline.StagePeeker, Plan: "eu"}}
	})
	tokens := h.Sections()[2].Rows
	var report strings.Builder
	if err := h.sum.Write(&report); err != nil {
		t.Fatal(err)
	}
	top := topView{status: h.status, course: c}.stages(200)
	for name, n := range map[string]string{"peeker": "41", "peeker eu": "73"} {
		if !slices.ContainsFunc(tokens, func(r []string) bool { return r[0] == name && r[4] == n }) {
			t.Errorf("the history lacks the %s tokens of the %s: %v", n, name, tokens)
		}
		is := func(line string) bool {
			return strings.HasPrefix(strings.TrimSpace(line), name+"  ") && strings.HasSuffix(line, n)
		}
		if !slices.ContainsFunc(top, is) {
			t.Errorf("top lacks the %s tokens of the %s: %q", n, name, top)
		}
		if !slices.ContainsFunc(strings.Split(report.String(), "\n"), is) {
			t.Errorf("the report lacks the %s tokens of the %s: %s", n, name, &report)
		}
	}
}
