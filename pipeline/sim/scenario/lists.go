package scenario

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"ratchet/pipeline/domain/watermark"
	"ratchet/pipeline/ops/standalone"
	"ratchet/pipeline/sim/keepasim"
	"ratchet/pipeline/sim/trial"
)

// What discovery must reach on the measured list: a row with a new price is found within two polling
// intervals, one that came with an old date within a sweep interval and the poll after it.
var discovers = Bars{StallMin: 10, ListShare: 0.15, FoundPolls: 2, FoundOldHours: 12.5}

// churnWeek is a week of the measured list on the real daemons.
func churnWeek() Scenario {
	return Scenario{
		Name:  "churn-week",
		About: "a week of the measured churn on 750 rows, 5 tokens a minute; 17 minutes",
		Speed: 600, Limit: 7 * 24 * time.Hour, World: living(750),
		Box:  standalone.Options{Rate: 5, Balance: 280},
		Bars: discovers, Idle: true,
	}
}

// listOutage13h lets the list fail for longer than its rows certainly stay.
func listOutage13h() Scenario {
	return Scenario{
		Name:  "list-outage-13h",
		About: "the deal list answers 503 for 13 hours: one gap, which expires with what was missed",
		Speed: 120, Limit: 20 * time.Hour, World: living(750),
		Box: standalone.Options{Rate: 5, Balance: 280, Faults: keepasim.Faults{Rules: []keepasim.Rule{
			keepasim.ListOutage(3*time.Hour, 16*time.Hour),
		}}},
		Bars: Bars{ListShare: 0.15, Outages: 1}, Idle: true,
	}
}

// orderChaos serves the list in one wrong order after another.
func orderChaos() Scenario {
	const day = 24 * time.Hour
	s := Scenario{
		Name:  "order-chaos",
		About: "the list reversed, by percentage, in another order for each page, with pages that drift, rows twice, pages that fail; Keepa's clock is a day ahead",
		Speed: 120, Limit: 8 * time.Hour, World: living(750),
		Box:  standalone.Options{Rate: 5, Balance: 280, Faults: keepasim.Faults{Skew: day}},
		Bars: Bars{StallMin: 10, ListShare: 0.15}, Idle: true,
	}
	for i, f := range []struct {
		name  string
		fault keepasim.Faults
	}{
		{"pages drift by up to 20 rows", keepasim.Faults{Drift: 20}},
		{"reversed", keepasim.Faults{Order: keepasim.OrderReverse}},
		{"by percentage, rows twice", keepasim.Faults{Order: keepasim.OrderPercent, Duplicates: 5}},
		{"another order for each page", keepasim.Faults{Order: keepasim.OrderRandom}},
		{"one page in four fails", keepasim.Faults{Rules: flaky}},
		{"as asked", keepasim.Faults{}},
	} {
		s.Steps = append(s.Steps, Step{At: time.Duration(i+1) * time.Hour, Name: f.name, Do: func(_ context.Context, r *Rig) error {
			f.fault.Skew = day
			r.Sim.Change(func(was *keepasim.Faults) { *was = f.fault })
			return nil
		}})
	}
	return s
}

// flaky are failing answers of the list.
var flaky = []keepasim.Rule{
	{Kind: keepasim.KindDeal, Probability: 0.15, Do: keepasim.Refuse}, {Kind: keepasim.KindDeal, Probability: 0.1, Do: keepasim.Fail, Status: 502},
}

// discoveryWeek is the list and its reader as pure values: a week of the measured
// churn, with everything that can go wrong, and a day without changes.
func discoveryWeek() Scenario {
	return Scenario{
		Name:  "discovery-week",
		About: "a week of the measured churn at 5 tokens a minute on the pure engine, with crashes and failures, and a day without any change",
		Speed: 1, Drive: discover,
	}
}

func discover(_ context.Context, o Options) (Figures, error) {
	const income = 5
	start := time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)
	f := Figures{Scenario: "discovery-week", Seed: o.Seed, Speed: o.Speed, TokensUsedShare: 1, VisibleIn: "the pure engine"}
	rng := rand.New(rand.NewPCG(o.Seed, 11)) //nolint:gosec // churn is no secret
	w := trial.NewReader(trial.NewList(start, 750, rng.IntN))
	w.Plan.Income, w.Income = income, 0.15*income
	w.Troubles = trial.Troubles{Dies: 800, Fails: 50} // a page is about six effects
	w.Run(7 * 24 * time.Hour)
	f.Hours = w.Now.Sub(start).Hours()
	f.Decided, f.TokensSpent = w.Offers, 5*w.Paid
	f.ListShare = float64(f.TokensSpent) / (income * f.Hours * 60)
	polls, old := w.Latency()
	f.FoundPolls, f.FoundOldHours = polls, math.Round(100*old.Hours())/100
	rows, missing := w.Balanced()
	f.Rows, f.RowsUnaccounted, f.UnseenEstimate = rows, len(missing), w.State.Unseen
	f.judge(discovers, 0)

	quiet := trial.NewReader(trial.NewList(start, 750, rng.IntN))
	quiet.Churn, quiet.Plan.Income = trial.Churn{}, income
	quiet.Run(2 * time.Hour) // without the first sweep
	before := quiet.Paid
	quiet.Run(24 * time.Hour)
	share := float64(5*(quiet.Paid-before)) / (income * 24 * 60)
	f.Notes = append(f.Notes, fmt.Sprintf("a day without any change cost %d pages, %.1f %% of the income", quiet.Paid-before, 100*share),
		fmt.Sprintf("%d reads died or failed and were resumed; %d rows came and went, estimated %.0f", w.Broken, rows[watermark.Unseen], w.State.Unseen))
	if share > 0.03 {
		f.Failures, f.OK = append(f.Failures, fmt.Sprintf("unchanging list: %.3f of the income, want at most 0.03", share)), false
	}
	return f, nil
}
