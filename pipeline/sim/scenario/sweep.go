package scenario

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"ratchet/pipeline/ops/standalone"
)

// sweepRates are the plans that are compared, tokens a minute.
var sweepRates = []int{1, 2, 5, 10, 20, 40, 70, 100}

// rateSweep runs the same backlog on one plan after another: more income never reduces the throughput.
func rateSweep() Scenario {
	return Scenario{
		Name:  "rate-sweep",
		About: "the same backlog at 1 to 100 tokens a minute: decisions per hour never fall as the rate rises",
		Speed: 60, Drive: sweep,
	}
}

// sweep combines the figures of its runs; the worst of each counts.
func sweep(ctx context.Context, o Options) (Figures, error) {
	sum := Figures{Scenario: "rate-sweep", Speed: o.Speed, Seed: o.Seed, TokensUsedShare: 1, Failures: []string{}, DecisionsPerHour: map[int]float64{}}
	before, atRate := 0.0, 0
	for _, rate := range sweepRates {
		s := Scenario{
			Name: fmt.Sprintf("rate %d", rate), Limit: 90 * time.Minute, Rows: 1200, World: backlog(1200),
			Box:  standalone.Options{Rate: rate, Balance: min(20, 60*rate)},
			Bars: Bars{StallMin: 14, MayWait: true}, // 14: the time in which one a minute refills the price of a commit
		}
		if rate > 1 {
			s.Bars.StallMin = 10
		}
		at := o
		at.Data = filepath.Join(o.Data, fmt.Sprint(rate))
		f, err := s.run(ctx, at)
		if err != nil {
			return sum, fmt.Errorf("rate %d: %w", rate, err)
		}
		per := float64(f.Decided) / max(f.Hours, 0.01)
		if f.Undecided == 0 {
			per = float64(f.Decided) / max(f.HoursToAll, 0.01)
		}
		sum.DecisionsPerHour[rate] = per
		fmt.Fprintf(o.Progress, "rate %3d: %7.1f decisions an hour, %.2f tokens each, used %.1f %%\n", rate, per, f.TokensPerDecision, 100*f.TokensUsedShare)
		for _, miss := range f.Failures {
			sum.Failures = append(sum.Failures, fmt.Sprintf("rate %d: %s", rate, miss))
		}
		if per < 0.99*before { // a run's last batch may fall on either side of its end
			sum.Failures = append(sum.Failures, fmt.Sprintf("rate %d: %.1f decisions an hour, fewer than %.1f at rate %d", rate, per, before, atRate))
		}
		before, atRate = max(before, per), rate
		sum.worst(f)
	}
	sum.OK = len(sum.Failures) == 0
	return sum, nil
}

// worst keeps the worst of each figure and sums the counts.
func (f *Figures) worst(g Figures) {
	f.Hours += g.Hours
	f.HoursToAll += g.HoursToAll
	f.Decided += g.Decided
	f.Undecided += g.Undecided
	f.TokensSpent += g.TokensSpent
	if f.Decided > 0 {
		f.TokensPerDecision = float64(f.TokensSpent) / float64(f.Decided)
	}
	f.RepeatPaid += g.RepeatPaid
	f.TokensExpiredWhileWaiting += g.TokensExpiredWhileWaiting
	f.TokensUsedShare = min(f.TokensUsedShare, g.TokensUsedShare)
	f.LongestStallMin = max(f.LongestStallMin, g.LongestStallMin)
	f.MinBalance = min(f.MinBalance, g.MinBalance)
	f.HTTP429 += g.HTTP429
	f.HTTP429Avoidable += g.HTTP429Avoidable
	f.LedgerDrift += g.LedgerDrift
	f.RowsUnaccounted += g.RowsUnaccounted
	f.GoodTotal += g.GoodTotal
	f.GoodVisible += g.GoodVisible
	f.VisibleIn = g.VisibleIn
}
