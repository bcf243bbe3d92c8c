package cli_test

import (
	"strings"
	"testing"

	"ratchet/pipeline"
	"ratchet/pipeline/ops/cli"
	"ratchet/test/desk"
)

func TestAStoryNamesTheLimitOfARuleAndThatAProfitBeforeTheCommitIsABound(t *testing.T) {
	t.Parallel()
	judge, profit := desk.BuiltIn(t), int64(1756)
	verdict := func(look pipeline.Look) pipeline.Verdict {
		v := pipeline.Verdict{
			Look: look, Outcome: pipeline.Reject, Reason: "likely_loss", RuleID: "likely_loss", RuleSet: judge.Version(), ProfitCents: &profit,
			Inputs: map[string]any{"loss_chance": 0.46},
		}
		v.Domain = 1
		return v
	}
	for look, want := range map[pipeline.Look]string{pipeline.LookPeek: "profit at most $17.56", pipeline.LookCommit: "profit $17.56"} {
		s := cli.Story{ASIN: "B000000001", Verdicts: []cli.StoryVerdict{{Run: pipeline.RunLive, Verdict: verdict(look)}}}
		s.AddSentences(judge)
		var out strings.Builder
		if err := s.Write(&out); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{want, "loss_chance=0.46; limit max_loss_chance=0.4\n"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("the %s lacks %q:\n%s", look, want, out.String())
			}
		}
	}
}
