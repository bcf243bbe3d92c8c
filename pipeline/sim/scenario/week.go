package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"ratchet/pipeline"
	"ratchet/pipeline/domain/token"
	"ratchet/pipeline/sim/trial"
)

// heartbeatWeek is seven days on the pure engine, under both policies.
func heartbeatWeek() Scenario {
	return Scenario{
		Name:  "heartbeat-week",
		About: "seven days of 5 tokens a minute on the pure engine, under both policies",
		Speed: 1, Drive: week,
	}
}

func week(_ context.Context, o Options) (Figures, error) {
	sum := Figures{Scenario: "heartbeat-week", Seed: o.Seed, Speed: o.Speed, TokensUsedShare: 1, Failures: []string{}, VisibleIn: "the pure engine"}
	start := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	for _, rules := range []token.Rules{{Policy: "steady"}, {Policy: "heartbeat"}} {
		rng := rand.New(rand.NewPCG(o.Seed, 7)) //nolint:gosec // arrivals are no secret
		e, err := trial.Week(start, 5, rules, rng.IntN)
		if err != nil {
			return sum, fmt.Errorf("%s: %w", rules.Policy, err)
		}
		f := Figures{
			Hours: e.Now.Sub(start).Hours(), Decided: e.Calls, TokensSpent: e.Spent(),
			TokensExpiredWhileWaiting: e.Wasted, LongestStallMin: e.Longest.Minutes(), MinBalance: e.Lowest,
			HTTP429: e.Refused, HTTP429Avoidable: e.Refused, Foreign: e.Foreign, DriftSeries: e.In(pipeline.EventDrift),
			VisibleIn: "the pure engine", LedgerDrift: e.Spent() + e.Foreign + e.Expired - e.Explained() - e.Vanished(),
			TokensUsedShare: float64(e.Spent()) / float64(max(1, e.Spent()+e.Wasted)),
		}
		bars := Bars{StallMin: 10}
		if rules.Policy == "heartbeat" {
			bars.StallMin = 60 // its deadline
		}
		f.judge(bars, 0)
		for _, miss := range f.Failures {
			sum.Failures = append(sum.Failures, rules.Policy+": "+miss)
		}
		if rules.Policy == "heartbeat" && e.Pauses == 0 {
			sum.Failures = append(sum.Failures, "heartbeat: it never paused")
		}
		note := fmt.Sprintf("%-9s %d calls, %d tokens, longest stall %.1f min, %d pauses (longest %.0f min, ended by %v)",
			rules.Policy, e.Calls, e.Spent(), e.Longest.Minutes(), e.Pauses, e.LongPause.Minutes(), e.Ended)
		sum.Notes = append(sum.Notes, note)
		sum.worst(f)
		sum.Foreign, sum.DriftSeries = sum.Foreign+f.Foreign, sum.DriftSeries+f.DriftSeries
	}
	sum.OK = len(sum.Failures) == 0
	return sum, nil
}
