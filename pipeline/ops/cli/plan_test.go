package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/keepa"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/domain/watermark"
)

// busy is a week on 5 a minute: 100 new prices a day that cost ten tokens each, a tenth of them deals of $5.00, shed
// and waiting as given.
func busy(shed, waiting int) History {
	profit, expected := int64(500), int64(200)
	h := week(func(h *History, _ func(int, pipeline.Verdict)) {
		for i := range 700 {
			v := pipeline.Verdict{Look: pipeline.LookCommit, Outcome: pipeline.Reject, RuleID: "no_profit", Source: pipeline.SourceLive, TokensSpent: 10}
			v.Domain, v.DecidedAt = 1, h.Since.Add(time.Duration(i)*14*time.Minute)
			if i%10 == 0 {
				v.Outcome, v.ProfitCents, v.ExpectedValueCents = pipeline.Accept, &profit, &expected
			}
			h.sum.Verdict(fmt.Sprint("w", i), v)
		}
		for i := range shed {
			h.sum.Verdict(fmt.Sprint("s", i), pipeline.Verdict{Look: pipeline.LookPeek, Outcome: pipeline.Shed, Source: pipeline.SourceLive, DecidedAt: noon})
		}
		h.sum.Entry("e1", pipeline.Entry{Event: pipeline.EventClose, Claim: "all", Tokens: 7000 + 700})
		h.status.Stages = []StageStatus{{Stage: pipeline.StagePeeker, Waiting: waiting}}
		h.status.Watermarks = map[string]watermark.State{"1.a": {Rows: 900, NextPoll: noon}, "1.b": {Rows: 50}}
	})
	return h
}

// afterBacklog adds decisions on rows that were listed before the first look, a tenth of them deals of $5.00.
func afterBacklog(h History, rows int) History {
	profit, expected := int64(500), int64(200)
	for i := range rows {
		v := pipeline.Verdict{Look: pipeline.LookCommit, Outcome: pipeline.Reject, RuleID: "no_profit", Source: pipeline.SourceBackfill, TokensSpent: 10}
		v.Domain, v.DecidedAt = 1, h.Since.Add(time.Duration(i)*time.Minute)
		if i%10 == 0 {
			v.Outcome, v.ProfitCents, v.ExpectedValueCents = pipeline.Accept, &profit, &expected
		}
		h.sum.Verdict(fmt.Sprint("b", i), v)
	}
	h.sum.Entry("e2", pipeline.Entry{Event: pipeline.EventClose, Claim: "backlog", Tokens: 10 * rows})
	return h
}

func TestAForecastMeasuresTheHistoryAndEndsInWhatTheNextPlanBrings(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		h           History
		price       float64
		first, last string
		most        float64 // deals a month of the largest plan
	}{
		"all is decided": {
			busy(0, 0), 49, "Your plan is not the bottleneck: 5 tokens a minute decide 100 of 100 new prices a day.",
			"The next plan, 20 tokens a minute, would bring at most 0 more deals and $0.00 more profit a month if all sell, for $49.00 more a month: it does not pay.", 300,
		},
		"all is decided, as was the backlog": {
			afterBacklog(busy(0, 0), 3000), 49, "Your plan is not the bottleneck: 5 tokens a minute decide 100 of 100 new prices a day.",
			"The next plan, 20 tokens a minute, would bring at most 0 more deals and $0.00 more profit a month if all sell, for $49.00 more a month: it does not pay.", 300,
		},
		"half is shed": {
			busy(700, 0), 0, "Your plan is the bottleneck: 5 tokens a minute decide 100 of 200 new prices a day.",
			"The next plan, 20 tokens a minute, would bring at most 300 more deals and $1500.00 more profit a month if all sell; --price N compares that with its extra monthly cost.", 600,
		},
		"half waits": {
			busy(0, 700), 49, "Your plan is the bottleneck: 5 tokens a minute decide 100 of 200 new prices a day.",
			"The next plan, 20 tokens a minute, would bring at most 300 more deals and $1500.00 more profit a month if all sell, for $49.00 more a month: at best it pays.", 600,
		},
		"far more than the next plan decides": {
			busy(70_000, 0), 0, "Your plan is the bottleneck: 5 tokens a minute decide 100 of 10100 new prices a day.",
			// 20 × 1440 = 28,800 a day, less 100 for lists, at ten a decision
			"The next plan, 20 tokens a minute, would bring at most 8310 more deals and $41550.00 more profit a month if all sell; --price N compares that with its extra monthly cost.", 25890,
		},
	} {
		f, err := c.h.Forecast()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var out strings.Builder
		if err := f.Write(&out, c.price); err != nil {
			t.Fatal(err)
		}
		all := strings.Split(strings.TrimSpace(out.String()), "\n")
		if all[0] != c.first || all[len(all)-1] != c.last {
			t.Errorf("%s:\n%s\nwant it to begin with\n%s\nand to end with\n%s", name, out.String(), c.first, c.last)
		}
		if f.Rows != 900 {
			t.Errorf("%s: a list of %d rows, want 900: it counts a list that is not read any more", name, f.Rows)
		}
		if got := f.Plans[len(f.Plans)-1].Deals; got < c.most-1 || got > c.most+1 {
			t.Errorf("%s: the largest plan finds %.1f a month, want %.1f", name, got, c.most)
		}
		for i := 1; i < len(f.Plans); i++ {
			if f.Plans[i].Deals < f.Plans[i-1].Deals {
				t.Errorf("%s: a larger plan finds less: %+v", name, f.Plans)
			}
		}
		if _, err := json.Marshal(f); err != nil {
			t.Error(err)
		}
	}
	if _, err := week(func(*History, func(int, pipeline.Verdict)) {}).Forecast(); !errors.Is(err, ErrShortHistory) {
		t.Errorf("nothing is a history: %v", err)
	}
}

func TestAForecastComparesAPriceInTheCurrencyOfItsMarketplace(t *testing.T) {
	t.Parallel()
	f := Forecast{
		Pace: Pace{Rate: 5, Arrivals: 200, Decided: 100}, domain: int(keepa.DomainJP),
		Plans: []Plan{{Rate: 5, Present: true, Profit: 10_000}, {Rate: 20, Profit: 50_000}},
	}
	if says := f.sentence(5000); !strings.HasSuffix(says, "¥40000 more profit a month if all sell, for ¥5000 more a month: at best it pays.") {
		t.Error(says)
	}
}

func TestAForecastOfSeveralPlansCountsTheTokensOfAllAndAddsNoCurrencies(t *testing.T) {
	t.Parallel()
	h := busy(0, 0)
	h.status.Plans = []PlanStatus{{Plan: "eu", Balance: &token.Balance{Rate: 20}}}
	if f, err := h.Forecast(); err != nil || f.Rate != 25 {
		t.Errorf("a rate of %d, want 5 and 20: %v", f.Rate, err)
	}
	v := pipeline.Verdict{Look: pipeline.LookCommit, Outcome: pipeline.Accept, Source: pipeline.SourceLive, DecidedAt: noon}
	v.Domain = int(keepa.DomainDE)
	h.sum.Verdict("euros", v)
	if f, err := h.Forecast(); err == nil || !strings.Contains(err.Error(), "EUR, USD") {
		t.Errorf("dollars and euros became %v: %v", f.Plans, err)
	}
}
