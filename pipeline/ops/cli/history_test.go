package cli

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/verdict"
	"ratchet/pipeline/ops/report"
	"ratchet/schemas"
)

var noon = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

// week is a history of seven days on a plan of 5 a minute, of so many verdicts of each outcome.
func week(change func(*History, func(n int, v pipeline.Verdict))) History {
	h := History{
		Since: noon.Add(-7 * 24 * time.Hour), Until: noon, sum: report.New(),
		status: Status{At: noon, Wish: "run", Balance: &token.Balance{Rate: 5, Cap: 300, Est: 20, State: "burst"}},
	}
	works := 0
	change(&h, func(n int, v pipeline.Verdict) {
		for range n {
			works++
			v.DecidedAt, v.ASIN = noon.Add(-time.Hour), fmt.Sprintf("B%09d", works)
			h.sum.Verdict(fmt.Sprint("w", works), v)
		}
	})
	return h
}

func rejected(rule string, look pipeline.Look, tokens int) pipeline.Verdict {
	return pipeline.Verdict{Look: look, Outcome: pipeline.Reject, RuleID: rule, Reason: rule, TokensSpent: tokens}
}

func first(t *testing.T, write func(*strings.Builder) error) string {
	t.Helper()
	var out strings.Builder
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(out.String(), "\n")
	return line
}

func TestTheFirstLineIsTheAnswer(t *testing.T) {
	t.Parallel()
	judge, err := verdict.NewJudge(schemas.UsedBooks)
	if err != nil {
		t.Fatal(err)
	}
	value := int64(400)
	accepted := pipeline.Verdict{Look: pipeline.LookCommit, Outcome: pipeline.Accept, Identity: pipeline.Identity{Domain: 1}, ExpectedValueCents: &value}
	for _, c := range []struct {
		name            string
		h               History
		why, cost, paid string
	}{
		{
			"rules reject",
			week(func(h *History, many func(int, pipeline.Verdict)) {
				many(80, rejected("no_rank_drop", pipeline.LookGlance, 0))
				many(20, rejected("no_profit", pipeline.LookCommit, 7))
				h.sum.Entry("e1", pipeline.Entry{Event: pipeline.EventClose, Claim: "a", Stage: "committer", PriceKind: "commit", Tokens: 140, Items: 20})
				h.sum.Entry("e2", pipeline.Entry{Event: pipeline.EventDrift, Tokens: 10})
			}),
			"Nothing was found in the last 7 d, of 100 that were decided: no_rank_drop rejected most, 80 % of them.",
			"no_profit costs most: 140 tokens in the last 7 d went into 20 that it rejected.",
			"150 tokens were spent today, 0 % of the 50400 that 5 a minute pay in that time; no deal was found.",
		},
		{
			"deals are found",
			week(func(h *History, many func(int, pipeline.Verdict)) {
				many(9, rejected("no_rank_drop", pipeline.LookGlance, 0))
				many(3, accepted)
				again := accepted
				again.ASIN = "B000000012" // found again: the same deal
				h.sum.Verdict("again", again)
				h.sum.Entry("e3", pipeline.Entry{Event: pipeline.EventClose, Claim: "a", Tokens: 5040})
			}),
			"3 deals were found in the last 7 d, of 13 that were decided: no_rank_drop rejected most, 69 % of them.",
			"No rule cost a token in the last 7 d; no_rank_drop rejected most, 9 of 13 that were decided.",
			"5040 tokens were spent today, 10 % of the 50400 that 5 a minute pay in that time; 3 deals were found, 1680.0 tokens each.",
		},
		{
			"tokens are short",
			week(func(h *History, many func(int, pipeline.Verdict)) {
				many(60, pipeline.Verdict{Look: pipeline.LookPeek, Outcome: pipeline.Shed})
				many(40, rejected("no_profit", pipeline.LookPeek, 1))
			}),
			"Nothing was found in the last 7 d: of 100 that were decided, 60 were shed because no tokens were left.",
			"no_profit costs most: 40 tokens in the last 7 d went into 40 that it rejected.",
			"0 tokens were spent today, 0 % of the 50400 that 5 a minute pay in that time; no deal was found.",
		},
		{
			"it was paused",
			week(func(h *History, _ func(int, pipeline.Verdict)) { h.status.Wish = "paused" }),
			"Nothing was found in the last 7 d: you paused it (paused); `ratchet resume` continues.",
			"No rule cost anything in the last 7 d: nothing was rejected.",
			"0 tokens were spent today, 0 % of the 50400 that 5 a minute pay in that time; no deal was found.",
		},
		{
			"it waits",
			week(func(h *History, _ func(int, pipeline.Verdict)) {
				h.status.Stages = []StageStatus{{Stage: pipeline.StagePeeker, Waiting: 40}, {Stage: pipeline.StageWatermarker, Waiting: 9}}
			}),
			"Nothing was found in the last 7 d: nothing was decided, and 40 wait for tokens.",
			"No rule cost anything in the last 7 d: nothing was rejected.",
			"0 tokens were spent today, 0 % of the 50400 that 5 a minute pay in that time; no deal was found.",
		},
		{
			"it is stuck",
			week(func(h *History, _ func(int, pipeline.Verdict)) {
				h.status.Stuck = []Stuck{{Daemon: "tokend", Reason: "does not run: no heartbeat"}}
			}),
			"Nothing was found in the last 7 d, and it is stuck: tokend: does not run: no heartbeat.",
			"No rule cost anything in the last 7 d: nothing was rejected.",
			"0 tokens were spent today, 0 % of the 50400 that 5 a minute pay in that time; no deal was found.",
		},
	} {
		if got := first(t, func(w *strings.Builder) error { return c.h.WriteNothing(w, judge) }); got != c.why {
			t.Errorf("%s: why nothing is found:\ngot  %s\nwant %s", c.name, got, c.why)
		}
		if got := first(t, func(w *strings.Builder) error { return c.h.WriteRules(w, judge) }); got != c.cost {
			t.Errorf("%s: which rule costs most:\ngot  %s\nwant %s", c.name, got, c.cost)
		}
		if got := first(t, func(w *strings.Builder) error { return c.h.WriteSpent(w, "today") }); got != c.paid {
			t.Errorf("%s: what was spent:\ngot  %s\nwant %s", c.name, got, c.paid)
		}
	}
}

func TestStatusBeginsWithWhetherItIsStuck(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Status){
		"Not stuck: nothing waits.": func(*Status) {},
		"Not stuck: it works on 12.": func(s *Status) {
			s.Stages = []StageStatus{{Stage: pipeline.StagePeeker, Waiting: 12}}
		},
		"Not stuck: 12 wait for tokens, which come back at 5 a minute.": func(s *Status) {
			s.Balance.State, s.Stages = "recharge", []StageStatus{{Stage: pipeline.StagePeeker, Waiting: 12}}
		},
		"Not stuck: you paused it (paused); `ratchet resume` continues.": func(s *Status) { s.Wish = "paused" },
		"STUCK: peeker: no step": func(s *Status) { s.Stuck = []Stuck{{"peeker", "no step"}} },
	} {
		s := Status{At: noon, Wish: "run", Balance: &token.Balance{Rate: 5, State: "burst"}}
		change(&s)
		if got := first(t, func(w *strings.Builder) error { return s.Write(w) }); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}
